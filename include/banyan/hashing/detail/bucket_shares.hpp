#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <banyan/hashing/detail/bucket_quotas.hpp>
#include <banyan/hashing/detail/node_check.hpp>

namespace banyan::detail {

/// A table of 2^k buckets shared out among owners, who are numbered from 0: each has its share of them, by weight, to
/// within a bucket, and a key belongs to the owner of the bucket that its hash begins with. A change moves the buckets
/// that have to move and no others. The latest changes are remembered: one that takes back the last of them restores
/// what was before it, bucket by bucket.
///
/// A change that throws (`std::bad_alloc`) leaves all shares as they were.
class bucket_shares {
 public:
  [[nodiscard]] std::size_t owners() const noexcept { return owners_.size(); }
  [[nodiscard]] std::size_t buckets() const noexcept { return narrow_.size() + wide_.size(); }
  [[nodiscard]] std::size_t memory() const noexcept {
    return narrow_.capacity() * sizeof(std::uint16_t) + wide_.capacity() * sizeof(std::uint32_t) +
           owners_.capacity() * sizeof(bucket_owner) + moves_.capacity() * sizeof(move) +
           changes_.capacity() * sizeof(change);
  }

  /// The owner of a key's hash; `no_node` when there is none. One read.
  [[nodiscard]] std::uint32_t find(std::uint64_t hash) const noexcept {
    return owners_.empty() ? no_node : at(static_cast<std::size_t>(hash >> shift_));
  }

  /// Begins anew with owners of these weights, and at least so many buckets. O(buckets).
  void assign(std::span<const double> weights, std::size_t least_buckets) {
    bucket_shares fresh;
    if (!weights.empty()) {
      fresh.owners_.reserve(weights.size());
      for (const double weight : weights) fresh.owners_.push_back({weight, 0, fresh.next_id_++});
      fresh.make_table(size_for(least_buckets, weights.size()));
      apportion(fresh.owners_, fresh.buckets());
      std::size_t bucket = 0;
      for (std::uint32_t i = 0; i < fresh.owners_.size(); ++i) {
        for (std::uint32_t left = fresh.owners_[i].count; left > 0; --left) fresh.put(bucket++, i);
      }
    }
    *this = std::move(fresh);
  }

  /// One owner more, the last. O(buckets).
  void add(double weight, std::size_t least_buckets) {
    if (owners_.empty()) return assign({&weight, 1}, least_buckets);
    grow(size_for(least_buckets, owners_.size() + 1));
    const auto fresh = static_cast<std::uint32_t>(owners_.size());
    const bool undone = !changes_.empty() && changes_.back().what == kind::went && changes_.back().before == weight;
    if (owners_.size() == owners_.capacity()) owners_.reserve(2 * owners_.size());
    if (undone) {
      const numbering numbers = numbers_by_id(changes_.back().id);
      owners_.push_back({weight, 0, changes_.back().id});
      return undo(numbers);
    }
    const std::uint32_t wanted = wanted_by(owners_, fresh, weight, buckets());
    std::vector<std::uint32_t> given = taken_from(owners_, wanted, fresh);
    record({kind::came, next_id_, 0, 0}, wanted);
    owners_.push_back({weight, 0, next_id_++});
    take(given, fresh);
  }

  /// One owner less; those behind it move up by one. O(buckets).
  void remove(std::uint32_t gone) {
    if (owners_.size() == 1) return assign({}, 0);
    const bucket_owner& leaving = owners_[gone];
    if (!changes_.empty() && changes_.back().what == kind::came && changes_.back().id == leaving.id) {
      undo(numbers_by_id(nobody));
    } else {
      const std::vector<std::uint32_t> heirs = given_to(owners_, leaving.count, gone);
      record({kind::went, leaving.id, leaving.weight, 0}, leaving.count);
      give(heirs, gone);
    }
    owners_.erase(owners_.begin() + gone);
    for (std::uint16_t& each : narrow_) each = static_cast<std::uint16_t>(each - (each > gone ? 1 : 0));
    for (std::uint32_t& each : wide_) each -= each > gone ? 1U : 0U;
  }

  /// Another weight for an owner. O(buckets).
  void reweigh(std::uint32_t which, double weight) {
    if (owners_[which].weight == weight) return;
    bucket_owner& changed = owners_[which];
    if (!changes_.empty() && changes_.back().what == kind::reweighed && changes_.back().id == changed.id &&
        changes_.back().before == weight) {
      undo(numbers_by_id(nobody));
    } else {
      // What an owner has may be rounded the other way; it is not to lose buckets for that when its weight grows.
      const bool more = weight > changed.weight;
      std::uint32_t wanted = wanted_by(owners_, which, weight, buckets());
      wanted = more ? std::max(wanted, changed.count) : std::min(wanted, changed.count);
      const std::uint32_t moved = more ? wanted - changed.count : changed.count - wanted;
      std::vector<std::uint32_t> others = more ? taken_from(owners_, moved, which) : given_to(owners_, moved, which);
      record({kind::reweighed, changed.id, changed.weight, 0}, moved);
      more ? take(others, which) : give(others, which);
    }
    changed.weight = weight;
  }

 private:
  enum class kind : std::uint32_t { came, went, reweighed };
  struct change {
    kind what;
    std::uint32_t id;
    double before;  // its weight
    std::size_t first_move;
  };
  struct move {
    std::uint32_t bucket;
    std::uint32_t from;  // the id of its owner before
  };
  using numbering = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // id and number, sorted
  static constexpr std::uint32_t nobody = no_node;

  static constexpr std::size_t small_table = 16'384;

