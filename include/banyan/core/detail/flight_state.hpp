#pragma once

#include <atomic>
#include <cstdint>

namespace banyan::detail {

/// The life of one call of `single_flight`, in two words: one that joining, leaving, forgetting, committing and landing
/// are ordered by, and one that tells who was the last to use the result.
///
///     open --forget--> closed                    nobody joins, nothing is committed that was not
///     open, closed --land--> landed              nobody joins; the number of those that wait is fixed
///
/// Who has joined either takes its copy of the result after it was handed out, or leaves earlier. One that leaves
/// before the landing is not counted any more; after it, it counts as having taken its copy. Of the landing and of
/// those counted by it exactly one, the last, is told to clear the result.
template <template <class> class Atomic = std::atomic>
class flight_state {
 public:
  /// One more waits for the result; false when the call takes no more. Lock-free.
  bool join() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & closed) == 0) {
      // (1) acquire, release: pairs with (1)-(5).
      if (word_.compare_exchange_weak(seen, seen + one_waiter, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  /// One that has joined does not wait any more. True if the caller is to clear the result. Lock-free.
  [[nodiscard]] bool leave() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & landed) == 0) {
      // (2) acquire, release: pairs with (1)-(5).
      if (word_.compare_exchange_weak(seen, seen - one_waiter, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        return false;
      }
    }
    return copied();
  }

  /// Nobody joins any more, and a call that has not committed never will. Wait-free.
  void forget() noexcept { word_.fetch_or(forgotten | closed, std::memory_order_acq_rel); }  // (3) pairs with (1)-(5)

  /// False if the call was forgotten before; else it counts as committed from here on. Lock-free.
  bool try_commit() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    do {
      if ((seen & committed) != 0) return true;
      if ((seen & forgotten) != 0) return false;
      // (4) acquire, release: pairs with (1)-(5).
    } while (
        !word_.compare_exchange_weak(seen, seen | committed, std::memory_order_acq_rel, std::memory_order_relaxed));
    return true;
  }

  /// Nobody joins any more; returns how many wait. Wait-free.
  std::uint32_t land() noexcept {
    return word_.fetch_or(closed | landed, std::memory_order_acq_rel) / one_waiter;  // (5) pairs with (1)-(4)
  }

  /// The result is there for so many, as `land` said; above 0. True if all of them have left. Wait-free.
  [[nodiscard]] bool hand_out(std::uint32_t waiters) noexcept {
    // (6) acquire, release: pairs with (6) and (7). The word is below 0 while more have left than are counted.
    return to_copy_.fetch_add(waiters, std::memory_order_acq_rel) + waiters == 0;
  }

  /// One has taken its copy. True if it was the last. Wait-free.
  [[nodiscard]] bool copied() noexcept {
    return to_copy_.fetch_sub(1, std::memory_order_acq_rel) == 1;  // (7) pairs with (6) and (7)
  }

 private:
  static constexpr std::uint32_t committed = 1;
  static constexpr std::uint32_t forgotten = 2;
  static constexpr std::uint32_t closed = 4;
  static constexpr std::uint32_t landed = 8;
  static constexpr std::uint32_t one_waiter = 16;

  Atomic<std::uint32_t> word_{0};
  Atomic<std::uint32_t> to_copy_{0};
};

}  // namespace banyan::detail
