#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/primes.hpp>
#include <banyan/hashing/named_nodes.hpp>
#include <banyan/hashing/weighted_node.hpp>
#include <banyan/hashing/xxhash64.hpp>

namespace banyan {

/// What Envoy's cluster configuration says of its Maglev table, with the same default.
struct envoy_maglev_options {
  /// A prime number, at most 5,000,011.
  std::uint32_t table_size = 65'537;
};

/// The rule of Envoy's Maglev load balancer: hosts in the order of their names, offset and skip by XXH64 with the seeds
/// 0 and 1, and turns passed over by weight.
///
/// Source: D. Eisenbud et al., "Maglev", NSDI 2016; Envoy, source/extensions/load_balancing_policies/maglev.
class envoy_maglev_scheme {
 public:
  using options = envoy_maglev_options;

  envoy_maglev_scheme() = default;

  envoy_maglev_scheme(std::span<const weighted_node<std::string>> nodes, envoy_maglev_options how)
      : nodes_{nodes.size()} {
    const std::uint32_t slots = how.table_size;
    if (slots > 5'000'011 || !detail::is_prime(slots)) {
      invalid_option("envoy_maglev_options.table_size", slots, "must be a prime number of at most 5000011");
    }
    if (nodes.empty()) return;
    double total = 0;
    for (const weighted_node<std::string>& node : nodes) total += node.weight;
    std::vector<std::uint32_t> order(nodes.size());
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return nodes[a].node < nodes[b].node; });
    std::vector<host> hosts;
    double heaviest = 0;
    for (const std::uint32_t node : order) {
      const std::string_view name = nodes[node].node;
      hosts.push_back({node, xxhash64(name) % slots, xxhash64(name, 1) % (slots - 1) + 1, nodes[node].weight / total});
      heaviest = std::max(heaviest, hosts.back().weight);
    }
    table_.assign(slots, detail::no_node);
    std::uint32_t filled = 0;
    for (std::uint64_t round = 1; filled < slots; ++round) {
      for (std::size_t i = 0; i < hosts.size() && filled < slots; ++i) {
        host& h = hosts[i];
        if (static_cast<double>(round) * h.weight < h.target) continue;
        h.target += heaviest;
        while (table_[h.slot] != detail::no_node) h.slot = (h.slot + h.skip) % slots;
        table_[h.slot] = h.node;
        ++filled;
      }
    }
  }

  /// Envoy's hash of a header, cookie or query parameter.
  [[nodiscard]] static std::uint64_t hash(std::string_view key) noexcept { return xxhash64(key); }

  /// The number of a hash's host; `find_if` as in `maglev_placement`.
  [[nodiscard]] std::uint32_t find(std::uint64_t hash) const noexcept {
    return table_.empty() ? detail::no_node : table_[hash % table_.size()];
  }
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint64_t hash, F accept) const {
    if (table_.empty()) return detail::no_node;
    detail::asked_nodes asked{nodes_};
    std::size_t at = hash % table_.size();
    for (std::size_t left = table_.size(); left > 0; --left) {
      if (asked.insert(table_[at]) && accept(table_[at])) return table_[at];
      at = at + 1 < table_.size() ? at + 1 : 0;
    }
    return detail::no_node;
  }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept { return table_.capacity() * sizeof(std::uint32_t); }

 private:
  struct host {
    std::uint32_t node;
    std::uint64_t slot;
    std::uint64_t skip;
    double weight;
    double target = 0;
  };

  std::vector<std::uint32_t> table_;
  std::size_t nodes_ = 0;
};

/// A table that sends each key to the host that Envoy's Maglev load balancer sends it to. Name the hosts by what Envoy
/// hashes, "address:port" or the hostname; their order does not matter. Hosts beyond the number of slots get no keys,
/// as there.
///
///     banyan::envoy_maglev table{{"127.0.0.1:90", "127.0.0.1:91"}};
using envoy_maglev = named_nodes<envoy_maglev_scheme>;

}  // namespace banyan
