#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/point_circle.hpp>
#include <banyan/hashing/node_change.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan::detail {

/// The places of a node's points, one after the other: by its hash alone, whatever their number.
[[nodiscard]] inline splitmix64 point_places(std::uint64_t node_hash) noexcept {
  constexpr std::uint64_t stream = 0xa0761d6478bd642fU;  // sets the points apart from the hashes of keys
  return splitmix64{mix_bits(node_hash + stream)};
}

inline constexpr std::uint64_t most_ring_points = std::uint64_t{1} << 26;

/// A circle on which each node has `per_unit` points for each unit of its weight, placed by its hash alone. `field` is
/// the option that is to blame where that is too many.
inline point_circle ring_points(std::span<const weighted_hash> nodes, std::uint32_t per_unit, const char* field) {
  const std::vector<std::uint32_t> counts = parts_by_weight(nodes, per_unit, most_ring_points, field);
  // Points that fall on one position go by the hash of the owner: so they are ranked first, and numbered afterwards.
  const std::vector<std::uint32_t> ranked = by_hash(nodes);
  std::vector<std::uint64_t> points;
  std::size_t total = 0;
  for (const std::uint32_t count : counts) total += count;
  points.reserve(total);
  for (std::uint32_t rank = 0; rank < ranked.size(); ++rank) {
    splitmix64 places = point_places(nodes[ranked[rank]].hash);
    for (std::uint32_t i = counts[ranked[rank]]; i > 0; --i) {
      points.push_back(point_circle::point(static_cast<std::uint32_t>(places() >> 32), rank));
    }
  }
  point_circle circle{points};
  circle.rename_owners(ranked);
  return circle;
}

/// Where a node has several points on one position, the first of them was found each time.
inline void take_each_once(std::vector<point_circle::edit>& edits) {
  std::sort(edits.begin(), edits.end());
  for (std::size_t i = 1; i < edits.size(); ++i) {
    if (edits[i].out && edits[i].at <= edits[i - 1].at) edits[i].at = edits[i - 1].at + 1;
  }
}

/// The same made from the circle before the change, of which all but the points of one node is copied.
inline point_circle changed_ring_points(const point_circle& before, const node_change& change,
                                        std::span<const weighted_hash> nodes, std::uint32_t per_unit,
                                        const char* field) {
  const std::vector<std::uint32_t> counts = parts_by_weight(nodes, per_unit, most_ring_points, field);
  const bool went = change.what == node_change::kind::went;
  const bool came = change.what == node_change::kind::came;
  const std::uint32_t had = came ? 0 : part_by_weight(change.before, per_unit);
  const std::uint32_t has = went ? 0 : counts[change.node];
  const std::uint64_t hash = came ? nodes[change.node].hash : change.before.hash;
  std::vector<point_circle::edit> edits;
  edits.reserve(std::max(had, has) - std::min(had, has));
  // Of points on one position, that of the lower hash comes first, then that of the node given first.
  const auto behind = [&](std::uint32_t other) {
    const std::uint64_t other_hash = nodes[other].hash;
    return other_hash < hash || (other_hash == hash && other <= change.node);
  };
  splitmix64 places = point_places(hash);
  for (std::uint32_t i = 0; i < std::max(had, has); ++i) {
    const auto place = static_cast<std::uint32_t>(places() >> 32);
    if (i < std::min(had, has)) continue;
    std::size_t at = before.at_or_after(place);
    if (has > had) {
      while (at < before.size() && before.position(at) == place && behind(before.owner(at))) ++at;
      edits.push_back({at, false, point_circle::point(place, change.node)});
    } else {
      while (before.owner(at) != change.node) ++at;
      edits.push_back({at, true, 0});
    }
  }
  take_each_once(edits);
  return before.edited(std::move(edits), went ? change.node : no_node);
}

}  // namespace banyan::detail
