#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// Whether and how requests stay in the caller's own zone.
struct zone_options {
  std::string zone{};             ///< where the caller runs; empty: zones do not matter
  double callers_share = 0;       ///< of all callers, those in this zone, from 0 to 1; 0: the same in every zone
  std::size_t min_endpoints = 6;  ///< with fewer fit endpoints in all zones together, zones do not matter
  std::size_t min_local = 1;      ///< the same for those in the caller's own zone
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const zone_options& options) {
  if (!(options.callers_share >= 0 && options.callers_share <= 1))
    invalid_option("zone_options.callers_share", options.callers_share, "must be from 0 to 1");
}

/// Which part of this caller's requests stays in its own zone: all of them while the zone's part of the capacity is at
/// least its part of the callers, otherwise the ratio of the two, so that callers and endpoints are balanced over the
/// zones as a whole.
///
/// | capacity here | callers here | stays here |
/// |---------------|--------------|------------|
/// | 50 %          | 33 %         | 100 %      |
/// | 25 %          | 50 %         | 50 %       |
/// | 0             | any          | 0          |
///
/// Both are parts of a whole, from 0 to 1. O(1), wait-free.
///
/// Source: Envoy's zone aware routing.
[[nodiscard]] constexpr double local_share(double capacity_share, double callers_share) noexcept {
  if (!(capacity_share > 0)) return 0;
  return capacity_share >= callers_share ? 1 : capacity_share / callers_share;
}

/// Which part of this caller's requests goes to which zone: `local_share` to its own, the rest to zones that have more
/// capacity than callers, in proportion to what they have to spare (the callers outside the own zone are taken to be
/// spread evenly). So the overflow of one short zone does not go to another.
///
/// `capacities`: the fit endpoints of each zone, in numbers or weights, finite and not negative; `local`: the index of
/// the own zone. The shares add up to 1, but for rounding; all are 0 when there is no capacity. When `local` names no
/// zone, they are in proportion to the capacities. O(zones); allocates the result. Throws `std::invalid_argument` for
/// bad numbers.
///
/// Source: as `local_share`.
[[nodiscard]] inline std::vector<double> spread_over_zones(std::span<const double> capacities, std::size_t local,
                                                           double callers_share = 0) {
  check(zone_options{.callers_share = callers_share});
  std::vector<double> shares(capacities.size());
  double largest = 0;
  for (const double each : capacities) {
    if (!(each >= 0) || !std::isfinite(each)) invalid_option("capacities", each, "must be finite and not negative");
    if (each > largest) largest = each;
  }
  if (largest == 0) return shares;
  double total = 0;  // relative to the largest: no overflow
  for (const double each : capacities) total += each / largest;
  for (std::size_t i = 0; i < shares.size(); ++i) shares[i] = capacities[i] / largest / total;
  if (local >= shares.size()) return shares;

  const auto zones = static_cast<double>(shares.size());
  const double callers_here = callers_share > 0 ? callers_share : 1 / zones;
  const double callers_elsewhere = zones > 1 ? (1 - callers_here) / (zones - 1) : 0;
  const double stays = local_share(shares[local], callers_here);
  double spare = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (i == local) continue;
    const double surplus = shares[i] - callers_elsewhere;
    shares[i] = surplus > 0 ? surplus : 0;
    spare += shares[i];
  }
  // Without anything to spare the zones are balanced, and what would leave is rounding.
  for (double& each : shares) each = spare > 0 ? each / spare * (1 - stays) : 0;
  shares[local] = spare > 0 ? stays : 1;
  return shares;
}

}  // namespace banyan
