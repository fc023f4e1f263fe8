#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <banyan/balance/balance_policy.hpp>

namespace banyan::detail {

[[nodiscard]] inline std::vector<double> weights_of(std::span<const candidate> candidates) {
  std::vector<double> weights;
  weights.reserve(candidates.size());
  for (const candidate& each : candidates) weights.push_back(each.weight());
  return weights;
}

[[nodiscard]] inline bool all_equal(std::span<const double> weights) noexcept {
  return std::all_of(weights.begin(), weights.end(), [&](double each) { return each == weights.front(); });
}

}  // namespace banyan::detail
