#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <banyan/hashing/maglev_placement.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>
#include <banyan/hashing/ring_placement.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan::detail {

/// Makes a placement of any number of nodes of any weights: where the options do not go with these, they give way. A
/// change of the membership must not fail because somebody was given a weight of a million.
template <class Placement, class Options>
[[nodiscard]] Placement place_nodes(std::vector<weighted_hash> nodes, Options wanted) {
  if constexpr (std::is_same_v<Placement, ring_placement>) {
    // The number of points goes by the weight itself, not by the share, so that nobody's points change when others
    // come and go. So it is only where there would be far too many or too few that all weights are scaled, and then in
    // large steps: at a step, keys move.
    double sum = 0;
    for (const weighted_hash& each : nodes) sum += each.weight;
    const auto size = static_cast<double>(nodes.size());
    const double most_points = std::clamp(2560 * size, 0x1p18, 0x1p23);
    double scale = 1;
    while (sum * scale * wanted.points_per_node > most_points) scale /= 4;
    while (sum * scale < size / 4 && sum * scale * wanted.points_per_node * 4 <= most_points) scale *= 4;
    for (weighted_hash& each : nodes) each.weight = std::max(each.weight * scale, 0x1p-64);
  } else if constexpr (std::is_same_v<Placement, maglev_placement>) {
    // At a step, keys move: as few steps as will do.
    std::uint32_t enough = 65'537;
    if (nodes.size() > 1'310) enough = 262'147;
    if (nodes.size() > 10'000) enough = 1'048'583;
    if (nodes.size() > 65'000) enough = 16'777'259;
    if (nodes.size() > 1'310 || nodes.size() > wanted.table_size)
      wanted.table_size = std::max(wanted.table_size, enough);
  }
  return Placement{std::span<const weighted_hash>{nodes}, wanted};
}

/// How many nodes `find_if` may ask without allocating. 1: only what `find` answers.
template <class Placement>
[[nodiscard]] constexpr std::uint32_t asks_without_allocation(std::uint32_t nodes) noexcept {
  if constexpr (std::is_same_v<Placement, rendezvous_placement>) {
    return nodes <= 64 ? nodes : 1;
  } else {
    return nodes <= 1024 ? nodes : 31;
  }
}

}  // namespace banyan::detail
