#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/point_circle.hpp>
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
    const std::vector<std::uint32_t> counts =
        detail::parts_by_weight(nodes, how.points_per_node, most_points, "ring_options.points_per_node");
    // Points that fall on one position go by the hash of the owner: so they are ranked first, and numbered afterwards.
    const std::vector<std::uint32_t> ranked = detail::by_hash(nodes);
    std::vector<std::uint64_t> points;
    std::size_t total = 0;
    for (const std::uint32_t count : counts) total += count;
    points.reserve(total);
    for (std::uint32_t rank = 0; rank < ranked.size(); ++rank) {
      splitmix64 positions{mix_bits(nodes[ranked[rank]].hash + stream)};
      for (std::uint32_t i = counts[ranked[rank]]; i > 0; --i) {
        points.push_back(detail::point_circle::point(static_cast<std::uint32_t>(positions() >> 32), rank));
      }
    }
    circle_ = detail::point_circle{points};
    circle_.rename_owners(ranked);
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
    std::size_t at = circle_.at_or_after(static_cast<std::uint32_t>(key_hash >> 32));
    const std::uint32_t first = circle_.owner(at);
    if (first == npos || accept(first)) return first;
    if (at == circle_.size()) at = 0;  // ran past the last point
    detail::asked_nodes asked{size_};
    asked.insert(first);
    for (std::size_t left = circle_.size(); left > 0 && asked.size() < size_; --left) {
      at = at + 1 < circle_.size() ? at + 1 : 0;
      const std::uint32_t node = circle_.owner(at);
      if (asked.insert(node) && accept(node)) return node;
    }
    return npos;
  }

  /// Number of nodes. Wait-free.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept { return circle_.memory(); }

 private:
  static constexpr std::uint64_t most_points = std::uint64_t{1} << 26;
  /// Sets the points apart from the hashes of keys of the same name.
  static constexpr std::uint64_t stream = 0xa0761d6478bd642fU;

  detail::point_circle circle_;
  std::size_t size_ = 0;
};

}  // namespace banyan
