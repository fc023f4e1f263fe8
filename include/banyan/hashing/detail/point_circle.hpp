#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/node_check.hpp>

namespace banyan::detail {

/// Points on a circle of 2^32 positions, each with the number of an owner: 8 bytes a point, sorted, and an index of 2
/// to 4 bytes a point over the upper bits of the position. A look-up reads one word of the index, and on average about
/// one point from there on.
class point_circle {
 public:
  [[nodiscard]] static constexpr std::uint64_t point(std::uint32_t position, std::uint32_t owner) noexcept {
    return (std::uint64_t{position} << 32) | owner;
  }

  point_circle() : point_circle{std::vector<std::uint64_t>{}} {}

  /// Of points in any order; points at the same position are ordered by owner. Expected O(points) where positions are
  /// spread evenly.
  explicit point_circle(const std::vector<std::uint64_t>& points)
      : points_(points.size() + stride), starts_(bucket_count(points.size())), size_{points.size()} {
    index_shift_ = 64 - std::countr_zero(starts_.size());
    // A counting sort by bucket gives the index and nearly sorts the points; what is left is inside the buckets.
    for (const std::uint64_t p : points) ++starts_[p >> index_shift_];
    std::uint32_t before = 0;
    for (std::uint32_t& start : starts_) before += std::exchange(start, before);
    for (const std::uint64_t p : points) points_[starts_[p >> index_shift_]++] = p;
    std::uint32_t begin = 0;
    for (std::uint32_t& start : starts_) {
      const std::uint32_t end = std::exchange(start, begin);
      sort_bucket(begin, end);
      begin = end;
    }
    close();
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t memory() const noexcept {
    return points_.capacity() * sizeof(std::uint64_t) + starts_.capacity() * sizeof(std::uint32_t);
  }

  /// The number of the first point at `position` or after it, up to size(), which stands for the first one again.
  [[nodiscard]] std::size_t at_or_after(std::uint32_t position) const noexcept {
    const std::uint64_t target = point(position, 0);
    std::size_t at = starts_[target >> index_shift_];
    for (;;) {
      // Counting needs no branch that depends on the key; a second round is rare.
      std::size_t less = 0;
      for (std::size_t i = 0; i < stride; ++i) less += points_[at + i] < target ? 1U : 0U;
      at += less;
      if (less < stride) return at;
    }
  }

  /// The owner of a point; of point size(): that of the first; `no_node` when there are no points.
  [[nodiscard]] std::uint32_t owner(std::size_t i) const noexcept { return static_cast<std::uint32_t>(points_[i]); }
  [[nodiscard]] std::uint32_t position(std::size_t i) const noexcept {
    return static_cast<std::uint32_t>(points_[i] >> 32);
  }

  /// The first owner from `position` on for which `accept(owner)` is true; each of the `owners` is asked at most once.
  /// `no_node` when none accepts. O(points) at worst.
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint32_t position, std::size_t owners, F& accept) const {
    std::size_t at = at_or_after(position);
    const std::uint32_t first = owner(at);
    if (first == no_node || accept(first)) return first;
    if (at == size_) at = 0;  // ran past the last point
    asked_nodes asked{owners};
    asked.insert(first);
    for (std::size_t left = size_; left > 0 && asked.size() < owners; --left) {
      at = at + 1 < size_ ? at + 1 : 0;
      const std::uint32_t node = owner(at);
      if (asked.insert(node) && accept(node)) return node;
    }
    return no_node;
  }

  /// A point to be put in before the point of number `at`, or that point to be taken out.
  struct edit {
    std::size_t at;
    bool out;
    std::uint64_t point;

    [[nodiscard]] bool operator<(const edit& other) const noexcept {
      if (at != other.at) return at < other.at;
      return out != other.out ? other.out : point < other.point;
    }
  };

