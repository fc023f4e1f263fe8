#pragma once

/// \file
/// A few slots that are likely to leave soon.

#include <banyan/cache/detail/ranked_marks.hpp>
#include <banyan/cache/eviction_policy.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// Up to 32 slots of low mark, without order. A hint: threads may overwrite each other's slots, and what is lost that
/// way is found by the sweep later. `offer` and `lowest` read 32 marks each and are wait-free; all orders are relaxed.
class shortlist {
 public:
  /// Adds the slot, in the place of the one with the highest mark when there is no room.
  void offer(slot_id slot, const ranked_marks& marks) noexcept {
    std::size_t place = 0;
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const slot_id other = slots_[i].load(std::memory_order_relaxed) - 1;
      if (other == slot) return;
      const std::uint64_t mark = (other == no_slot ? 0 : marks.load(other)) - 1;  // vacant: the highest
      if (mark >= highest) {
        highest = mark;
        place = i;
      }
    }
    if (marks.load(slot) - 1 < highest) slots_[place].store(slot + 1, std::memory_order_relaxed);
  }

  /// The slot with the lowest mark that is not `keep`; `no_slot` if there is none.
  [[nodiscard]] slot_id lowest(slot_id keep, const ranked_marks& marks) const noexcept {
    slot_id found = no_slot;
    std::uint64_t lowest = ~std::uint64_t{0};
    for (const auto& place : slots_) {
      const slot_id slot = place.load(std::memory_order_relaxed) - 1;
      if (slot == no_slot || slot == keep) continue;
      const std::uint64_t mark = marks.load(slot) - 1;
      if (mark < lowest) {
        lowest = mark;
        found = slot;
      }
    }
    return found;
  }

 private:
  std::array<std::atomic<std::uint32_t>, 32> slots_{};  // plus one: 0 is no slot
};

}  // namespace banyan::detail
