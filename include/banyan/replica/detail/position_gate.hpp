#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace banyan::detail {

/// A position that goes forward, and the least one that somebody waits for. It does not know who waits: it counts up
/// `turn` whenever there may be somebody to wake, and tells its caller to wake all who sleep on that number.
///
/// A waiter for `target`, between `enter` and `leave`:    One who advances to `p`:
///   1. reads `turn`                                         1. raises the position to p
///   2. `want(target)`: looks at the position, lowers        2. if anybody has entered, and p >= least:
///      the least wanted to target, looks again                 counts up `turn`, wakes all
///   3. sleeps while `turn` is what it was in 1
///
/// Waiter and advancer each write one thing and then read the other's, sequentially consistent: at least one of them
/// sees what the other did. `least` is not raised by those who advance. It is stale once the position has reached it;
/// then the next waiter replaces it, and counts up `turn` as well, since another may have relied on the old one for a
/// later position that is noted nowhere now.
///
///     least:  none -> T          nobody has waited yet
///             T -> T' < T        an earlier position is wanted
///             T (stale) -> T'    counts up turn
///
/// Lock-free: another try means that somebody else changed the word.
template <template <class> class Atomic = std::atomic>
class position_gate {
 public:
  explicit position_gate(Atomic<std::uint32_t>& turn) noexcept : turn_{turn} {}

  [[nodiscard]] std::uint64_t position() const noexcept {
    return position_.load(std::memory_order_acquire);  // (1) acquire: pairs with the release part of (2)
  }

  /// False when it is there already, or further. `wake`: whether to wake all who sleep on `turn`.
  bool advance(std::uint64_t to, bool& wake) noexcept {
    std::uint64_t now = position_.load(std::memory_order_seq_cst);
    bool advanced = false;
    while (to > now && !advanced) {
      advanced = position_.compare_exchange_weak(now, to, std::memory_order_seq_cst);  // (2) pairs with (1)
    }
    // Also when another brought it here: that one may have been stopped before it woke anybody.
    const std::uint64_t at = advanced ? to : now;
    wake = waiting_.load(std::memory_order_seq_cst) != 0 && least_.load(std::memory_order_seq_cst) <= at;
    if (wake) turn_.fetch_add(1, std::memory_order_seq_cst);
    return advanced;
  }

  void enter() noexcept { waiting_.fetch_add(1, std::memory_order_seq_cst); }
  void leave() noexcept { waiting_.fetch_sub(1, std::memory_order_seq_cst); }

  /// To be read before `want`, and slept on after it.
  [[nodiscard]] std::uint32_t turn() const noexcept { return turn_.load(std::memory_order_seq_cst); }

  /// True when the position has been reached. `wake`: as above.
  [[nodiscard]] bool want(std::uint64_t target, bool& wake) noexcept {
    wake = false;
    std::uint64_t least = least_.load(std::memory_order_seq_cst);
    for (;;) {
      const std::uint64_t at = position_.load(std::memory_order_seq_cst);
      if (at >= target) return true;
      const bool stale = least <= at;
      if (!stale && least <= target) return false;
      if (!least_.compare_exchange_weak(least, target, std::memory_order_seq_cst)) continue;
      if (stale) {
        turn_.fetch_add(1, std::memory_order_seq_cst);
        wake = true;
      }
      return position_.load(std::memory_order_seq_cst) >= target;
    }
  }

 private:
  Atomic<std::uint32_t>& turn_;
  Atomic<std::uint64_t> position_{0};
  Atomic<std::uint64_t> least_{std::numeric_limits<std::uint64_t>::max()};
  Atomic<std::uint32_t> waiting_{0};
};

}  // namespace banyan::detail
