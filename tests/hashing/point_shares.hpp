#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/ring_points.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan::testing {

/// The share of all keys that each node of a ring is due, by where its points are, when a key tries `probes` places.
///
/// A key belongs to the point before which its place is, the nearest of several. With one place a point's share is the
/// arc a before it. With k, a place at distance x is the nearest with k (1 - S(x))^(k - 1), where S(x) is the sum of
/// min(x, arc) over all points, and the share is the integral of that from 0 to a: S is straight between two lengths of
/// arcs, and rises there by one for each longer arc.
inline std::vector<double> point_shares(std::span<const weighted_hash> nodes, std::uint32_t points_per_node,
                                        std::uint32_t probes) {
  std::vector<std::tuple<std::uint32_t, std::uint64_t, std::size_t>> points;  // of equal ones the lower hash is first
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    splitmix64 places = detail::point_places(nodes[i].hash);
    for (long left = std::max(1L, std::lround(nodes[i].weight * points_per_node)); left > 0; --left) {
      points.emplace_back(static_cast<std::uint32_t>(places() >> 32), nodes[i].hash, i);
    }
  }
  std::sort(points.begin(), points.end());
  std::vector<std::pair<double, std::size_t>> arcs;
  double last = std::get<0>(points.back()) - 0x1p32;
  for (const auto& [place, hash, node] : points) {
    arcs.emplace_back((place - last) * 0x1p-32, node);
    last = place;
  }
  std::sort(arcs.begin(), arcs.end());
  std::vector<double> shares(nodes.size());
  double share = 0;
  double length = 0;
  double sum = 0;
  double left = static_cast<double>(arcs.size());
  for (const auto& [arc, node] : arcs) {
    const double next = sum + left * (arc - length);
    share += (std::pow(1 - sum, probes) - std::pow(std::max(0.0, 1 - next), probes)) / left;
    shares[node] += share;
    sum = next;
    length = arc;
    --left;
  }
  return shares;
}

}  // namespace banyan::testing
