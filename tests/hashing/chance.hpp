#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace banyan::testing {

/// Whether so many keys at each node can be chance, when each key goes to a node by itself, with these probabilities.
/// Where they do, the answer is false for one of 10^13 nodes asked for, and so for one run in 10^10 of a file that asks
/// for a thousand. Where one node of five, due 500,000 keys, gets two per cent more, it is true once in 10^11.
///
/// For each node Chernoff's bound: as many as n where m are due, or more, or as few, or fewer, has a probability of at
/// most e^-(n ln(n / m) - n + m). For all together the sum of (n - m)^2 / m is about chi-square distributed, for which
/// the bound k + 2 sqrt(k t) + 2t is exceeded with a probability of at most e^-t (B. Laurent, P. Massart, "Adaptive
/// estimation of a quadratic functional by model selection", 2000).
inline bool by_chance(const std::vector<std::uint64_t>& seen, const std::vector<double>& probabilities) {
  constexpr double t = 32;  // e^-32 is 10^-14
  double keys = 0;
  for (const std::uint64_t count : seen) keys += static_cast<double>(count);
  double chi_square = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const double due = keys * probabilities[i];
    const auto count = static_cast<double>(seen[i]);
    if ((count > 0 ? count * std::log(count / due) : 0) - count + due > t) return false;
    chi_square += (count - due) * (count - due) / due;
  }
  const double freedom = static_cast<double>(seen.size()) - 1;
  return chi_square <= freedom + 2 * std::sqrt(freedom * t) + 2 * t;
}

}  // namespace banyan::testing