  [[nodiscard]] static std::size_t size_for(std::size_t least_buckets, std::size_t owners) noexcept {
    return std::bit_ceil(std::max({least_buckets, owners, std::size_t{2}}));
  }

  [[nodiscard]] std::uint32_t at(std::size_t bucket) const noexcept {
    return wide_.empty() ? narrow_[bucket] : wide_[bucket];
  }
  void put(std::size_t bucket, std::uint32_t to) noexcept {
    if (wide_.empty()) {
      narrow_[bucket] = static_cast<std::uint16_t>(to);
    } else {
      wide_[bucket] = to;
    }
  }

  [[nodiscard]] static bool fits_narrow(std::size_t owners) noexcept {
    return owners <= std::numeric_limits<std::uint16_t>::max();
  }

  void make_table(std::size_t size) {
    if (fits_narrow(owners_.size())) {
      narrow_.resize(size);
    } else {
      wide_.resize(size);
    }
    shift_ = 64 - std::countr_zero(size);
  }

  /// Splits every bucket until there are so many, which moves no key; and makes room for one owner more.
  void grow(std::size_t size) {
    const std::size_t before = buckets();
    size = std::max(size, before);
    const bool widen = wide_.empty() && !fits_narrow(owners_.size() + 1);
    if (size == before && !widen) return;
    const int split = std::countr_zero(size) - std::countr_zero(before);
    std::vector<std::uint16_t> narrow(wide_.empty() && !widen ? size : 0);
    std::vector<std::uint32_t> wide(narrow.empty() ? size : 0);
    std::vector<move> moves;
    moves.reserve(moves_.size() << split);
    for (std::size_t i = 0; i < narrow.size(); ++i) narrow[i] = narrow_[i >> split];
    for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = at(i >> split);
    for (const move& each : moves_) {
      for (std::uint32_t i = 0; i < 1U << split; ++i) moves.push_back({(each.bucket << split) + i, each.from});
    }
    narrow_ = std::move(narrow);
    wide_ = std::move(wide);
    moves_ = std::move(moves);
    for (change& each : changes_) each.first_move <<= split;
    for (bucket_owner& each : owners_) each.count <<= split;
    shift_ -= split;
  }

  /// Room for a change and its moves. The oldest are forgotten, so that those remembered moved a quarter of all buckets
  /// at most; in a small table all.
  void record(change next, std::size_t moves) {
    const std::size_t most = std::max(std::min(buckets(), small_table), buckets() / 4);
    std::size_t forget = 0;
    const auto kept_from = [&] { return forget < changes_.size() ? changes_[forget].first_move : moves_.size(); };
    while (forget < changes_.size() && moves_.size() - kept_from() + moves > most) ++forget;
    const std::size_t first = kept_from();
    const auto room = [&](auto& list, std::size_t size) {
      if (list.capacity() < size) list.reserve(std::max(size, std::min(list.capacity() * 2, most)));
    };
    room(changes_, changes_.size() - forget + 1);
    room(moves_, moves_.size() - first + moves);
    moves_.erase(moves_.begin(), moves_.begin() + static_cast<std::ptrdiff_t>(first));
    changes_.erase(changes_.begin(), changes_.begin() + static_cast<std::ptrdiff_t>(forget));
    for (change& each : changes_) each.first_move -= first;
    next.first_move = moves_.size();
    changes_.push_back(next);
  }

  void hand_over(std::size_t bucket, std::uint32_t from, std::uint32_t to) noexcept {
    moves_.push_back({static_cast<std::uint32_t>(bucket), owners_[from].id});  // has room: see record
    --owners_[from].count;
    ++owners_[to].count;
    put(bucket, to);
  }

  void take(std::vector<std::uint32_t>& given, std::uint32_t to) noexcept {
    for (std::size_t bucket = 0; bucket < buckets(); ++bucket) {
      const std::uint32_t from = at(bucket);
      if (given[from] == 0) continue;
      --given[from];
      hand_over(bucket, from, to);
    }
  }

  void give(const std::vector<std::uint32_t>& heirs, std::uint32_t from) noexcept {
    auto heir = heirs.begin();
    for (std::size_t bucket = 0; heir != heirs.end(); ++bucket) {
      if (at(bucket) == from) hand_over(bucket, from, *heir++);
    }
  }

  /// `last`: the id of an owner that is about to be added behind the others, or nobody.
  [[nodiscard]] numbering numbers_by_id(std::uint32_t last) const {
    numbering numbers;
    numbers.reserve(owners_.size() + 1);
    for (const bucket_owner& each : owners_) numbers.emplace_back(each.id, static_cast<std::uint32_t>(numbers.size()));
    if (last != nobody) numbers.emplace_back(last, static_cast<std::uint32_t>(numbers.size()));
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

  /// Takes back the last change.
  void undo(const numbering& numbers) noexcept {
    const std::size_t first = changes_.back().first_move;
    for (std::size_t i = first; i < moves_.size(); ++i) {
      const std::uint32_t to =
          std::lower_bound(numbers.begin(), numbers.end(), std::pair{moves_[i].from, std::uint32_t{0}})->second;
      --owners_[at(moves_[i].bucket)].count;
      ++owners_[to].count;
      put(moves_[i].bucket, to);
    }
    moves_.erase(moves_.begin() + static_cast<std::ptrdiff_t>(first), moves_.end());
    changes_.pop_back();
  }

  std::vector<std::uint16_t>
      narrow_;  // the owner of each bucket; used unless there are too many owners: half the memory
  std::vector<std::uint32_t> wide_;
  int shift_ = 63;
  std::uint32_t next_id_ = 0;
  std::vector<bucket_owner> owners_;
  std::vector<change> changes_;  // the latest last
  std::vector<move> moves_;
};

}  // namespace banyan::detail
