#pragma once

#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <bit>
#include <cstdint>

namespace banyan::detail {

/// Finds slots by hash: plain chained hashing over arrays, allocated once. 12 to 16 bytes per slot.
///
/// Every operation is O(1) expected. Sequential code.
class slot_index {
 public:
  slot_index() = default;

  /// For slots in [0, `slots`), of which about `expected` are in at a time.
  slot_index(std::uint32_t slots, std::uint32_t expected)
      : shift_{32u - static_cast<std::uint32_t>(std::bit_width(expected | 1u))},
        heads_{std::size_t{1} << (32u - shift_)},
        chain_{slots},
        hashes_{slots} {}

  /// The slot that was inserted with this hash, the latest when there are several; `no_slot` when there is none.
  [[nodiscard]] slot_id find(std::uint32_t hash) const noexcept {
    std::uint32_t link = heads_[bucket(hash)];
    while (link != 0 && hashes_[link - 1] != hash) link = chain_[link - 1];
    return link - 1;
  }

  void insert(slot_id slot, std::uint32_t hash) noexcept {
    std::uint32_t& head = heads_[bucket(hash)];
    hashes_[slot] = hash;
    chain_[slot] = head;
    head = slot + 1;
  }

  /// Takes out a slot that is in.
  void remove(slot_id slot) noexcept {
    std::uint32_t* link = &heads_[bucket(hashes_[slot])];
    while (*link != slot + 1) link = &chain_[*link - 1];
    *link = chain_[slot];
  }

  /// The hash that the slot was last inserted with.
  [[nodiscard]] std::uint32_t hash(slot_id slot) const noexcept { return hashes_[slot]; }

 private:
  [[nodiscard]] std::size_t bucket(std::uint32_t hash) const noexcept { return (hash * 0x9e3779b1u) >> shift_; }

  std::uint32_t shift_ = 31;
  zeroed_array<std::uint32_t> heads_;  // a slot plus one; 0 ends a chain
  zeroed_array<std::uint32_t> chain_;
  zeroed_array<std::uint32_t> hashes_;
};

}  // namespace banyan::detail
