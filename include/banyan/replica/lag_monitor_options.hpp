#pragma once

#include <chrono>
#include <cstdint>

#include <banyan/cluster/detail/probe_options.hpp>
#include <banyan/core/executor.hpp>

namespace banyan {

struct lag_monitor_options {
  /// From the start of one probe of a member to the start of the next. Above 0, at most a year. What replicas are read
  /// for is as old as that, so well below the staleness that readers ask for.
  std::chrono::nanoseconds interval = std::chrono::milliseconds{100};
  /// Each interval is longer or shorter by a random part of up to this, from 0 to below 1; the first of each member is
  /// any part of one, so that probes spread. 0: all are exact.
  double jitter = 0.1;
  /// What a probe says after that is not taken. Above 0, at most a year.
  std::chrono::nanoseconds timeout = std::chrono::seconds{1};
  std::uint32_t max_probes = 4;    ///< under way at a time, not counting those past their timeout; at least 1
  std::uint32_t max_hanging = 16;  ///< past their timeout; while there are so many, nothing is probed. At least 1
  any_executor executor{};         ///< runs the probes; none: a thread for each
  bool background = true;          ///< probes by itself, on a thread of its own; false: when `run_due` is called
  std::uint64_t seed = 0;          ///< of the jitter; 0: another in every process
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const lag_monitor_options& options) { detail::check_probing("lag_monitor_options", options); }

}  // namespace banyan
