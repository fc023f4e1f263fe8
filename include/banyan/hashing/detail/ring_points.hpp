#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/point_circle.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan::detail {

/// A circle on which each node has `per_unit` points for each unit of its weight, placed by its hash alone. `field` is
/// the option that is to blame where that is too many.
inline point_circle ring_points(std::span<const weighted_hash> nodes, std::uint32_t per_unit, const char* field) {
  constexpr std::uint64_t most_points = std::uint64_t{1} << 26;
  constexpr std::uint64_t stream = 0xa0761d6478bd642fU;  // sets the points apart from the hashes of keys
  const std::vector<std::uint32_t> counts = parts_by_weight(nodes, per_unit, most_points, field);
  // Points that fall on one position go by the hash of the owner: so they are ranked first, and numbered afterwards.
  const std::vector<std::uint32_t> ranked = by_hash(nodes);
  std::vector<std::uint64_t> points;
  std::size_t total = 0;
  for (const std::uint32_t count : counts) total += count;
  points.reserve(total);
  for (std::uint32_t rank = 0; rank < ranked.size(); ++rank) {
    splitmix64 positions{mix_bits(nodes[ranked[rank]].hash + stream)};
    for (std::uint32_t i = counts[ranked[rank]]; i > 0; --i) {
      points.push_back(point_circle::point(static_cast<std::uint32_t>(positions() >> 32), rank));
    }
  }
  point_circle circle{points};
  circle.rename_owners(ranked);
  return circle;
}

}  // namespace banyan::detail
