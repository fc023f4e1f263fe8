#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <banyan/core/random.hpp>

namespace banyan::detail {

/// The load of the fullest shard by the mean when values are placed at random: its mean, and what one of 20 draws
/// exceeds. `heavy`: the shares of values that are known well; besides these, `tail_share` is spread over `tail_values`
/// equal ones. The same for the same input.
///
/// Each shard gets of the tail what it would get by chance: placed one by one while they are few, else by a normal
/// distribution of the same variance.
[[nodiscard]] inline std::pair<double, double> load_by_chance(std::span<const double> heavy, double tail_share,
                                                              double tail_values, std::uint32_t shards) {
  constexpr std::size_t draws = 40;
  constexpr double few = 32'768;
  splitmix64 random{0x7368617264};
  std::vector<double> fullest;
  std::vector<double> loads(shards);
  for (std::size_t draw = 0; draw < draws; ++draw) {
    std::fill(loads.begin(), loads.end(), 0.0);
    for (const double share : heavy) loads[random_below(random, shards)] += share;
    if (tail_share > 0 && tail_values <= few) {
      const auto count = static_cast<std::uint64_t>(std::max(1.0, std::round(tail_values)));
      for (std::uint64_t i = 0; i < count; ++i) {
        loads[random_below(random, shards)] += tail_share / static_cast<double>(count);
      }
    } else if (tail_share > 0) {
      const double spread = std::sqrt((1.0 - 1.0 / shards) / (shards * tail_values));
      for (double& load : loads) {
        double normal = -6;  // the sum of twelve even draws is as good as normal
        for (int i = 0; i < 12; ++i) normal += random_unit(random);
        load += tail_share * std::max(0.0, 1.0 / shards + spread * normal);
      }
    }
    fullest.push_back(*std::max_element(loads.begin(), loads.end()) * shards);
  }
  std::sort(fullest.begin(), fullest.end());
  const double mean = std::accumulate(fullest.begin(), fullest.end(), 0.0) / static_cast<double>(draws);
  return {mean, fullest[draws - 1 - draws / 20]};
}

}  // namespace banyan::detail
