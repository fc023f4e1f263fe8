#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/anchor_buckets.hpp>
#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

/// How to build an anchor hash.
struct anchor_options {
  /// Buckets of a node of weight 1, at least 1; a node of another weight has that many times its weight, rounded, at
  /// least one: with 10, weights count in tenths. 20 to 40 bytes a bucket; at most 2^26 in all.
  std::uint32_t buckets_per_node = 10;
};

/// Nodes of which any may come and go, with a look-up of a few nanoseconds, shares as even as chance can make them, and
/// no key moved between two nodes that stayed. Changes cost O(buckets of the node), not of all.
///
/// The price: a key's node depends on the order of the changes, not on the nodes alone. Whoever is to agree must start
/// from the same nodes (in any order) and make the same changes in the same order, or be given a copy. Where that
/// cannot be had, take a ring.
///
/// A value: copies are independent. Made for `published`. Thread safety: const use by many threads; changes by one
/// alone. A change that throws leaves all as it was.
///
/// Source: G. Mendelson et al., "AnchorHash: a scalable consistent hash", IEEE/ACM ToN 29(2), 2021; started from
/// JumpBackHash (O. Ertl, 2024), so that there is no capacity to be chosen beforehand.
template <class Node, class Hash = stable_hash>
class anchor_hash {
 public:
  using node_type = Node;
  using options = anchor_options;

  anchor_hash() = default;

  /// Throws `std::invalid_argument` for a weight that is not above 0 and finite, a node that is there twice and for bad
  /// options; what copying nodes and the hash throw; `std::bad_alloc`.
  anchor_hash(node_list<Node> nodes, anchor_options how = {}, Hash hash = {}) : how_{how}, hash_{std::move(hash)} {
    if (how.buckets_per_node == 0) invalid_option("anchor_options.buckets_per_node", 0, "must be at least 1");
    std::vector<weighted_node<Node>> given = std::move(nodes).nodes();
    std::vector<std::pair<std::uint64_t, std::size_t>> order;
    order.reserve(given.size());
    for (std::size_t i = 0; i < given.size(); ++i) order.emplace_back(hash_(given[i].node), i);
    std::sort(order.begin(), order.end());
    for (const auto& [hashed, i] : order) add(std::move(given[i].node), given[i].weight, refuse_if_there);
  }

  /// The node of a key; none when there are no nodes. Wait-free but for the copy of a node, expected
  /// O(1 + log(buckets ever / buckets now)).
  template <class Key>
  [[nodiscard]] std::optional<Node> find(const Key& key) const {
    const Node* const found = locate(key);
    return found == nullptr ? std::nullopt : std::optional<Node>{*found};
  }

  /// As find, without the copy: valid until the next change. Null when there are no nodes.
  template <class Key>
  [[nodiscard]] const Node* locate(const Key& key) const {
    const std::uint32_t found = buckets_.find(hash_(key));
    return found == detail::no_node ? nullptr : &nodes_[found].node;
  }

  /// The first `n` nodes in the key's order of preference, all different; all nodes where there are fewer.
  template <class Key>
  [[nodiscard]] std::vector<Node> find_n(const Key& key, std::size_t n) const {
    std::vector<Node> found;
    n = std::min(n, size());
    if (n == 0) return found;
    found.reserve(n);
    static_cast<void>(find_index(hash_(key), [&](std::uint32_t node) {
      found.push_back(nodes_[node].node);
      return found.size() == n;
    }));
    return found;
  }

  /// The first node in the key's order of preference for which `accept(node)` is true; each is asked at most once.
  /// Expected O(1) for each of the first refusals, O(nodes) at worst. Throws what `accept` throws, and
  /// `std::bad_alloc`.
  template <class Key, class F>
  [[nodiscard]] std::optional<Node> find_if(const Key& key, F accept) const {
    const std::uint32_t found =
        find_index(hash_(key), [&](std::uint32_t node) -> bool { return accept(nodes_[node].node); });
    return found == detail::no_node ? std::nullopt : std::optional<Node>{nodes_[found].node};
  }

  /// Adds a node; false, and nothing changes, if it is there (see `set_weight`). Throws as the constructor does.
  bool add(Node node, double weight = 1) {
    detail::check_weight(weight);
    if (position(node) != size()) return false;
    add(std::move(node), weight, is_new);
    return true;
  }

