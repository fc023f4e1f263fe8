#pragma once

#include <banyan/cache/detail/logical_clock.hpp>
#include <banyan/cache/detail/newcomer_ring.hpp>
#include <banyan/cache/detail/ranked_marks.hpp>
#include <banyan/cache/detail/shortlist.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <cstdint>

namespace banyan {

/// Least frequently used: the entry with the fewest accesses since it came in leaves first; among equals, the one
/// whose last access is longest ago.
///
/// When to use: popularity that does not change, or as the yardstick for the others. When not to: nothing ages here,
/// so what was popular once stays (`tinylfu_policy` forgets).
///
/// A ranked policy: a mark holds the number of accesses in its upper 24 bits, saturating, and the logical time of the
/// last one in its lower 40. In one thread the order is exact up to 512 slots. Above, one-timers leave in order of
/// arrival when they are few, from a ring of the newcomers: else each would be hard to find among entries that are
/// asked for more often. When they are many or none is left, the victim is among the lowest 3 in a hundred (see
/// `detail::ranked_marks`). Two threads that hit one entry at the same moment may count one access.
///
/// A hit is a load and a release store of the entry's mark.
///
/// Memory: 8 bytes per slot and 0.5 to 1 per entry. `stamp`, `touch`, `rank`, `claim`, `vacate`: O(1), wait-free.
/// `victim`: lock-free; some 32 marks read on average above 512 slots, all of them below.
class lfu_policy {
 public:
  struct local {
    detail::logical_clock::local clock;
    detail::ranked_marks::local sweep;
  };

  explicit lfu_policy(const policy_limits& limits)
      : words_{limits.slots},
        places_{detail::newcomer_ring::size_for(limits.entries / 16)},
        marks_{words_, limits.seed},
        newcomers_{places_} {}

  void stamp(slot_id slot, std::uint32_t, local& own) noexcept {
    const std::uint64_t mark = one_access | (clock_.shared_tick(own.clock) & time_mask);
    marks_.store(slot, mark);
    newcomers_.push(slot, static_cast<std::uint32_t>(mark));
  }

  void touch(slot_id slot, std::uint32_t, local& own) noexcept {
    const std::uint64_t count = marks_.load(slot) & ~time_mask;
    const std::uint64_t more = count + one_access;
    marks_.store(slot, (more != 0 ? more : count) | (clock_.tick(own.clock) & time_mask));
  }

  [[nodiscard]] std::uint64_t rank(slot_id slot) const noexcept { return marks_.load(slot); }

  [[nodiscard]] slot_id victim(slot_id keep, std::uint32_t high_water, local& own) noexcept {
    if (high_water <= detail::ranked_marks::exact_limit) return marks_.lowest(keep, high_water, own.sweep);
    const slot_id newcomer = one_timer();
    if (newcomer != no_slot && newcomer != keep && marks_.load(newcomer) <= marks_.threshold()) return newcomer;
    const slot_id swept = marks_.lowest(keep, high_water, own.sweep);
    const slot_id touched = touched_.lowest(keep, marks_);
    if (touched == no_slot || touched == swept) return swept;
    if (swept != no_slot && marks_.load(touched) - 1 >= marks_.load(swept) - 1) return swept;
    if (swept != no_slot) touched_.offer(swept, marks_);
    return touched;
  }

  bool claim(slot_id slot) noexcept { return marks_.claim(slot); }

  void vacate(slot_id slot) noexcept { marks_.store(slot, 0); }

 private:
  static constexpr int time_bits = 40;
  static constexpr std::uint64_t one_access = std::uint64_t{1} << time_bits;
  static constexpr std::uint64_t time_mask = one_access - 1;

  // The oldest newcomer that was never asked for. Those met on the way that were go to the short list.
  [[nodiscard]] slot_id one_timer() noexcept {
    const auto untouched = [this](slot_id slot, std::uint32_t check) {
      const std::uint64_t mark = marks_.load(slot);
      return mark >> time_bits == 1 && static_cast<std::uint32_t>(mark) == check;
    };
    return newcomers_.oldest(untouched, [this](slot_id slot) { touched_.offer(slot, marks_); });
  }

  zeroed_array<detail::ranked_marks::mark> words_;
  zeroed_array<detail::newcomer_ring::place_word> places_;
  detail::ranked_marks marks_;
  detail::logical_clock clock_;
  detail::newcomer_ring newcomers_;
  detail::shortlist touched_;  // the lowest that are known, but for the one-timers
};

static_assert(ranked_policy<lfu_policy>);

}  // namespace banyan
