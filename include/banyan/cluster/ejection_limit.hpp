#pragma once

#include <algorithm>
#include <cstddef>

namespace banyan {

/// How many of so many endpoints may be ejected at a time: the given fraction (from 0 to 1), rounded down, but at least
/// one, and never all. 0 for a fraction of 0. O(1), wait-free.
///
/// | endpoints | 10 % | 50 % | 100 % |
/// |-----------|------|------|-------|
/// | 1         | 0    | 0    | 0     |
/// | 2         | 1    | 1    | 1     |
/// | 3         | 1    | 1    | 2     |
/// | 10        | 1    | 5    | 9     |
/// | 100       | 10   | 50   | 99    |
[[nodiscard]] constexpr std::size_t ejection_limit(std::size_t endpoints, double fraction) noexcept {
  if (endpoints < 2 || !(fraction > 0)) return 0;
  if (fraction >= 1) return endpoints - 1;
  // A hair more: 0.3 of 10 are 3.
  const auto part = static_cast<std::size_t>(static_cast<double>(endpoints) * fraction * (1 + 1e-12));
  return std::clamp<std::size_t>(part, 1, endpoints - 1);
}

}  // namespace banyan
