#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

#include <banyan/core/executor.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan {

struct failover_options {
  /// From one probe of the primary to the next; above 0, at most a day.
  std::chrono::nanoseconds probe_interval = std::chrono::seconds{1};
  /// The latest that count, from 1 to 1,000; those older than 2 * probes * (probe_interval + timeout) count no more.
  std::uint32_t probes = 5;
  std::uint32_t failures = 4;  ///< of these that make the primary suspect, from 1 to `probes`
  /// An action that takes longer has failed, though it may still be running; it is not begun again before it has ended.
  /// Above 0, at most a day.
  std::chrono::nanoseconds timeout = std::chrono::seconds{5};
  std::chrono::nanoseconds retry_interval =
      std::chrono::seconds{1};  ///< after an action failed; above 0, at most a day
  /// No failover begins by itself sooner than this after the last; from 0 to a year. Guards against going to and fro.
  std::chrono::nanoseconds quiet_period = std::chrono::minutes{10};
  /// After so long without success in fencing the old primary, promote all the same; up to a year. 0: never. With it,
  /// two primaries can take writes at the same time.
  std::chrono::nanoseconds fence_patience{0};
  /// How many replicas acknowledge a write before its writer hears of it; 0: none. With k of n, as many replicas must
  /// answer as surely include one that has the last write: n - k + 1; and only one that has all that is promoted.
  std::uint32_t acknowledgements = 0;
  /// How long to wait for those replicas that do not answer, once enough have; up to a day.
  std::chrono::nanoseconds choose_patience = std::chrono::seconds{5};
  /// A replica that is further behind the last known position of the primary is not promoted.
  std::uint64_t max_loss = std::numeric_limits<std::uint64_t>::max();
  std::uint32_t promote_attempts = 3;  ///< then the candidate is fenced, and another is chosen; at least 1
  /// For what is still under way at the old primary to end, when it fails; up to a day.
  std::chrono::nanoseconds drain_patience = std::chrono::seconds{5};
  /// A planned switchover that has not come to fencing by then is given up, and writes go on. Above 0, at most a day.
  std::chrono::nanoseconds switchover_timeout = std::chrono::seconds{10};
  any_executor executor{};  ///< runs the actions; none: a thread for each
  bool background = true;   ///< goes on by itself, on a thread of its own; false: when `step` is called
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const failover_options& options) {
  using std::chrono::nanoseconds;
  constexpr nanoseconds day = std::chrono::hours{24};
  const auto positive = [&](const char* field, nanoseconds value) {
    if (value.count() <= 0 || value > day) invalid_option(field, value.count(), "must be above 0, at most a day");
  };
  const auto up_to = [](const char* field, nanoseconds value, nanoseconds most, const char* rule) {
    if (value.count() < 0 || value > most) invalid_option(field, value.count(), rule);
  };
  positive("failover_options.probe_interval", options.probe_interval);
  if (options.probes == 0 || options.probes > 1'000)
    invalid_option("failover_options.probes", options.probes, "must be from 1 to 1,000");
  if (options.failures == 0 || options.failures > options.probes)
    invalid_option("failover_options.failures", options.failures, "must be from 1 to failover_options.probes");
  positive("failover_options.timeout", options.timeout);
  positive("failover_options.retry_interval", options.retry_interval);
  up_to("failover_options.quiet_period", options.quiet_period, day * 366, "must be from 0 to a year");
  up_to("failover_options.fence_patience", options.fence_patience, day * 366, "must be from 0 to a year");
  up_to("failover_options.choose_patience", options.choose_patience, day, "must be from 0 to a day");
  if (options.promote_attempts == 0)
    invalid_option("failover_options.promote_attempts", options.promote_attempts, "must be at least 1");
  up_to("failover_options.drain_patience", options.drain_patience, day, "must be from 0 to a day");
  positive("failover_options.switchover_timeout", options.switchover_timeout);
}

}  // namespace banyan
