#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/priority.hpp>

namespace banyan {

/// What a `concurrency_limiter` does besides its policy.
struct concurrency_limiter_options {
  /// How long calls are watched before the limit is looked at again, or twice their mean latency if that is more, ten
  /// times this at most. Above 0, at most an hour.
  std::chrono::nanoseconds window = std::chrono::seconds{1};
  std::uint32_t min_calls = 10;  ///< a window goes on until so many have ended; from 1 to 1,000,000
  std::uint64_t seed = 0;        ///< for the same `limit_sample::random` each time; 0: others for every object
  /// The part of the limit that calls of each priority may fill. The first 1, none above the one before, all above 0;
  /// one call is always let in.
  std::array<double, priority_count> shares{1, 0.9, 0.5};
  std::uint32_t queue = 0;  ///< so many may wait in `acquire`; at most 10,000
  /// One may wait `interval` when nobody has waited at some moment within the last `interval`, else `target`. Above 0,
  /// at most an hour; `target` at most `interval`.
  std::chrono::nanoseconds interval = std::chrono::milliseconds{100};
  std::chrono::nanoseconds target = std::chrono::milliseconds{5};
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const concurrency_limiter_options& options) {
  constexpr std::chrono::nanoseconds hour = std::chrono::hours{1};
  if (options.window.count() <= 0 || options.window > hour)
    invalid_option("concurrency_limiter_options.window", options.window.count(), "must be above 0, at most an hour");
  if (options.min_calls == 0 || options.min_calls > 1'000'000)
    invalid_option("concurrency_limiter_options.min_calls", options.min_calls, "must be from 1 to 1000000");
  double before = 1;
  for (const double share : options.shares) {
    if (!(share > 0 && share <= before))
      invalid_option("concurrency_limiter_options.shares", share, "must be above 0, and not above the one before or 1");
    before = share;
  }
  if (options.shares[0] < 1)
    invalid_option("concurrency_limiter_options.shares", options.shares[0], "must be 1 for critical calls");
  if (options.queue > 10'000)
    invalid_option("concurrency_limiter_options.queue", options.queue, "must be at most 10000");
  if (options.interval.count() <= 0 || options.interval > hour) {
    invalid_option("concurrency_limiter_options.interval", options.interval.count(),
                   "must be above 0, at most an hour");
  }
  if (options.target.count() <= 0 || options.target > options.interval) {
    invalid_option("concurrency_limiter_options.target", options.target.count(), "must be above 0, at most interval");
  }
}

}  // namespace banyan
