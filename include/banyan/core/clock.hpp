#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#if defined(__linux__)
#include <ctime>
#endif

namespace banyan {

/// The clock for deadlines and ages unless a component says otherwise.
using steady_clock = std::chrono::steady_clock;

/// A steady clock that is cheaper to read and only as fine as the system's tick (1 to 10 ms). On systems without one it
/// is the steady clock. Its time points are those of `steady_clock`, behind by at most a tick. Wait-free.
class coarse_clock {
 public:
  using duration = steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = steady_clock::time_point;
  static constexpr bool is_steady = true;

  [[nodiscard]] static time_point now() noexcept {
#if defined(__linux__) && defined(CLOCK_MONOTONIC_COARSE)
    timespec time{};
    if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &time) == 0) {
      return time_point{std::chrono::duration_cast<duration>(std::chrono::seconds{time.tv_sec} +
                                                             std::chrono::nanoseconds{time.tv_nsec})};
    }
#endif
    return steady_clock::now();
  }
};

/// A clock that stands still until it is told to move, for tests. It may also be set back. One clock for each `Tag`.
/// Thread-safe, wait-free.
template <class Tag = void>
class basic_manual_clock {
 public:
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<basic_manual_clock>;
  static constexpr bool is_steady = false;

  [[nodiscard]] static time_point now() noexcept {
    return time_point{duration{ticks_.load(std::memory_order_seq_cst)}};
  }

  static void set(time_point now) noexcept { ticks_.store(now.time_since_epoch().count(), std::memory_order_seq_cst); }

  /// Negative steps go back.
  static void advance(duration step) noexcept { ticks_.fetch_add(step.count(), std::memory_order_seq_cst); }

 private:
  static inline constinit std::atomic<rep> ticks_{0};
};

/// See `basic_manual_clock`.
using manual_clock = basic_manual_clock<>;

/// Time that never goes back, for one component: what it is told is compared with the latest time it knows.
/// Thread-safe.
template <class Clock>
class monotonic {
 public:
  using time_point = typename Clock::time_point;
  using duration = typename time_point::duration;

  constexpr monotonic() noexcept = default;
  explicit constexpr monotonic(time_point start) noexcept : latest_{start.time_since_epoch().count()} {}

  /// The later of `now` and all times observed before. Lock-free: another try means that somebody brought a later time.
  time_point observe(time_point now = Clock::now()) noexcept {
    const auto ticks = now.time_since_epoch().count();
    // The number is all that is shared, so relaxed will do: one variable's values are seen in order.
    auto latest = latest_.load(std::memory_order_relaxed);
    while (latest < ticks) {
      if (latest_.compare_exchange_weak(latest, ticks, std::memory_order_relaxed)) return now;
    }
    return time_point{duration{latest}};
  }

  /// The latest time observed. Wait-free.
  [[nodiscard]] time_point latest() const noexcept {
    return time_point{duration{latest_.load(std::memory_order_relaxed)}};
  }

 private:
  std::atomic<typename duration::rep> latest_{time_point::min().time_since_epoch().count()};
};

}  // namespace banyan
