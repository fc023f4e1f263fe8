#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/point_circle.hpp>
#include <banyan/hashing/detail/ring_points.hpp>
#include <banyan/hashing/node_change.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan {

/// How to build a ring.
struct ring_options {
  /// Points of a node of weight 1, at least 1; a node of another weight has that many times its weight, rounded, at
  /// least one. More points: better balance (the spread of loads is about 1 / sqrt(points)), more memory (10 to 12
  /// bytes each). At most 2^26 points in all.
  std::uint32_t points_per_node = 160;
};

/// Consistent hashing: each node owns points on a circle, and a key belongs to the node whose point comes first at the
/// key's hash or after it. An immutable value over the numbers of the nodes given; it depends on their hashes and
/// weights alone, not on their order.
///
/// A node's points depend on nothing but its own hash and weight: when one comes or goes, keys move to it or from it
/// and none between others.
///
/// Two nodes of the same hash have the same points: the one given first gets the keys.
///
/// Thread safety: const, so any number of readers.
///
/// Source: D. Karger et al., "Consistent hashing and random trees", STOC 1997.
class ring_placement {
 public:
  using options = ring_options;
  static constexpr std::uint32_t npos = detail::no_node;

  ring_placement() = default;

  /// O(points). Throws `std::invalid_argument` for a bad weight or option, `std::bad_alloc`.
  explicit ring_placement(std::span<const weighted_hash> nodes, ring_options how = {}) : size_{nodes.size()} {
    if (how.points_per_node == 0) invalid_option("ring_options.points_per_node", 0, "must be at least 1");
    detail::check_nodes(nodes);
    circle_ = detail::ring_points(nodes, how.points_per_node, "ring_options.points_per_node");
  }

  /// The node of a key, by the key's hash (as `hash_of` makes it: all bits must be well mixed); npos when there are no
  /// nodes. Wait-free, expected O(1), two cache lines.
  [[nodiscard]] std::uint32_t find(std::uint64_t key_hash) const noexcept {
    return circle_.owner(circle_.at_or_after(static_cast<std::uint32_t>(key_hash >> 32)));
  }

  /// The first node in the key's order of preference (the order of the points from the key's hash on) for which
  /// `accept(number)` is true; each is asked at most once. npos when none accepts. O(points) at worst; allocates only
  /// after 32 refusals among more than 1,024 nodes. Throws what `accept` throws, and `std::bad_alloc`.
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint64_t key_hash, F accept) const {
    return circle_.find_if(static_cast<std::uint32_t>(key_hash >> 32), size_, accept);
  }

  /// The placement after one node came, went or changed its weight; `nodes` are those after it. O(points), but for
  /// the points of this node only copying. Throws as the constructor does.
  [[nodiscard]] ring_placement changed(const node_change& change, std::span<const weighted_hash> nodes,
                                       ring_options how) const {
    detail::check_nodes(nodes);
    ring_placement result;
    result.size_ = nodes.size();
    result.circle_ =
        detail::changed_ring_points(circle_, change, nodes, how.points_per_node, "ring_options.points_per_node");
    return result;
  }

  /// Number of nodes. Wait-free.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept { return circle_.memory(); }

 private:
  detail::point_circle circle_;
  std::size_t size_ = 0;
};

}  // namespace banyan
