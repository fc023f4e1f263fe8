#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

struct outlier_detector_options {
  /// So many failures in a row eject an endpoint, at once; 0: they do not.
  std::uint32_t consecutive_failures = 5;
  /// So many failures in a row that came without an answer (`pick_token::unanswered`) eject an endpoint, at once; 0:
  /// they are failures as all others.
  std::uint32_t consecutive_unanswered = 5;
  /// Each interval, an endpoint is ejected whose success rate is lower than the mean of all by so many standard
  /// deviations; 0: it is not. Finite.
  double success_rate_stdev = 1.9;
  /// ... and by at least this much: where hardly anything fails, a deviation is next to nothing. From 0 to 1.
  double success_rate_margin = 0.05;
  std::uint64_t success_rate_min_requests = 100;  ///< endpoints with fewer in the interval are left out; at least 1
  std::uint32_t min_endpoints = 5;                ///< with fewer left, success rates are not compared; at least 2
  /// Over which success rates are counted. Above 0, at most a year.
  std::chrono::nanoseconds interval = std::chrono::seconds{10};
  /// An ejection lasts so long, times how often the endpoint has been ejected; that number goes down again by one each
  /// interval without. Above 0, at most a year.
  std::chrono::nanoseconds base_ejection = std::chrono::seconds{30};
  /// ... but at most this. Not less than `base_ejection`, at most a year.
  std::chrono::nanoseconds max_ejection = std::chrono::seconds{300};
  /// Of all endpoints, how many may be out at a time; see `outlier_detector`. From 0 (none) to 1.
  double max_ejected = 0.1;
  bool background = true;  ///< looks by itself, on a thread of its own; false: when `evaluate` is called
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const outlier_detector_options& options) {
  constexpr std::chrono::nanoseconds longest = std::chrono::hours{24 * 366};
  if (!(options.success_rate_stdev >= 0) || !std::isfinite(options.success_rate_stdev)) {
    invalid_option("outlier_detector_options.success_rate_stdev", options.success_rate_stdev,
                   "must be finite and not negative");
  }
  if (!(options.success_rate_margin >= 0 && options.success_rate_margin <= 1))
    invalid_option("outlier_detector_options.success_rate_margin", options.success_rate_margin, "must be from 0 to 1");
  if (options.success_rate_min_requests == 0)
    invalid_option("outlier_detector_options.success_rate_min_requests", 0, "must be at least 1");
  if (options.min_endpoints < 2)
    invalid_option("outlier_detector_options.min_endpoints", options.min_endpoints, "must be at least 2");
  if (options.interval.count() <= 0 || options.interval > longest)
    invalid_option("outlier_detector_options.interval", options.interval.count(), "must be above 0, at most a year");
  if (options.base_ejection.count() <= 0 || options.base_ejection > longest) {
    invalid_option("outlier_detector_options.base_ejection", options.base_ejection.count(),
                   "must be above 0, at most a year");
  }
  if (options.max_ejection < options.base_ejection || options.max_ejection > longest) {
    invalid_option("outlier_detector_options.max_ejection", options.max_ejection.count(),
                   "must be at least base_ejection, at most a year");
  }
  if (!(options.max_ejected >= 0 && options.max_ejected <= 1))
    invalid_option("outlier_detector_options.max_ejected", options.max_ejected, "must be from 0 to 1");
}

}  // namespace banyan
