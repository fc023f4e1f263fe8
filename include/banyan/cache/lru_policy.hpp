#pragma once

#include <banyan/cache/detail/logical_clock.hpp>
#include <banyan/cache/detail/ranked_marks.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <cstdint>

namespace banyan {

/// Least recently used: the entry whose last access is longest ago leaves first.
///
/// When to use: recency is what matters, or as the yardstick for the others. When not to: scans and loops larger than
/// the cache push everything out (`s3fifo_policy`, `tinylfu_policy`).
///
/// A ranked policy: an entry's mark is the logical time of its last access. In one thread the order is exact up to 512
/// slots; above, the victim is among the least recent 3 in a hundred (see `detail::ranked_marks`). Threads count time
/// each for itself and catch up now and then (see `detail::logical_clock`).
///
/// A hit stores the time to the entry's mark, one release store, and not even that when the entry is the newest
/// already, or, in caches of more than 4,096 entries, when its mark is younger than 1/64 of the entries in accesses:
/// so the cache lines of the hottest entries stay shared.
///
/// Memory: 8 bytes per slot. `stamp`, `touch`, `rank`, `claim`, `vacate`: O(1), wait-free. `victim`: lock-free; some 32
/// marks read on average above 512 slots, all of them below.
class lru_policy {
 public:
  struct local {
    detail::logical_clock::local clock;
    detail::ranked_marks::local sweep;
  };

  explicit lru_policy(const policy_limits& limits)
      : words_{limits.slots}, marks_{words_, limits.seed}, slack_{limits.entries > 4096 ? limits.entries / 64 : 0} {}

  void stamp(slot_id slot, std::uint32_t, local& own) noexcept { marks_.store(slot, clock_.shared_tick(own.clock)); }

  void touch(slot_id slot, std::uint32_t, local& own) noexcept {
    const std::uint64_t seen = marks_.load(slot);
    if (seen >= own.clock.now) {
      // The newest as far as this thread knows. Two threads on one key agree here and write nothing more.
      detail::logical_clock::catch_up(own.clock, seen);
      return;
    }
    const std::uint64_t now = clock_.tick(own.clock);
    if (now - seen > slack_) marks_.store(slot, now);
  }

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
  std::uint32_t slack_;  // ticks
  detail::logical_clock clock_;
};

static_assert(ranked_policy<lru_policy>);

}  // namespace banyan
