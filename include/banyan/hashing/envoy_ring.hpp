#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/murmur_hash2.hpp>
#include <banyan/hashing/named_nodes.hpp>
#include <banyan/hashing/weighted_node.hpp>
#include <banyan/hashing/xxhash64.hpp>

namespace banyan {

/// What Envoy's cluster configuration says of its ring, with the same defaults.
struct envoy_ring_options {
  /// Points, at least.
  std::uint64_t minimum_ring_size = 1'024;
  /// Points, at most; up to 8,388,608.
  std::uint64_t maximum_ring_size = 8'388'608;
  /// Points by MurmurHash2 (`hash_function: MURMUR_HASH_2`) instead of XXH64.
  bool murmur_hash_2 = false;
};

/// The rule of Envoy's ring hash load balancer: points by the hash of "address_number", as many by weight that the
/// lightest host has a whole number of them.
///
/// Source: Envoy, source/extensions/load_balancing_policies/ring_hash.
class envoy_ring_scheme {
 public:
  using options = envoy_ring_options;

  envoy_ring_scheme() = default;

  envoy_ring_scheme(std::span<const weighted_node<std::string>> nodes, envoy_ring_options how) : nodes_{nodes.size()} {
    constexpr std::uint64_t most = 8'388'608;
    if (how.maximum_ring_size == 0 || how.maximum_ring_size > most) {
      invalid_option("envoy_ring_options.maximum_ring_size", how.maximum_ring_size, "must be from 1 to 8388608");
    }
    if (how.minimum_ring_size > how.maximum_ring_size) {
      invalid_option("envoy_ring_options.minimum_ring_size", how.minimum_ring_size,
                     "must not be above maximum_ring_size");
    }
    if (nodes.empty()) return;
    double total = 0;
    double lightest = nodes.front().weight;
    for (const weighted_node<std::string>& node : nodes) {
      total += node.weight;
      lightest = std::min(lightest, node.weight);
    }
    lightest /= total;
    const double scale = std::min(std::ceil(lightest * static_cast<double>(how.minimum_ring_size)) / lightest,
                                  static_cast<double>(how.maximum_ring_size));
    points_.reserve(static_cast<std::size_t>(std::ceil(scale)));
    double target = 0;
    double current = 0;
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
      target += scale * (nodes[i].weight / total);
      std::uint64_t number = 0;
      while (current < target) {
        current += 1;
        const std::string name = nodes[i].node + '_' + std::to_string(number++);
        points_.push_back({how.murmur_hash_2 ? murmur_hash2_64a(name) : xxhash64(name), i});
      }
    }
    std::stable_sort(points_.begin(), points_.end(), [](const point& a, const point& b) { return a.hash < b.hash; });
  }

  /// Envoy's hash of a header, cookie or query parameter.
  [[nodiscard]] static std::uint64_t hash(std::string_view key) noexcept { return xxhash64(key); }

  /// The number of the host at a point of the circle; `find_if` as in `ring_placement`.
  [[nodiscard]] std::uint32_t find(std::uint64_t hash) const noexcept {
    return points_.empty() ? detail::no_node : points_[at_or_after(hash)].node;
  }
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint64_t hash, F accept) const {
    if (points_.empty()) return detail::no_node;
    detail::asked_nodes asked{nodes_};
    std::size_t at = at_or_after(hash);
    for (std::size_t left = points_.size(); left > 0; --left) {
      if (asked.insert(points_[at].node) && accept(points_[at].node)) return points_[at].node;
      at = at + 1 < points_.size() ? at + 1 : 0;
    }
    return detail::no_node;
  }

  [[nodiscard]] std::size_t points() const noexcept { return points_.size(); }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept { return points_.capacity() * sizeof(point); }

 private:
  struct point {
    std::uint64_t hash;
    std::uint32_t node;
  };

  [[nodiscard]] std::size_t at_or_after(std::uint64_t hash) const noexcept {
    const auto at = std::partition_point(points_.begin(), points_.end(), [&](const point& p) { return p.hash < hash; });
    return at == points_.end() ? 0 : static_cast<std::size_t>(at - points_.begin());
  }

  std::vector<point> points_;
  std::size_t nodes_ = 0;
};

/// A ring that sends each key to the host that Envoy's ring hash load balancer sends it to. Name the hosts by what
/// Envoy hashes, "address:port" or the hostname, in Envoy's order (where the ring is scaled down to its maximum, the
/// order decides who gets the odd point). Look-ups take O(log points).
///
///     banyan::envoy_ring ring{{"127.0.0.1:90", "127.0.0.1:91"}, {.minimum_ring_size = 1024}};
using envoy_ring = named_nodes<envoy_ring_scheme>;

}  // namespace banyan
