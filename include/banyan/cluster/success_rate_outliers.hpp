#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace banyan {

/// Which of these success rates (from 0 to 1) are lower than their mean by at least `margin` and by more than `stdev`
/// standard deviations: their indices, in order. O(n); allocates the result. Thread-safe.
///
/// Of n rates a single one can be as far as sqrt(n - 1) deviations from the mean: with 1.9, five are the fewest that
/// have an outlier.
///
/// Source: success rate ejection of Envoy's outlier detection and of gRPC's (proposal A50), and the margin.
[[nodiscard]] inline std::vector<std::size_t> success_rate_outliers(std::span<const double> rates, double stdev,
                                                                    double margin = 0) {
  std::vector<std::size_t> outliers;
  if (rates.empty()) return outliers;
  const auto number = static_cast<double>(rates.size());
  double mean = 0;
  for (const double each : rates) mean += each / number;
  double variance = 0;
  for (const double each : rates) variance += (each - mean) * (each - mean) / number;
  const double limit = mean - stdev * std::sqrt(variance);
  for (std::size_t i = 0; i < rates.size(); ++i) {
    if (rates[i] < limit && rates[i] <= mean - margin) outliers.push_back(i);
  }
  return outliers;
}

}  // namespace banyan
