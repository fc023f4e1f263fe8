#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan::detail {

/// The look-ups that all tables of nodes have. `Table`, which derives from this, keeps `nodes_` and says of a key which
/// of them it belongs to, by number: `number_of(key)`, and `number_if(key, accept)` for the first in the key's order of
/// preference whose number is accepted; `no_node` when there is none.
template <class Node, class Table>
class node_look_ups {
 public:
  using node_type = Node;

  /// The node of a key; none when there are no nodes. Cost and progress of the hash, of the table's way to find it and
  /// of copying a node.
  template <class Key>
  [[nodiscard]] std::optional<Node> find(const Key& key) const {
    const Node* const found = locate(key);
    return found == nullptr ? std::nullopt : std::optional<Node>{*found};
  }

  /// As find, without the copy: valid until the next change. Null when there are no nodes.
  template <class Key>
  [[nodiscard]] const Node* locate(const Key& key) const {
    const std::uint32_t found = table().number_of(key);
    return found == no_node ? nullptr : &nodes_[found].node;
  }

  /// The first `n` nodes in the key's order of preference, all different; all nodes where there are fewer. Throws
  /// `std::bad_alloc` and what copying nodes throws.
  template <class Key>
  [[nodiscard]] std::vector<Node> find_n(const Key& key, std::size_t n) const {
    std::vector<Node> found;
    n = std::min(n, size());
    if (n == 0) return found;
    found.reserve(n);
    static_cast<void>(table().number_if(key, [&](std::uint32_t number) {
      found.push_back(nodes_[number].node);
      return found.size() == n;
    }));
    return found;
  }

  /// The first node in the key's order of preference for which `accept(node)` is true; each is asked at most once.
  /// Throws what `accept` throws, and `std::bad_alloc` where the table allocates for it.
  template <class Key, class F>
  [[nodiscard]] std::optional<Node> find_if(const Key& key, F accept) const {
    const std::uint32_t found =
        table().number_if(key, [&](std::uint32_t number) -> bool { return accept(nodes_[number].node); });
    return found == no_node ? std::nullopt : std::optional<Node>{nodes_[found].node};
  }

  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] bool empty() const noexcept { return nodes_.empty(); }

  /// Nodes and their weights, in the order of their numbers.
  [[nodiscard]] const std::vector<weighted_node<Node>>& weights() const& noexcept { return nodes_; }
  [[nodiscard]] std::vector<weighted_node<Node>> weights() && noexcept { return std::move(nodes_); }

 protected:
  std::vector<weighted_node<Node>> nodes_;

 private:
  [[nodiscard]] const Table& table() const noexcept { return static_cast<const Table&>(*this); }
};

}  // namespace banyan::detail
