#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace banyan::detail {

/// How many events of each class there were in the last few slots of time; what is older is forgotten. A word for each
/// class and slot: the slot's number, 32 bits, and its count, 32 bits. So a slot is begun anew class by class, by
/// whoever comes to it first, and nothing is ever swept. Slots are numbered from `slots` on; words begin as 0.
///
/// Lock-free: a repetition means that another event was counted. All words stand for themselves, so relaxed will do.
template <std::size_t Classes, template <class> class Atomic = std::atomic>
class slotted_counts {
 public:
  static constexpr std::uint32_t slots = 5;

  /// O(1). An event of a slot that another has taken the place of counts for nothing.
  void add(std::uint32_t slot, std::size_t of_class) noexcept {
    Atomic<std::uint64_t>& word = words_[slot % slots][of_class];
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    for (;;) {
      std::uint64_t next = (std::uint64_t{slot} << 32) | 1;
      if (number(seen) > slot) return;
      if (number(seen) == slot) {
        if (count(seen) == std::numeric_limits<std::uint32_t>::max()) return;
        next = seen + 1;
      }
      if (word.compare_exchange_weak(seen, next, std::memory_order_relaxed, std::memory_order_relaxed)) return;
    }
  }

  /// How many of the class there were in the slots that end with this one. A later slot, which a clock that is ahead
  /// has begun, counts, too. Wait-free, O(slots).
  [[nodiscard]] std::uint64_t sum(std::uint32_t slot, std::size_t of_class) const noexcept {
    std::uint64_t total = 0;
    for (const auto& each : words_) {
      const std::uint64_t word = each[of_class].load(std::memory_order_relaxed);
      if (std::uint64_t{number(word)} + slots > slot) total += count(word);
    }
    return total;
  }

 private:
  static constexpr std::uint32_t number(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32); }
  static constexpr std::uint32_t count(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }

  std::array<std::array<Atomic<std::uint64_t>, Classes>, slots> words_{};
};

}  // namespace banyan::detail
