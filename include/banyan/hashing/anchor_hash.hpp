#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/core/detail/wide_product.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/bucket_shares.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/node_look_ups.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

/// How to build an anchor hash.
struct anchor_options {
  /// Buckets a node has on average, at least 1; there may be up to twice as many. Shares are by weight to within a
  /// bucket, and a node has one at least, so take more where some nodes weigh a small part of what others do. 2 bytes a
  /// bucket, 4 from 65,535 nodes on, and up to 8 more for the history of changes; at most 2^26 in all.
  std::uint32_t buckets_per_node = 64;
};

/// Nodes of which any may come and go, with a look-up that is one read of a table, shares exact to a bucket, and no key
/// moved between two nodes that stayed. Changes cost O(buckets).
///
/// The price is AnchorHash's: a key's node depends on the order of the changes, not on the nodes alone. Whoever is to
/// agree must start from the same nodes (in any order) and make the same changes in the same order, or be given a copy.
/// Where that cannot be had, take a ring.
///
/// What AnchorHash promises is kept, but it is done differently: AnchorHash finds a key's node by hashing it again for
/// each bucket removed that it meets, and a bucket removed passes its keys on to all others alike. Here the hash's
/// first bits name a bucket, buckets are handed from node to node, from the fullest and to the emptiest, and their
/// number is doubled when there are too few, which moves nothing. So look-ups do not slow down as nodes go, shares need
/// no chance to be even, and weights need no rounding.
///
/// As there, changes taken back in the opposite order leave no trace: when the node that went last comes back (or
/// another of its weight in its place) it gets the same keys, and when the one that came last goes, its keys go back
/// where they were. The last change is always remembered; those before it as long as all together moved no more than a
/// quarter of the buckets, or no more than 16,384 of them.
///
/// A value: copies are independent. Made for `published`. Thread safety: const use by many threads; changes by one
/// alone. A change that throws leaves all as it was.
///
/// Source of the promises: G. Mendelson et al., "AnchorHash: a scalable consistent hash", IEEE/ACM ToN 29(2), 2021.
template <class Node, class Hash = stable_hash>
class anchor_hash : public detail::node_look_ups<Node, anchor_hash<Node, Hash>> {
  using look_ups = detail::node_look_ups<Node, anchor_hash>;
  friend look_ups;
  using look_ups::nodes_;

 public:
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
    std::vector<double> weights;
    nodes_.reserve(given.size());
    weights.reserve(given.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      weighted_node<Node>& node = given[order[i].second];
      detail::check_weight(node.weight);
      for (std::size_t twin = i; twin > 0 && order[twin - 1].first == order[i].first; --twin) {
        if (nodes_[twin - 1].node == node.node) refuse_twin(node.node);
      }
      weights.push_back(node.weight);
      nodes_.push_back(std::move(node));
    }
    buckets_.assign(weights, buckets_for(nodes_.size()));
  }

  /// Adds a node; false, and nothing changes, if it is there (see `set_weight`). O(buckets + moved log(nodes)). Throws
  /// as the constructor does.
  bool add(Node node, double weight = 1) {
    detail::check_weight(weight);
    if (position(node) != size()) return false;
    const std::size_t least = buckets_for(size() + 1);
    nodes_.push_back({std::move(node), weight});
    struct undo {
      std::vector<weighted_node<Node>>* nodes;
      ~undo() {
        if (nodes != nullptr) nodes->pop_back();
      }
    } guard{&nodes_};
    buckets_.add(weight, least);
    guard.nodes = nullptr;
    return true;
  }

  /// Takes a node out; false if it is not there. Costs as `add`. Throws `std::bad_alloc`.
  bool remove(const Node& node) {
    const std::size_t at = position(node);
    if (at == size()) return false;
    const auto without = [at](std::vector<weighted_node<Node>>& nodes) {
      nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(at));
    };
    if constexpr (std::is_nothrow_move_assignable_v<Node>) {
      buckets_.remove(static_cast<std::uint32_t>(at));
      without(nodes_);
    } else {
      std::vector<weighted_node<Node>> rest = nodes_;
      without(rest);
      buckets_.remove(static_cast<std::uint32_t>(at));
      nodes_.swap(rest);
    }
    return true;
  }

  /// Gives a node another weight; false if it is not there. Costs as `add`. Throws as the constructor does.
  bool set_weight(const Node& node, double weight) {
    detail::check_weight(weight);
    const std::size_t at = position(node);
    if (at == size()) return false;
    buckets_.reweigh(static_cast<std::uint32_t>(at), weight);
    nodes_[at].weight = weight;
    return true;
  }

  using look_ups::size;
  [[nodiscard]] bool contains(const Node& node) const { return position(node) != size(); }

  /// Bytes allocated for look-ups and changes, apart from the nodes themselves.
  [[nodiscard]] std::size_t memory() const noexcept { return buckets_.memory(); }

  /// The number, in `weights()`, of the node of a hash: for hashes that are at hand already. 2^32 - 1 when there are no
  /// nodes. Wait-free.
  [[nodiscard]] std::uint32_t find_index(std::uint64_t key_hash) const noexcept { return buckets_.find(key_hash); }

 private:
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15U;

  [[noreturn]] static void refuse_twin(const Node& node) {
    if constexpr (std::is_convertible_v<const Node&, std::string_view> || std::is_arithmetic_v<Node>) {
      invalid_option("node", node, "must not be there twice");
    } else {
      invalid_option("node", "(given)", "must not be there twice");
    }
  }

  /// How many there must be at least for so many nodes.
  [[nodiscard]] std::size_t buckets_for(std::size_t nodes) const {
    constexpr std::uint64_t most = std::uint64_t{1} << 26;
    if (nodes > most / how_.buckets_per_node) {
      invalid_option("anchor_options.buckets_per_node", how_.buckets_per_node, "times the nodes: more than 2^26");
    }
    return nodes * how_.buckets_per_node;
  }

  [[nodiscard]] std::size_t position(const Node& node) const {
    std::size_t at = 0;
    while (at < nodes_.size() && !(nodes_[at].node == node)) ++at;
    return at;
  }

  template <class Key>
  [[nodiscard]] std::uint32_t number_of(const Key& key) const {
    return buckets_.find(hash_(key));
  }

  /// The key is hashed again for each further choice; when that has gone on for long, the rest come in turn.
  template <class Key, class F>
  [[nodiscard]] std::uint32_t number_if(const Key& with_hash, F accept) const {
    const std::uint64_t key_hash = hash_(with_hash);
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
  detail::bucket_shares buckets_;
};

}  // namespace banyan
