#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include <banyan/balance/balancer_options.hpp>
#include <banyan/balance/detail/traffic_plan.hpp>
#include <banyan/cluster/cluster_options.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// What a read does when no replica has what it asks for.
enum class read_fallback : std::uint8_t {
  primary,  ///< goes to the primary, while that has not had its share of the reads
  refuse    ///< goes nowhere
};

struct replica_set_options {
  /// A replica whose reported lag is so much or more is not read from, whatever the level. Positive; none: no limit.
  std::optional<std::chrono::nanoseconds> max_lag{};
  /// It is read from again when the lag is at most this part of `max_lag`. From 0 to 1.
  double resume_at = 0.8;
  /// A replica that has not reported for so long is not read from. Positive. None: with `max_lag`, ten seconds or
  /// `max_lag`, whichever is longer; without, no limit, and replicas that never report serve `eventual` reads.
  std::optional<std::chrono::nanoseconds> report_timeout{};
  /// Replicas whose round trip is longer than the nearest one's by more than this are read from only if no other
  /// qualifies. Not negative; none: round trips do not matter.
  std::optional<std::chrono::nanoseconds> latency_window{};
  /// How long a read waits for a replica that has what it asks for. Not negative.
  std::chrono::nanoseconds wait{0};
  read_fallback fallback = read_fallback::primary;
  /// The part of all reads that may fall back to the primary, from 0 to 1. Where the set has no replicas at all, there
  /// is no limit.
  double primary_share = 0.2;
  /// So many reads may do it at once, when few did before. From 16 to 2^20.
  std::uint32_t primary_burst = 100;
  /// Tells the tokens of one set from those of another; the same in all processes. Empty: not told apart.
  std::string name{};
  /// The present primary's number (PostgreSQL's timeline, Raft's term) if all processes know it; 0: primaries are
  /// counted here, and the count stays here.
  std::uint32_t epoch = 0;
  balancer_options balance{};  ///< among the replicas
  cluster_options cluster{};   ///< of the set's cluster
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const replica_set_options& options) {
  if (options.max_lag && options.max_lag->count() <= 0)
    invalid_option("replica_set_options.max_lag", options.max_lag->count(), "must be positive (nanoseconds)");
  if (!(options.resume_at >= 0 && options.resume_at <= 1))
    invalid_option("replica_set_options.resume_at", options.resume_at, "must be from 0 to 1");
  if (options.report_timeout && options.report_timeout->count() <= 0)
    invalid_option("replica_set_options.report_timeout", options.report_timeout->count(),
                   "must be positive (nanoseconds)");
  if (options.latency_window && options.latency_window->count() < 0)
    invalid_option("replica_set_options.latency_window", options.latency_window->count(),
                   "must not be negative (nanoseconds)");
  if (options.wait.count() < 0)
    invalid_option("replica_set_options.wait", options.wait.count(), "must not be negative (nanoseconds)");
  if (!(options.primary_share >= 0 && options.primary_share <= 1))
    invalid_option("replica_set_options.primary_share", options.primary_share, "must be from 0 to 1");
  if (options.primary_burst < 16 || options.primary_burst > std::uint32_t{1} << 20)
    invalid_option("replica_set_options.primary_burst", options.primary_burst, "must be from 16 to 2^20");
  detail::check(options.balance);
}

}  // namespace banyan
