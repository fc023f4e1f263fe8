#pragma once

#include <banyan/cache/detail/slot_list.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <atomic>
#include <cstdint>

namespace banyan {

/// SIEVE: one queue in order of insertion and a hand that moves from the oldest entry to the newest. It evicts the
/// first entry that was not asked for since the hand last met it; the others stay where they are.
///
/// When to use: web and key-value loads, where few entries are asked for often; the cheapest of the good policies.
/// When not to: loads in which an entry comes back once, soon after it came in, and never again (the hand then stays
/// with the newcomers and evicts them too early).
///
/// A hit sets the entry's bit, one relaxed store, and nothing when it is set already.
///
/// Source: Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is simpler than LRU, NSDI 2024.
///
/// Memory: 9 bytes per slot. `stamp`, `touch`, `rank`: O(1), wait-free. `insert`, `erase`: O(1). `victim`: O(1)
/// amortised, since each step of the hand undoes a `touch`.
class sieve_policy {
 public:
  struct local {};

  explicit sieve_policy(const policy_limits& limits) : links_{limits.slots}, marks_{limits.slots} {}

  void stamp(slot_id slot, std::uint32_t, local&) noexcept { marks_[slot].store(fresh, std::memory_order_relaxed); }

  void touch(slot_id slot, std::uint32_t, local&) noexcept {
    if (marks_[slot].load(std::memory_order_relaxed) != visited) {
      marks_[slot].store(visited, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] std::uint64_t rank(slot_id slot) const noexcept { return marks_[slot].load(std::memory_order_relaxed); }

  void insert(slot_id slot, std::uint32_t) noexcept {
    queue_.push_newest(links_, slot);
    newest_ = slot;
  }

  void erase(slot_id slot) noexcept {
    if (hand_ == slot) hand_ = detail::slot_list::newer(links_, slot);
    if (newest_ == slot) newest_ = no_slot;
    queue_.remove(links_, slot);
  }

  [[nodiscard]] slot_id victim() noexcept {
    if (queue_.empty()) return no_slot;
    // Entries may be touched as fast as the hand clears them: after a full turn the next one leaves in any case.
    for (std::uint32_t steps = queue_.size();; --steps) {
      const slot_id slot = hand_ != no_slot ? hand_ : queue_.oldest();
      const bool leaves = steps == 0 || marks_[slot].load(std::memory_order_relaxed) != visited;
      hand_ = detail::slot_list::newer(links_, slot);
      // The entry that needs the place has joined already: the hand turns back before it, as if it had not.
      if (hand_ == newest_) hand_ = no_slot;
      if (leaves) {
        erase(slot);
        return slot;
      }
      marks_[slot].store(fresh, std::memory_order_relaxed);
    }
  }

 private:
  static constexpr std::uint8_t fresh = 0;
  static constexpr std::uint8_t visited = 1;

  detail::slot_links links_;
  zeroed_array<std::atomic<std::uint8_t>> marks_;
  detail::slot_list queue_;
  slot_id hand_ = no_slot;    // no_slot: begin with the oldest
  slot_id newest_ = no_slot;  // the last one inserted, if it is still there
};

static_assert(ordered_policy<sieve_policy>);

}  // namespace banyan