  /// This circle with some points more and others fewer: O(points) as building it is, but mostly copying. Owners above
  /// `closed_gap` count down by one.
  [[nodiscard]] point_circle edited(std::vector<edit> edits, std::uint32_t closed_gap) const {
    std::sort(edits.begin(), edits.end());
    const auto outs =
        static_cast<std::size_t>(std::count_if(edits.begin(), edits.end(), [](const edit& e) { return e.out; }));
    point_circle result{unfilled{}};
    result.size_ = size_ + edits.size() - 2 * outs;
    result.points_.reserve(result.size_ + stride);
    const auto copy = [&](std::size_t from, std::size_t to) {
      result.points_.insert(result.points_.end(), points_.begin() + static_cast<std::ptrdiff_t>(from),
                            points_.begin() + static_cast<std::ptrdiff_t>(to));
    };
    std::size_t next = 0;
    for (const edit& e : edits) {
      copy(next, e.at);
      next = e.out ? e.at + 1 : e.at;
      if (!e.out) result.points_.push_back(e.point);
    }
    copy(next, size_);
    if (closed_gap != no_node) {
      for (std::uint64_t& p : result.points_) p -= static_cast<std::uint32_t>(p) > closed_gap ? 1U : 0U;
    }
    result.points_.resize(result.size_ + stride);
    result.index_shift_ = index_shift_;
    if (bucket_count(result.size_) == starts_.size()) {
      result.starts_ = starts_;
      shift_starts(result.starts_, edits);
    } else {
      result.make_starts();
    }
    result.close();
    return result;
  }

  /// Gives each point the owner `new_owners[old owner]`; the order of points stays as it is.
  void rename_owners(const std::vector<std::uint32_t>& new_owners) noexcept {
    for (std::size_t i = 0; i < size_; ++i) points_[i] = point(position(i), new_owners[owner(i)]);
    close();
  }

 private:
  static constexpr std::size_t stride = 4;

  struct unfilled {};
  explicit point_circle(unfilled) noexcept : size_{0} {}

  /// Between two edits, the points that come behind a value of the upper bits have all moved by the same number.
  void shift_starts(std::vector<std::uint32_t>& starts, const std::vector<edit>& edits) const noexcept {
    std::uint32_t moved = 0;
    std::size_t next = 0;
    const auto shift_up_to = [&](std::size_t end) {
      for (; next < end; ++next) starts[next] += moved;
    };
    for (const edit& e : edits) {
      const std::uint64_t at = e.out ? points_[e.at] : e.point;
      shift_up_to(static_cast<std::size_t>(at >> index_shift_) + 1);
      moved += e.out ? std::numeric_limits<std::uint32_t>::max() : 1U;  // modulo 2^32: one less
    }
    shift_up_to(starts.size());
  }

  /// The index of points that are sorted already.
  void make_starts() {
    starts_.assign(bucket_count(size_), 0);
    index_shift_ = 64 - std::countr_zero(starts_.size());
    for (std::size_t i = 0; i < size_; ++i) ++starts_[points_[i] >> index_shift_];
    std::uint32_t before = 0;
    for (std::uint32_t& start : starts_) before += std::exchange(start, before);
  }

  [[nodiscard]] static std::size_t bucket_count(std::size_t points) noexcept {
    return std::bit_ceil(std::max<std::size_t>(points, 4)) / 2;
  }

  /// Mostly a handful of points, for which std::sort is a long way round.
  void sort_bucket(std::size_t begin, std::size_t end) noexcept {
    if (end - begin > 24) {
      std::sort(points_.begin() + static_cast<std::ptrdiff_t>(begin),
                points_.begin() + static_cast<std::ptrdiff_t>(end));
      return;
    }
    for (std::size_t i = begin + 1; i < end; ++i) {
      const std::uint64_t p = points_[i];
      std::size_t at = i;
      for (; at > begin && points_[at - 1] > p; --at) points_[at] = points_[at - 1];
      points_[at] = p;
    }
  }

  /// Behind the last point: no point is greater, and the owner is the first point's, so that a look-up that runs past
  /// the end needs no special case.
  void close() noexcept {
    const std::uint32_t first = size_ == 0 ? no_node : owner(0);
    std::fill(points_.begin() + static_cast<std::ptrdiff_t>(size_), points_.end(),
              point(std::numeric_limits<std::uint32_t>::max(), first));
  }

  std::vector<std::uint64_t> points_;  // position in the upper half, owner in the lower
  std::vector<std::uint32_t> starts_;  // for each value of the upper bits: the first point that has it, or comes after
  std::size_t size_;
  int index_shift_ = 0;
};

}  // namespace banyan::detail
