#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace banyan::detail {

/// A balance of what was put in and taken out during the last few slots of time; what is older is forgotten. Each slot
/// is a word: its number, 32 bits, and its balance, 32 bits signed.
///
/// Whoever takes adds up the others and then changes the present slot only if that is still as it was when added. So
/// two who take at the same time never take the same; what is put in meanwhile may be overlooked.
///
/// Lock-free: a repetition means that another call changed the present slot. O(slots) to take, O(1) to put.
class budget_slots {
 public:
  static constexpr std::size_t count = 10;
  static constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();  ///< that a slot can hold

  void put(std::uint32_t slot, std::int64_t amount) noexcept {
    std::atomic<std::uint64_t>& word = words_[slot % count];
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    do {
      if (number(seen) > slot) return;  // time went back: that slot is over
    } while (
        !word.compare_exchange_weak(seen, packed(slot, balance_at(seen, slot) + amount), std::memory_order_relaxed));
  }

  /// Takes `amount` if it is there on top of `reserve`, else nothing.
  bool take(std::uint32_t slot, std::int64_t amount, std::int64_t reserve) noexcept {
    std::atomic<std::uint64_t>& word = words_[slot % count];
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    do {
      if (number(seen) > slot) return false;
      const std::int64_t balance = balance_at(seen, slot);
      if (reserve + others(slot) + balance < amount || balance - amount < -most) return false;
    } while (
        !word.compare_exchange_weak(seen, packed(slot, balance_at(seen, slot) - amount), std::memory_order_relaxed));
    return true;
  }

  [[nodiscard]] std::int64_t sum(std::uint32_t slot) const noexcept {
    return others(slot) + balance_at(words_[slot % count].load(std::memory_order_relaxed), slot);
  }

 private:
  static constexpr std::uint32_t number(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32); }

  static constexpr std::int64_t balance_at(std::uint64_t word, std::uint32_t slot) noexcept {
    return number(word) == slot ? static_cast<std::int32_t>(static_cast<std::uint32_t>(word)) : 0;
  }

  static constexpr std::uint64_t packed(std::uint32_t slot, std::int64_t balance) noexcept {
    if (balance > most) balance = most;
    return (std::uint64_t{slot} << 32) | static_cast<std::uint32_t>(static_cast<std::int32_t>(balance));
  }

  [[nodiscard]] std::int64_t others(std::uint32_t slot) const noexcept {
    std::int64_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i == slot % count) continue;
      const std::uint64_t word = words_[i].load(std::memory_order_relaxed);
      // A later slot has been begun by a thread whose clock is ahead: it counts, too.
      if (number(word) + count > slot) total += balance_at(word, number(word));
    }
    return total;
  }

  std::array<std::atomic<std::uint64_t>, count> words_{};
};

}  // namespace banyan::detail
