#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include <banyan/core/invalid_option.hpp>
#include <banyan/replica/detail/stamp_counter.hpp>
#include <banyan/replica/hybrid_time.hpp>

namespace banyan {

struct hybrid_clock_options {
  /// Times from others that are further ahead of this node's wall clock are refused. From 1 ms to a year.
  std::chrono::milliseconds max_drift = std::chrono::milliseconds{500};
};

/// Time stamps that respect cause and effect across nodes, and stay close to wall time: each is later than all that
/// this clock gave or took before.
///
///     message.time = clock.now();                        // on every write and message
///     if (!clock.observe(message.time)) reject(message);  // on every one that comes in
///
/// A node whose wall clock is far ahead would drag all others with it: `observe` refuses its times and changes nothing.
/// When this node's own wall clock is set back, time goes on by the counter (and its overflow, 65,536 stamps to a
/// millisecond) until the wall clock has caught up; `ahead` tells how far there is to go. At the end of its numbers
/// (the year 10889) it gives the last one again and again: do not begin with a `last` that is damaged.
///
/// `Clock`: its epoch must be 1970, as the system clock's is. Thread-safe. All calls are lock-free (another try means
/// that another thread got a stamp), O(1).
///
/// Source: S. Kulkarni et al., "Logical physical clocks", OPODIS 2014, in its 64-bit form. The refusal is CockroachDB's
/// max-offset, 500 ms there as well.
template <class Clock = std::chrono::system_clock>
class hybrid_clock {
 public:
  using time_point = typename Clock::time_point;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit hybrid_clock(hybrid_clock_options options = {}) : max_drift_{checked(options)} {}

  /// To go on where another clock ended, such as this node's before its last restart: all stamps will be later than
  /// `last`.
  hybrid_clock(hybrid_time last, hybrid_clock_options options) : max_drift_{checked(options)}, stamps_{last.packed()} {}

  /// A stamp later than all before.
  hybrid_time now(time_point wall = Clock::now()) noexcept { return advance(0, packed(wall)); }

  /// Takes notice of a time from elsewhere, and gives a stamp later than it. Nothing, and no change, when it is too far
  /// ahead.
  std::optional<hybrid_time> observe(hybrid_time received, time_point wall = Clock::now()) noexcept {
    const std::uint64_t here = packed(wall);
    if (received.milliseconds() > (here >> hybrid_time::logical_bits) + max_drift_) return std::nullopt;
    return advance(received.packed(), here);
  }

  /// The latest stamp given.
  [[nodiscard]] hybrid_time latest() const noexcept { return hybrid_time::from_packed(stamps_.latest()); }

  /// How far the clock is ahead of wall time; 0 when it is not.
  [[nodiscard]] std::chrono::milliseconds ahead(time_point wall = Clock::now()) const noexcept {
    const std::uint64_t own = latest().milliseconds();
    const std::uint64_t here = packed(wall) >> hybrid_time::logical_bits;
    return std::chrono::milliseconds{own > here ? static_cast<std::int64_t>(own - here) : 0};
  }

 private:
  static std::uint64_t checked(const hybrid_clock_options& options) {
    constexpr auto longest = std::chrono::hours{24 * 366};
    if (options.max_drift < std::chrono::milliseconds{1} || options.max_drift > longest)
      invalid_option("hybrid_clock_options.max_drift", options.max_drift.count(), "must be from 1 ms to a year");
    return static_cast<std::uint64_t>(options.max_drift.count());
  }

  static std::uint64_t packed(time_point wall) noexcept {
    const std::int64_t count = std::chrono::floor<std::chrono::milliseconds>(wall.time_since_epoch()).count();
    const auto within = std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(hybrid_time::max_milliseconds));
    return static_cast<std::uint64_t>(within) << hybrid_time::logical_bits;
  }

  hybrid_time advance(std::uint64_t received, std::uint64_t wall) noexcept {
    // One more counts within the millisecond, and runs over into the next one.
    return hybrid_time::from_packed(stamps_.next(received, wall));
  }

  const std::uint64_t max_drift_;  // milliseconds
  detail::stamp_counter<> stamps_;
};

}  // namespace banyan
