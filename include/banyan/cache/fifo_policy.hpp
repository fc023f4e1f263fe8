#pragma once

#include <banyan/cache/detail/logical_clock.hpp>
#include <banyan/cache/detail/ranked_marks.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <cstdint>

namespace banyan {

/// First in, first out: the entry that has been longest in the cache leaves first, however often it was asked for.
///
/// When to use: hits must write nothing at all, or entries age out anyway. When not to: nearly always another policy
/// hits more; `sieve_policy` costs about as little.
///
/// A ranked policy: an entry's mark is the logical time of its insertion. In one thread the order is exact up to 512
/// slots; above, the victim is among the oldest 3 in a hundred (see `detail::ranked_marks`).
///
/// Memory: 8 bytes per slot. `stamp`, `rank`, `claim`, `vacate`: O(1), wait-free; `touch` does nothing. `victim`:
/// lock-free; some 32 marks read on average above 512 slots, all of them below.
class fifo_policy {
 public:
  struct local {
    detail::logical_clock::local clock;
    detail::ranked_marks::local sweep;
  };

  explicit fifo_policy(const policy_limits& limits) : words_{limits.slots}, marks_{words_, limits.seed} {}

  void stamp(slot_id slot, std::uint32_t, local& own) noexcept { marks_.store(slot, clock_.shared_tick(own.clock)); }

  void touch(slot_id, std::uint32_t, local&) noexcept {}

  [[nodiscard]] std::uint64_t rank(slot_id slot) const noexcept { return marks_.load(slot); }

  [[nodiscard]] slot_id victim(slot_id keep, std::uint32_t high_water, local& own) noexcept {
    return marks_.lowest(keep, high_water, own.sweep);
  }

  [[nodiscard]] slot_id upcoming(std::uint32_t high_water, local& own) const noexcept {
    return marks_.upcoming(high_water, own.sweep);
  }

  bool claim(slot_id slot) noexcept { return marks_.claim(slot); }

  void vacate(slot_id slot) noexcept { marks_.store(slot, 0); }

 private:
  zeroed_array<detail::ranked_marks::mark> words_;
  detail::ranked_marks marks_;
  detail::logical_clock clock_;
};

static_assert(ranked_policy<fifo_policy>);

}  // namespace banyan
