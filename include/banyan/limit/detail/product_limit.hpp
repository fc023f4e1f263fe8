#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <banyan/core/duration_histogram.hpp>

namespace banyan::detail {

/// A duration that the share `q` (0 to 1) did not exceed, where of some only this is known: they took longer than so
/// much (`beyond`). Each of these counts like those that lasted as long and whose end is known, on average. When too
/// many ends are unknown, it is the end of the longest known; 0 when nothing was counted. O(classes).
///
/// Source: E. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", JASA 53, 1958.
[[nodiscard]] inline std::chrono::nanoseconds product_limit_quantile(const duration_distribution& ended,
                                                                     const duration_distribution& beyond,
                                                                     double q) noexcept {
  std::uint64_t at_risk = ended.count() + beyond.count();
  double longer = 1;  // the share that takes longer than the classes so far
  std::chrono::nanoseconds longest{0};
  for (std::size_t i = 0; i < duration_distribution::classes && at_risk > 0; ++i) {
    const std::uint64_t here = ended.counts()[i];
    const std::uint64_t all = here + beyond.counts()[i];
    if (all == 0) continue;
    longest = duration_distribution::end_of(i);
    longer *= 1 - static_cast<double>(here) / static_cast<double>(at_risk);
    if (1 - longer >= q - 1e-9 && here != 0) return longest;
    at_risk -= all;
  }
  return longest;
}

}  // namespace banyan::detail
