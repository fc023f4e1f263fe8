#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/point_circle.hpp>
#include <banyan/hashing/detail/ring_points.hpp>
#include <banyan/hashing/node_change.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan {

/// How to build a multi-probe ring.
struct multi_probe_options {
  /// Points of a node of weight 1, at least 1; a node of another weight has that many times its weight, rounded, at
  /// least one: with 10, weights count in tenths. At most 2^26 points in all.
  std::uint32_t points_per_node = 10;
  /// Places on the circle that a key tries, 1 to 64. More: better balance, dearer look-ups. 21 keep the fullest node
  /// within 5 % of the mean where nodes have one point, and closer with more.
  std::uint32_t probes = 21;
};

/// Multi-probe consistent hashing: a ring of few points, on which a key is hashed to several places and belongs to the
/// point that follows most closely on one of them. Balance without much memory, paid for by the look-up. An immutable
/// value over the numbers of the nodes given; it depends on their hashes and weights alone, not on their order.
///
/// When a node comes or goes, keys move to it or from it and none between others.
///
/// Thread safety: const, so any number of readers.
///
/// Source: B. Appleton, M. O'Reilly, "Multi-probe consistent hashing", 2015.
class multi_probe_placement {
 public:
  using options = multi_probe_options;
  static constexpr std::uint32_t npos = detail::no_node;

  multi_probe_placement() = default;

  /// O(points). Throws `std::invalid_argument` for a bad weight or option, `std::bad_alloc`.
  explicit multi_probe_placement(std::span<const weighted_hash> nodes, multi_probe_options how = {})
      : size_{nodes.size()}, probes_{how.probes} {
    if (how.points_per_node == 0) invalid_option("multi_probe_options.points_per_node", 0, "must be at least 1");
    if (how.probes == 0 || how.probes > most_probes) {
      invalid_option("multi_probe_options.probes", how.probes, "must be from 1 to 64");
    }
    detail::check_nodes(nodes);
    circle_ = detail::ring_points(nodes, how.points_per_node, "multi_probe_options.points_per_node");
  }

  /// The node of a key, by the key's hash (any 64 bits will do); npos when there are no nodes. Wait-free, expected
  /// O(probes).
  [[nodiscard]] std::uint32_t find(std::uint64_t key_hash) const noexcept {
    splitmix64 places{key_hash};
    std::uint32_t best = npos;
    std::uint32_t best_distance = std::numeric_limits<std::uint32_t>::max();
    for (std::uint32_t i = 0; i < probes_; ++i) {
      const auto place = static_cast<std::uint32_t>(places() >> 32);
      const std::size_t at = circle_.at_or_after(place);
      const std::uint32_t distance = circle_.position(at < circle_.size() ? at : 0) - place;
      const bool better = (distance < best_distance) | (i == 0);
      best = better ? circle_.owner(at) : best;
      best_distance = better ? distance : best_distance;
    }
    return best;
  }

  /// The first node in the key's order of preference for which `accept(number)` is true; each is asked at most once:
  /// the order in which they would follow if those before were not there. npos when none accepts. O(points * probes) at
  /// worst; allocates only after 32 refusals among more than 1,024 nodes. Throws what `accept` throws, and
  /// `std::bad_alloc`.
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint64_t key_hash, F accept) const {
    const std::uint32_t first = find(key_hash);
    if (first == npos || accept(first)) return first;
    detail::asked_nodes asked{size_};
    asked.insert(first);
    // From each place a walk along the circle; the nearest of all next points comes next.
    std::array<walk, most_probes> walks;
    splitmix64 places{key_hash};
    for (std::uint32_t i = 0; i < probes_; ++i) {
      walks[i].place = static_cast<std::uint32_t>(places() >> 32);
      walks[i].at = circle_.at_or_after(walks[i].place);
      if (walks[i].at == circle_.size()) walks[i].at = 0;
      walks[i].left = circle_.size();
      measure(walks[i]);
    }
    while (asked.size() < size_) {
      walk* nearest = nullptr;
      for (std::uint32_t i = 0; i < probes_; ++i) {
        if (walks[i].left > 0 && (nearest == nullptr || walks[i].distance < nearest->distance)) nearest = &walks[i];
      }
      if (nearest == nullptr) break;
      const std::uint32_t node = circle_.owner(nearest->at);
      if (asked.insert(node) && accept(node)) return node;
      nearest->at = nearest->at + 1 < circle_.size() ? nearest->at + 1 : 0;
      --nearest->left;
      measure(*nearest);
    }
    return npos;
  }

  /// The placement after one node came, went or changed its weight; `nodes` are those after it. O(points), but for
  /// the points of this node only copying. Throws as the constructor does.
  [[nodiscard]] multi_probe_placement changed(const node_change& change, std::span<const weighted_hash> nodes,
                                              multi_probe_options how) const {
    detail::check_nodes(nodes);
    multi_probe_placement result;
    result.size_ = nodes.size();
    result.probes_ = probes_;
    result.circle_ =
        detail::changed_ring_points(circle_, change, nodes, how.points_per_node, "multi_probe_options.points_per_node");
    return result;
  }

  /// Number of nodes. Wait-free.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept { return circle_.memory(); }

 private:
  static constexpr std::uint32_t most_probes = 64;

  struct walk {
    std::uint32_t place = 0;
    std::uint32_t distance = 0;
    std::size_t at = 0;
    std::size_t left = 0;
  };

  void measure(walk& w) const noexcept { w.distance = circle_.position(w.at) - w.place; }

  detail::point_circle circle_;
  std::size_t size_ = 0;
  std::uint32_t probes_ = multi_probe_options{}.probes;
};

}  // namespace banyan
