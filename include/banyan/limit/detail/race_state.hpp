#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>

namespace banyan::detail {

/// A race of a few attempts, in one word: whether it is over, how many have started, which of them have failed.
///
///     running --win-------------------------> over      an attempt succeeded first
///     running --fail, the last that runs----> over      all that had started have failed
///     running --win, by nobody's attempt----> over      given up
///
/// Exactly one call ends the race, and is told so. What an attempt wrote before it failed is seen by who ends the race
/// and finds it among the failed.
template <template <class> class Atomic = std::atomic>
class race_state {
 public:
  static constexpr std::uint32_t most = 8;

  /// The number of a new attempt; none when the race is over or has `most`. Lock-free.
  std::optional<std::uint32_t> enter() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & over_bit) == 0 && started(seen) < most) {
      // (1) acquire, release: pairs with (1)-(3).
      if (word_.compare_exchange_weak(seen, seen + one_started, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        return started(seen);
      }
    }
    return std::nullopt;
  }

  /// Ends the race; false if it was over. Wait-free.
  bool win() noexcept {
    return (word_.fetch_or(over_bit, std::memory_order_acq_rel) & over_bit) == 0;  // (2) pairs with (1)-(3)
  }

  /// Attempt `number` has failed. True if that ends the race. Lock-free.
  bool fail(std::uint32_t number) noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & over_bit) == 0) {
      std::uint32_t next = seen | first_failed << number;
      const bool last = failures(next) == started(next);
      if (last) next |= over_bit;
      // (3) acquire, release: pairs with (1)-(3).
      if (word_.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed)) return last;
    }
    return false;
  }

  // These acquires pair with the releases of (1)-(3).
  [[nodiscard]] bool over() const noexcept { return (word_.load(std::memory_order_acquire) & over_bit) != 0; }

  /// Whether attempt `number` failed before the end. Does not change any more once the race is over.
  [[nodiscard]] bool has_failed(std::uint32_t number) const noexcept {
    return (word_.load(std::memory_order_acquire) & first_failed << number) != 0;  // pairs with (3)
  }
  [[nodiscard]] std::uint32_t started() const noexcept { return started(word_.load(std::memory_order_acquire)); }
  [[nodiscard]] std::uint32_t failures() const noexcept { return failures(word_.load(std::memory_order_acquire)); }

 private:
  static constexpr std::uint32_t over_bit = 1;
  static constexpr std::uint32_t first_failed = 1U << 8;  // bits 8 to 15
  static constexpr std::uint32_t one_started = 1U << 16;

  static constexpr std::uint32_t started(std::uint32_t word) noexcept { return word / one_started; }
  static constexpr std::uint32_t failures(std::uint32_t word) noexcept {
    return static_cast<std::uint32_t>(std::popcount(word & (0xffU * first_failed)));
  }

  Atomic<std::uint32_t> word_{0};
};

}  // namespace banyan::detail
