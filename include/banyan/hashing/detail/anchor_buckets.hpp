#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/multiply_high.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/jump_back_hash.hpp>

namespace banyan::detail {

/// Buckets numbered from 0, any of which may go and come back, and the one among them that a key belongs to. Each
/// bucket carries the number of its owner.
///
/// AnchorHash keeps, for each bucket that went, how many there were just after, and which bucket took its place: a key
/// that falls on it is hashed again over those that were there then. Where the original starts with a number below a
/// fixed capacity, this starts with jump-back hashing over all buckets there ever were, which can grow without end.
class anchor_buckets {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return working_; }
  [[nodiscard]] std::size_t memory() const noexcept {
    return buckets_.capacity() * sizeof(bucket) + (order_.capacity() + place_.capacity() + gone_.capacity()) * 4;
  }

  /// The owner of the key's bucket; `no_node` when there are no buckets. Expected O(1 + log(all / working)).
  [[nodiscard]] std::uint32_t find(std::uint64_t key) const noexcept {
    if (working_ == 0) return no_node;
    std::uint32_t at = jump_back_hash(key, static_cast<std::uint32_t>(buckets_.size()));
    while (buckets_[at].left_behind > 0) {
      const std::uint32_t left_behind = buckets_[at].left_behind;
      // A number among those left when `at` went; of these, one that went earlier had been replaced by then.
      auto next = static_cast<std::uint32_t>(multiply_high(mix_bits(key ^ ((at + 1) * step)), left_behind));
      while (buckets_[next].left_behind >= left_behind) next = buckets_[next].other;
      at = next;
    }
    return buckets_[at].other;
  }

  /// Brings back the bucket that went last, or adds a new one; its number. Amortised O(1). Throws `std::bad_alloc`, and
  /// then nothing has changed.
  std::uint32_t add(std::uint32_t owner) {
    if (gone_.empty()) {
      const auto fresh = static_cast<std::uint32_t>(buckets_.size());
      // Room in all lists first, so that none can fail half-way.
      grow(buckets_);
      grow(order_);
      grow(place_);
      grow(gone_);
      buckets_.push_back({0, owner});
      order_.push_back(fresh);
      place_.push_back(fresh);
      ++working_;
      return fresh;
    }
    const std::uint32_t back = gone_.back();
    gone_.pop_back();
    place_[order_[working_]] = static_cast<std::uint32_t>(working_);
    order_[place_[back]] = back;
    buckets_[back] = {0, owner};
    ++working_;
    return back;
  }

  /// Takes a bucket out that is there. O(1); never fails.
  void remove(std::uint32_t at) noexcept {
    if (gone_.empty() && at + 1 == buckets_.size()) {
      // The last of all, and none is missing: as if it had never been.
      buckets_.pop_back();
      order_.pop_back();
      place_.pop_back();
      --working_;
      return;
    }
    gone_.push_back(at);  // has room: see add
    --working_;
    const std::uint32_t last = order_[working_];
    order_[place_[at]] = last;
    place_[last] = place_[at];
    buckets_[at] = {static_cast<std::uint32_t>(working_), last};
  }

  void set_owner(std::uint32_t at, std::uint32_t owner) noexcept { buckets_[at].other = owner; }

 private:
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15U;

  struct bucket {
    std::uint32_t left_behind;  // how many buckets there were after this one went; 0 while it is there
    std::uint32_t other;        // its owner while it is there, then the bucket that took its place
  };

  template <class T>
  void grow(std::vector<T>& list) {
    const std::size_t needed = buckets_.size() + 1;
    if (list.capacity() < needed) list.reserve(needed * 2);
  }

  std::vector<bucket> buckets_;
  std::vector<std::uint32_t> order_;  // the buckets that are there, first; behind them what stood there last
  std::vector<std::uint32_t> place_;  // where in `order_` each bucket stands, or stood
  std::vector<std::uint32_t> gone_;   // last in, first out
  std::size_t working_ = 0;
};

}  // namespace banyan::detail
