#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include <banyan/core/detail/add_sat.hpp>

namespace banyan::detail {

/// How long one may wait in a queue: `interval` if it has been empty at some moment within the last `interval`, else
/// `target`. As long as it is empty from time to time it evens out bursts; else whoever waits long waits in vain.
/// Lock-free: a repetition means that somebody brought a later time. All in nanoseconds.
///
/// Source: B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015.
template <template <class> class Atomic = std::atomic>
class queue_patience {
 public:
  queue_patience(std::int64_t interval, std::int64_t target) noexcept : interval_{interval}, target_{target} {}

  /// For one who joins; `empty`: nobody waited, and the queue was empty up to now.
  [[nodiscard]] std::int64_t of(bool empty, std::int64_t now) noexcept {
    // The number is all that is shared, so relaxed will do.
    std::int64_t last = last_empty_.load(std::memory_order_relaxed);
    if (empty) {
      while (last < now && !last_empty_.compare_exchange_weak(last, now, std::memory_order_relaxed)) {
      }
      return interval_;
    }
    return add_sat(last, interval_) >= now ? interval_ : target_;
  }

 private:
  std::int64_t interval_;
  std::int64_t target_;
  Atomic<std::int64_t> last_empty_{std::numeric_limits<std::int64_t>::min()};
};

}  // namespace banyan::detail
