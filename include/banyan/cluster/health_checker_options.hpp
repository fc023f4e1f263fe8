#pragma once

#include <chrono>
#include <cstdint>

#include <banyan/cluster/detail/probe_options.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan {

struct health_checker_options {
  /// From the start of one check of an endpoint to the start of the next. Above 0, at most a year.
  std::chrono::nanoseconds interval = std::chrono::seconds{5};
  /// Each interval is longer or shorter by a random part of up to this, from 0 to below 1; the first interval of each
  /// endpoint is any part of one, so that checks spread. 0: all are exact.
  double jitter = 0.1;
  /// A probe that takes longer has failed, and goes on failing once an interval until it returns. Above 0, at most a
  /// year.
  std::chrono::nanoseconds timeout = std::chrono::seconds{1};
  std::uint32_t healthy_after = 2;    ///< successes in a row that make an unhealthy endpoint fit; at least 1
  std::uint32_t unhealthy_after = 3;  ///< failures in a row that make an endpoint unhealthy; at least 1
  std::uint32_t max_probes = 4;       ///< under way at a time, not counting those past their timeout; at least 1
  std::uint32_t max_hanging = 16;     ///< past their timeout; while there are so many, nothing is probed. At least 1
  any_executor executor{};            ///< runs the probes; none: a thread for each probe
  bool background = true;             ///< checks by itself, on a thread of its own; false: when `run_due` is called
  std::uint64_t seed = 0;             ///< of the jitter; 0: another in every process
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const health_checker_options& options) {
  detail::check_probing("health_checker_options", options);
  const auto at_least_1 = [](const char* field, std::uint32_t value) {
    if (value == 0) invalid_option(field, value, "must be at least 1");
  };
  at_least_1("health_checker_options.healthy_after", options.healthy_after);
  at_least_1("health_checker_options.unhealthy_after", options.unhealthy_after);
}

}  // namespace banyan
