#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace banyan::detail {

/// Longest cycle that is written out, and the most steps that writing it out may take (2^22: some milliseconds).
inline constexpr std::uint32_t longest_cycle = 1U << 16;
inline constexpr std::uint64_t most_cycle_steps = std::uint64_t{1} << 22;

/// The smallest whole numbers in the ratio of the weights (above 0, finite), to within 2^-22 (weights may come from
/// `float`s); empty when their sum is above `longest_cycle`, or their sum times their number above `most_cycle_steps`.
/// Throws `std::bad_alloc`.
[[nodiscard]] inline std::vector<std::int32_t> whole_ratio(std::span<const double> weights) {
  std::vector<std::int32_t> whole;
  if (weights.empty()) return whole;
  const double lightest = *std::min_element(weights.begin(), weights.end());
  const std::uint64_t longest = std::min<std::uint64_t>(longest_cycle, most_cycle_steps / weights.size());
  double sum = 0;
  for (const double each : weights) sum += each / lightest;  // infinite at worst
  // The lightest is `unit`; the least that makes all the others whole.
  for (std::int32_t unit = 1; unit * sum < static_cast<double>(longest) + 0.5; ++unit) {
    const auto near_whole = [&](double weight) {
      const double wanted = unit * (weight / lightest);
      return std::fabs(wanted - std::round(wanted)) <= 0x1p-22 * wanted;
    };
    if (!std::all_of(weights.begin(), weights.end(), near_whole)) continue;
    whole.reserve(weights.size());
    for (const double each : weights) whole.push_back(static_cast<std::int32_t>(std::round(unit * (each / lightest))));
    return whole;
  }
  return whole;
}

/// One cycle of smooth weighted round robin: in each turn everybody gains its weight, the richest (the first among
/// equals) has the turn and pays the sum of the weights. Weights above 0, their sum at most `longest_cycle`.
/// O(sum * n). Throws `std::bad_alloc`.
///
/// Source: nginx, upstream round robin, since 2012.
[[nodiscard]] inline std::vector<std::uint16_t> smooth_cycle(std::span<const std::int32_t> weights) {
  std::int32_t sum = 0;
  for (const std::int32_t each : weights) sum += each;
  std::vector<std::int32_t> balance(weights.size(), 0);
  std::vector<std::uint16_t> cycle;
  cycle.reserve(static_cast<std::size_t>(sum));
  for (std::int32_t turn = 0; turn < sum; ++turn) {
    std::size_t richest = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      balance[i] += weights[i];
      if (balance[i] > balance[richest]) richest = i;
    }
    balance[richest] -= sum;
    cycle.push_back(static_cast<std::uint16_t>(richest));  // no more members than turns: at most 2^16
  }
  return cycle;
}

}  // namespace banyan::detail