  /// Takes a node out; false if it is not there. O(buckets).
  bool remove(const Node& node) {
    const std::size_t at = position(node);
    if (at == size()) return false;
    while (!owned_[at].empty()) give_back(at);
    nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(at));
    owned_.erase(owned_.begin() + static_cast<std::ptrdiff_t>(at));
    for (std::size_t i = at; i < size(); ++i) {
      for (const std::uint32_t bucket : owned_[i]) buckets_.set_owner(bucket, static_cast<std::uint32_t>(i));
    }
    return true;
  }

  /// Gives a node another weight; false if it is not there. Throws as the constructor does.
  bool set_weight(const Node& node, double weight) {
    detail::check_weight(weight);
    const std::size_t at = position(node);
    if (at == size()) return false;
    const std::size_t wanted = buckets_for(weight, owned_[at].size());
    take(at, wanted);
    while (owned_[at].size() > wanted) give_back(at);
    nodes_[at].weight = weight;
    return true;
  }

  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] bool empty() const noexcept { return nodes_.empty(); }
  [[nodiscard]] bool contains(const Node& node) const { return position(node) != size(); }

  /// Nodes and their weights, in no particular order.
  [[nodiscard]] const std::vector<weighted_node<Node>>& weights() const& noexcept { return nodes_; }
  [[nodiscard]] std::vector<weighted_node<Node>> weights() && noexcept { return std::move(nodes_); }

  /// Bytes allocated for look-ups and changes, apart from the nodes themselves.
  [[nodiscard]] std::size_t memory() const noexcept {
    std::size_t bytes = buckets_.memory();
    for (const auto& buckets : owned_) bytes += buckets.capacity() * sizeof(std::uint32_t);
    bytes += owned_.size() * sizeof(std::vector<std::uint32_t>);
    return bytes;
  }

  /// The number, in `weights()`, of the node of a hash: for hashes that are at hand already. 2^32 - 1 when there are no
  /// nodes. Wait-free.
  [[nodiscard]] std::uint32_t find_index(std::uint64_t key_hash) const noexcept { return buckets_.find(key_hash); }

 private:
  enum twin_rule { refuse_if_there, is_new };
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15U;

  void add(Node node, double weight, twin_rule rule) {
    detail::check_weight(weight);
    if (rule == refuse_if_there && position(node) != size()) {
      if constexpr (std::is_convertible_v<const Node&, std::string_view> || std::is_arithmetic_v<Node>) {
        invalid_option("node", node, "must not be there twice");
      } else {
        invalid_option("node", "(given)", "must not be there twice");
      }
    }
    const std::size_t wanted = buckets_for(weight, 0);
    owned_.emplace_back();
    owned_.back().reserve(wanted);
    // Whatever fails from here on takes out what was put in.
    struct undo {
      anchor_hash& all;
      bool done = false;
      ~undo() {
        if (done) return;
        if (all.nodes_.size() == all.owned_.size()) all.nodes_.pop_back();
        while (!all.owned_.back().empty()) all.give_back(all.owned_.size() - 1);
        all.owned_.pop_back();
      }
    } guard{*this};
    nodes_.push_back({std::move(node), weight});
    take(size() - 1, wanted);
    guard.done = true;
  }

  /// Takes buckets for a node until it has `wanted`; all of them or none.
  void take(std::size_t node, std::size_t wanted) {
    const std::size_t before = owned_[node].size();
    if (before >= wanted) return;
    owned_[node].reserve(wanted);
    struct undo {
      anchor_hash& all;
      std::size_t node;
      std::size_t keep;
      ~undo() {
        while (all.owned_[node].size() > keep) all.give_back(node);
      }
    } guard{*this, node, before};
    while (owned_[node].size() < wanted) owned_[node].push_back(buckets_.add(static_cast<std::uint32_t>(node)));
    guard.keep = wanted;
  }

  void give_back(std::size_t node) noexcept {
    buckets_.remove(owned_[node].back());
    owned_[node].pop_back();
  }

  [[nodiscard]] std::size_t buckets_for(double weight, std::size_t had) const {
    constexpr double most = std::uint64_t{1} << 26;
    const double wanted = std::max(std::round(weight * how_.buckets_per_node), 1.0);
    if (wanted + static_cast<double>(buckets_.size() - had) > most) {
      invalid_option("anchor_options.buckets_per_node", how_.buckets_per_node, "times the weights: more than 2^26");
    }
    return static_cast<std::size_t>(wanted);
  }

  [[nodiscard]] std::size_t position(const Node& node) const {
    std::size_t at = 0;
    while (at < nodes_.size() && !(nodes_[at].node == node)) ++at;
    return at;
  }

  /// The key is hashed again for each further choice; when that has gone on for long, the rest come in turn.
  template <class F>
  [[nodiscard]] std::uint32_t find_index(std::uint64_t key_hash, F accept) const {
    const std::uint32_t first = buckets_.find(key_hash);
    if (first == detail::no_node || accept(first)) return first;
    detail::asked_nodes asked{size()};
    asked.insert(first);
    std::uint64_t key = key_hash;
    for (std::size_t tries = 4 * size() + 16; tries > 0 && asked.size() < size(); --tries) {
      const std::uint32_t node = buckets_.find(mix_bits(key += step));
      if (asked.insert(node) && accept(node)) return node;
    }
    auto node = static_cast<std::uint32_t>(detail::multiply_high(mix_bits(key_hash), size()));
    for (std::size_t left = size(); left > 0 && asked.size() < size(); --left) {
      if (asked.insert(node) && accept(node)) return node;
      node = node + 1 < size() ? node + 1 : 0;
    }
    return detail::no_node;
  }

  anchor_options how_{};
  Hash hash_{};
  std::vector<weighted_node<Node>> nodes_;
  std::vector<std::vector<std::uint32_t>> owned_;  // the buckets of each node
  detail::anchor_buckets buckets_;
};

}  // namespace banyan
