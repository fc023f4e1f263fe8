#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan::detail {

/// What `find` answers when there is no node.
inline constexpr std::uint32_t no_node = std::numeric_limits<std::uint32_t>::max();

inline void check_weight(double weight) {
  if (!(weight > 0 && std::isfinite(weight))) invalid_option("weight", weight, "must be above 0 and finite");
}

/// Throws `std::invalid_argument` unless all weights are above 0 and finite, and the nodes can be numbered.
inline void check_nodes(std::span<const weighted_hash> nodes) {
  if (nodes.size() >= no_node) invalid_option("nodes", nodes.size(), "must be fewer than 2^32 - 1");
  for (const weighted_hash& node : nodes) check_weight(node.weight);
}

/// The nodes' numbers ordered by hash, so that what is built in this order does not depend on the order given.
inline std::vector<std::uint32_t> by_hash(std::span<const weighted_hash> nodes) {
  std::vector<std::uint32_t> order(nodes.size());
  std::iota(order.begin(), order.end(), std::uint32_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return nodes[a].hash < nodes[b].hash; });
  return order;
}

/// `per_unit` times the weight, rounded, at least 1.
inline std::uint32_t part_by_weight(const weighted_hash& node, std::uint32_t per_unit) noexcept {
  return static_cast<std::uint32_t>(std::max(std::round(node.weight * per_unit), 1.0));
}

/// The same for all nodes. The product may be beyond what an integer holds: `most` is the limit for all together.
inline std::vector<std::uint32_t> parts_by_weight(std::span<const weighted_hash> nodes, std::uint32_t per_unit,
                                                  std::uint64_t most, const char* field) {
  std::vector<std::uint32_t> parts;
  parts.reserve(nodes.size());
  std::uint64_t total = 0;
  for (const weighted_hash& node : nodes) {
    if (node.weight * per_unit > static_cast<double>(most))
      invalid_option(field, per_unit, "times the weights: too many points");
    parts.push_back(part_by_weight(node, per_unit));
    total += parts.back();
    if (total > most) invalid_option(field, per_unit, "times the weights: too many points");
  }
  return parts;
}

}  // namespace banyan::detail
