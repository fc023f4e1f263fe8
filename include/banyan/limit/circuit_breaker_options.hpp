#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/breaker_state.hpp>
#include <banyan/limit/detail/outcome_counts.hpp>

namespace banyan {

struct circuit_breaker_options {
  double failure_rate = 0.5;               ///< opens when so many of the calls failed; above 0, at most 1
  double slow_rate = 1;                    ///< ... or so many were slow; above 0, at most 1
  std::chrono::nanoseconds slow_after{0};  ///< calls that take longer are slow; 0: none is
  std::uint32_t window = 100;  ///< counts the last so many calls; from 1 to 32,767. Not used with a `window_time`
  std::chrono::nanoseconds window_time{0};  ///< counts calls of so long instead, to a tenth; 0, or from 10 ms to a day
  std::uint32_t min_calls = 100;            ///< fewer do not open it; from 1, and at most `window` where that is used
  std::chrono::nanoseconds open_for = std::chrono::seconds{60};  ///< then it tries; above 0, at most a year
  /// With this, each opening in a row lasts twice as long as the one before, up to so long: when probes fail, or when
  /// it opens again within so long after it closed. 0: all last `open_for`; else from `open_for` to a year.
  std::chrono::nanoseconds open_for_max{0};
  std::uint32_t probes = 10;  ///< calls it tries with; from 1 to 1,023
  /// Probes that nobody has given back by then are given up, and others let through. Above 0, at most a year.
  std::chrono::nanoseconds probe_timeout = std::chrono::seconds{60};
  /// Told after each change, by the thread that made it, in no lock; it may call the breaker. What it throws is lost.
  /// Calls for changes one after the other may come at the same time.
  std::function<void(circuit_state from, circuit_state to)> on_change{};
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const circuit_breaker_options& options) {
  constexpr std::chrono::nanoseconds year = std::chrono::hours{24 * 366};
  const auto rate = [](const char* field, double value) {
    if (!(value > 0 && value <= 1)) invalid_option(field, value, "must be above 0 and at most 1");
  };
  rate("circuit_breaker_options.failure_rate", options.failure_rate);
  rate("circuit_breaker_options.slow_rate", options.slow_rate);
  if (options.slow_after.count() < 0)
    invalid_option("circuit_breaker_options.slow_after", options.slow_after.count(), "must not be negative");
  if (options.window == 0 || options.window > detail::last_outcomes::most)
    invalid_option("circuit_breaker_options.window", options.window, "must be from 1 to 32767");
  if (options.window_time.count() != 0 &&
      (options.window_time < std::chrono::milliseconds{10} || options.window_time > std::chrono::hours{24})) {
    invalid_option("circuit_breaker_options.window_time", options.window_time.count(),
                   "must be 0 or from 10 ms to a day");
  }
  if (options.min_calls == 0 || (options.window_time.count() == 0 && options.min_calls > options.window))
    invalid_option("circuit_breaker_options.min_calls", options.min_calls, "must be from 1 to window");
  if (options.open_for.count() <= 0 || options.open_for > year)
    invalid_option("circuit_breaker_options.open_for", options.open_for.count(), "must be above 0, at most a year");
  if (options.open_for_max.count() != 0 && (options.open_for_max < options.open_for || options.open_for_max > year)) {
    invalid_option("circuit_breaker_options.open_for_max", options.open_for_max.count(),
                   "must be 0 or from open_for to a year");
  }
  if (options.probes == 0 || options.probes > detail::breaker_state::most_probes)
    invalid_option("circuit_breaker_options.probes", options.probes, "must be from 1 to 1023");
  if (options.probe_timeout.count() <= 0 || options.probe_timeout > year) {
    invalid_option("circuit_breaker_options.probe_timeout", options.probe_timeout.count(),
                   "must be above 0, at most a year");
  }
}

}  // namespace banyan
