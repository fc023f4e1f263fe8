#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// The endpoints of one priority, in numbers or in weights: not negative, finite. Those that drain do not count.
struct priority_level {
  double healthy = 0;
  double degraded = 0;
  double total = 0;  ///< with the unhealthy ones; less than the two above counts as their sum
};

/// What one priority gets, as a share of all requests.
struct priority_load {
  double healthy = 0;   ///< goes to its healthy endpoints; in a panic, to all of its endpoints
  double degraded = 0;  ///< goes to its degraded endpoints; 0 in a panic
  bool panic = false;   ///< its endpoints' health is ignored
};

struct priority_options {
  /// How much more than their part the endpoints of a level can carry: with 1.4, a level of which 72 % are healthy
  /// still takes all that the whole level would. At least 1, finite.
  double overprovisioning = 1.4;
  /// A level less fit than this may panic. From 0 (never) to 1.
  double panic_threshold = 0.5;
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const priority_options& options) {
  if (!(options.overprovisioning >= 1) || !std::isfinite(options.overprovisioning))
    invalid_option("priority_options.overprovisioning", options.overprovisioning, "must be at least 1 and finite");
  if (!(options.panic_threshold >= 0 && options.panic_threshold <= 1))
    invalid_option("priority_options.panic_threshold", options.panic_threshold, "must be from 0 to 1");
}

namespace detail {

inline void check(const priority_level& level) {
  const auto check_one = [](const char* field, double value) {
    if (!(value >= 0) || !std::isfinite(value)) invalid_option(field, value, "must be finite and not negative");
  };
  check_one("priority_level.healthy", level.healthy);
  check_one("priority_level.degraded", level.degraded);
  check_one("priority_level.total", level.total);
}

/// A level's endpoints as fractions of the level.
struct priority_fitness {
  double size;
  double healthy;
  double degraded;

  explicit priority_fitness(const priority_level& level)
      // Halves, so that no sum overflows.
      : size{std::max(level.total / 2, level.healthy / 2 + level.degraded / 2)},
        healthy{size > 0 ? level.healthy / 2 / size : 0},
        degraded{size > 0 ? level.degraded / 2 / size : 0} {}
};

}  // namespace detail

/// How the requests are spread over the priorities, 0 first. The shares add up to 1, but for rounding; all are 0 when
/// there is nobody to take a request.
///
/// Two rules, kept apart:
/// * Spill-over. A level's capacity is its healthy fraction times `overprovisioning`, at most 1. The levels are filled
///   in order, first with healthy endpoints, then in order again with degraded ones. When all capacities together are
///   less than 1, each takes its part of that sum.
/// * Panic. Only then, with a sum below 1, a level whose fit (healthy and degraded) fraction is below
///   `panic_threshold` sends its share to all of its endpoints. When every level that has endpoints panics, the shares
///   go by the sizes of the levels.
///
/// With the default options and levels of the same size, in per cent:
///
/// | healthy, by level | shares           | panics | because                                        |
/// |-------------------|------------------|--------|------------------------------------------------|
/// | 72, 72            | 100, 0           | none   | 72 x 1.4 is more than 100                      |
/// | 50, 60            | 70, 30           | none   | the second covers what the first lacks         |
/// | 25, 100           | 35, 65           | none   | the first is below 50, but the sum is 100      |
/// | 5, 65             | 7, 93            | first  | 7 and 91 of a sum of 98; 65 is not below 50    |
/// | 25, 25, 20        | 33.3, 33.3, 33.3 | all    | the sum is 98 and all are below 50: by size    |
/// | the same, no panic| 35.7, 35.7, 28.6 | none   | `panic_threshold` 0: 35, 35 and 28 of 98       |
///
/// O(levels); allocates the result. Thread-safe. Throws `std::invalid_argument` for bad numbers.
///
/// Source: Envoy's priority levels and panic threshold, in real numbers instead of whole per cents.
[[nodiscard]] inline std::vector<priority_load> spread_over_priorities(std::span<const priority_level> levels,
                                                                       const priority_options& options = {}) {
  check(options);
  for (const priority_level& level : levels) detail::check(level);

  const auto capacity = [&](double fraction) { return std::min(1.0, fraction * options.overprovisioning); };
  double available = 0;
  double largest = 0;
  for (const priority_level& level : levels) {
    const detail::priority_fitness fit{level};
    available += capacity(fit.healthy) + capacity(fit.degraded);
    largest = std::max(largest, fit.size);
  }
  constexpr double whole = 1 - 1e-9;  // 0.7 + 0.3 must not fall short of 1 by rounding
  if (available >= whole) available = 1;

  std::vector<priority_load> loads(levels.size());
  bool total_panic = largest > 0;
  double sizes = 0;  // relative to the largest: no overflow
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const detail::priority_fitness fit{levels[i]};
    if (fit.size == 0) continue;
    loads[i].panic = available < 1 && fit.healthy + fit.degraded < options.panic_threshold;
    total_panic = total_panic && loads[i].panic;
    sizes += fit.size / largest;
  }
  if (total_panic) {
    for (std::size_t i = 0; i < levels.size(); ++i)
      loads[i].healthy = detail::priority_fitness{levels[i]}.size / largest / sizes;
    return loads;
  }
  if (available == 0) return loads;

  double left = 1;
  const auto take = [&](double fraction) {
    const double share = std::min(left, capacity(fraction) / available);
    left -= share;
    return share;
  };
  for (std::size_t i = 0; i < levels.size(); ++i) loads[i].healthy = take(detail::priority_fitness{levels[i]}.healthy);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const double share = take(detail::priority_fitness{levels[i]}.degraded);
    (loads[i].panic ? loads[i].healthy : loads[i].degraded) += share;
  }
  return loads;
}

}  // namespace banyan
