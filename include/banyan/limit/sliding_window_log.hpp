#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <banyan/core/clock.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/zeroed_array.hpp>
#include <banyan/limit/detail/log_ring.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/rate_decision.hpp>

namespace banyan {

struct sliding_window_log_options {
  std::uint64_t limit = 0;             ///< tokens in any window; from 1 to 2^32; each costs 8 bytes
  std::chrono::nanoseconds window{0};  ///< above 0, at most a year
};

/// Admits at most `limit` tokens in any window of time, exactly: it remembers when each of the last `limit` was
/// admitted.
///
/// Promised: over any interval (t - window, t], by the clock that is ahead, at most `limit`. A request with an older
/// `now` is taken as of the latest time at which anything was admitted. Not less either, but that a thread that stops
/// right within its admission may be taken to have been admitted later.
///
/// Memory: 8 bytes for each token of the limit, committed as it is used. Lock-free; O(n + log(limit)) for n tokens; an
/// admission writes n entries and two shared words, a refusal writes nothing. Thread-safe.
template <class Clock = steady_clock>
class sliding_window_log {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using options = sliding_window_log_options;

  /// Throws `std::invalid_argument` when an option is out of its range, and `std::bad_alloc`.
  explicit sliding_window_log(sliding_window_log_options wanted, time_point now = Clock::now())
      : slots_{static_cast<std::size_t>(checked(wanted).limit)},
        ring_{{slots_.data(), slots_.size()}, static_cast<std::uint64_t>(wanted.window.count())} {
    const std::int64_t from = detail::clamped_nanoseconds(now);
    zero_ = from < earliest + before ? earliest : from - before;
  }

  sliding_window_log(const sliding_window_log&) = delete;
  sliding_window_log& operator=(const sliding_window_log&) = delete;

  /// Records `n` tokens if they fit, else nothing. `never` when `n` is above the limit; 0 always fit.
  rate_decision try_acquire(std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    const std::uint64_t limit = slots_.size();
    if (n > limit) return rate_decision::refuse_forever();
    if (n == 0) return rate_decision::admit(0);
    const auto done = ring_.take(n, time_of(now));
    const std::uint64_t left = limit - std::min(done.used, limit);
    return done.admitted ? rate_decision::admit(left)
                         : rate_decision::refuse(std::chrono::nanoseconds{static_cast<std::int64_t>(done.wait)}, left);
  }

 private:
  static constexpr std::int64_t earliest = std::numeric_limits<std::int64_t>::min();
  // Times are counted from two years before construction: above the longest window.
  static constexpr std::int64_t before = std::int64_t{2} * 366 * 24 * 3600 * 1'000'000'000;

  static const sliding_window_log_options& checked(const sliding_window_log_options& options) {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours{24 * 366};
    if (options.limit == 0 || options.limit > (std::uint64_t{1} << 32))
      invalid_option("sliding_window_log_options.limit", options.limit, "must be from 1 to 2^32");
    if (options.window.count() <= 0 || options.window > longest)
      invalid_option("sliding_window_log_options.window", options.window.count(), "must be above 0, at most a year");
    return options;
  }

  [[nodiscard]] std::uint64_t time_of(time_point now) const noexcept {
    constexpr auto last = (std::uint64_t{1} << 63) - 1;  // beside the lap; a window added to it must fit, too
    constexpr auto first = static_cast<std::uint64_t>(before / 2) + 1;
    const std::int64_t nanoseconds = detail::clamped_nanoseconds(now);
    if (nanoseconds <= zero_) return first;
    return std::clamp(static_cast<std::uint64_t>(nanoseconds) - static_cast<std::uint64_t>(zero_), first, last);
  }

  zeroed_array<std::atomic<std::uint64_t>> slots_;
  detail::log_ring ring_;
  std::int64_t zero_ = 0;
};

}  // namespace banyan
