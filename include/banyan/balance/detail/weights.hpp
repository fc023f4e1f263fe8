#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include <banyan/balance/balance_policy.hpp>

namespace banyan::detail {

/// Their weights; one that is too small for its type counts as the smallest there is.
[[nodiscard]] inline std::vector<double> weights_of(std::span<const candidate> candidates) {
  std::vector<double> weights;
  weights.reserve(candidates.size());
  for (const candidate& each : candidates) {
    const auto weight = static_cast<double>(each.weight());
    weights.push_back(weight > 0 ? weight : static_cast<double>(std::numeric_limits<float>::min()));
  }
  return weights;
}

[[nodiscard]] inline bool all_equal(std::span<const double> weights) noexcept {
  return std::all_of(weights.begin(), weights.end(), [&](double each) { return each == weights.front(); });
}

}  // namespace banyan::detail
