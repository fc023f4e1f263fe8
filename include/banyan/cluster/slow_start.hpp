#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// How an endpoint that is new, or has recovered, gets its share little by little.
struct slow_start_options {
  std::chrono::nanoseconds window{0};  ///< how long it takes; 0: no slow start
  double aggression = 1;               ///< above 0; 1: linear, more: a quicker start
  double min_fraction = 0.1;           ///< of the share, to start with; from 0 to 1
};

/// The fraction of its share that an endpoint gets `age` after it began to serve:
/// max(min_fraction, (age / window)^(1 / aggression)), at most 1. O(1), wait-free.
///
/// Source: Envoy's slow start mode.
[[nodiscard]] inline double slow_start_fraction(std::chrono::nanoseconds age,
                                                const slow_start_options& options) noexcept {
  if (age >= options.window) return 1;
  if (age.count() <= 0) return options.min_fraction;
  const double part = static_cast<double>(age.count()) / static_cast<double>(options.window.count());
  const double fraction = options.aggression == 1 ? part : std::pow(part, 1 / options.aggression);
  return fraction > options.min_fraction ? fraction : options.min_fraction;
}

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const slow_start_options& options) {
  if (options.window.count() < 0)
    invalid_option("slow_start_options.window", options.window.count(), "must not be negative");
  if (!(options.aggression > 0) || !std::isfinite(options.aggression))
    invalid_option("slow_start_options.aggression", options.aggression, "must be above 0 and finite");
  if (!(options.min_fraction >= 0 && options.min_fraction <= 1))
    invalid_option("slow_start_options.min_fraction", options.min_fraction, "must be from 0 to 1");
}

}  // namespace banyan
