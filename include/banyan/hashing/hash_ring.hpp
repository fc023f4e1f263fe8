#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <banyan/core/published.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/ring_placement.hpp>
#include <banyan/hashing/ring_table.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

/// A consistent hashing ring that many threads look up while others change its nodes. See `ring_placement` for the
/// algorithm.
///
///     banyan::hash_ring<std::string> ring{{"cache-a", "cache-b", "cache-c"}};
///     ring.add("cache-d", 2.0);
///     ring.find("user:42");                         // "cache-b", say
///     ring.find_n("user:42", 3);                    // where the copies go
///
/// Each change builds a new table beside the one in use and swaps it in: look-ups never wait, and see the nodes from
/// before the change or after it. Changing costs O(points); a number of changes at once is `assign`.
///
/// Thread-safe but for construction and destruction. A change that throws leaves all as it was.
template <class Node, class Hash = stable_hash>
class hash_ring {
 public:
  using node_type = Node;
  using options = ring_options;
  /// The nodes of one moment, with all look-ups.
  using table = ring_table<Node, Hash>;

  hash_ring() : hash_ring{node_list<Node>{}} {}

  /// Throws `std::invalid_argument` for a weight that is not above 0 and finite, a node that is there twice and for bad
  /// options; what copying nodes and the hash throw; `std::bad_alloc`.
  hash_ring(node_list<Node> nodes, ring_options how = {}, Hash hash = {})
      : how_{how}, hash_{hash}, current_{state{table{std::move(nodes), how, std::move(hash)}, 1}} {}

  /// The node of a key; none when there are no nodes. Lock-free, expected O(1), and the copy of a node.
  template <class Key>
  [[nodiscard]] std::optional<Node> find(const Key& key) const {
    return current_.read()->nodes.find(key);
  }

  /// Calls `f(const Node&)` with the node of a key, which stays alive meanwhile, and saves the copy; false when there
  /// are no nodes. Lock-free, expected O(1).
  template <class Key, class F>
  bool visit(const Key& key, F f) const {
    const auto now = current_.read();
    const Node* const found = now->nodes.locate(key);
    if (found != nullptr) f(*found);
    return found != nullptr;
  }

  /// The first `n` nodes in the key's order of preference, all different; all nodes where there are fewer. Lock-free,
  /// about O(n).
  template <class Key>
  [[nodiscard]] std::vector<Node> find_n(const Key& key, std::size_t n) const {
    return current_.read()->nodes.find_n(key, n);
  }

  /// The first node in the key's order of preference for which `accept(node)` is true; each is asked at most once.
  /// Lock-free apart from `accept`, O(points) at worst.
  template <class Key, class F>
  [[nodiscard]] std::optional<Node> find_if(const Key& key, F accept) const {
    return current_.read()->nodes.find_if(key, std::move(accept));
  }

  /// Adds a node; false, and nothing changes, if it is there (see `set_weight`). Lock-free, O(points). Throws as the
  /// constructor does.
  bool add(const Node& node, double weight = 1) {
    detail::check_weight(weight);
    if (contains(node)) return false;
    return change([&](const table& nodes) { return nodes.with(node, weight); });
  }

  /// Takes a node out; false if it is not there. Lock-free, O(points). Throws `std::bad_alloc`.
  bool remove(const Node& node) {
    if (!contains(node)) return false;
    return change([&](const table& nodes) { return nodes.without(node); });
  }

  /// Gives a node another weight; false if it is not there. Lock-free, O(points). Throws as the constructor does.
  bool set_weight(const Node& node, double weight) {
    detail::check_weight(weight);
    if (!contains(node)) return false;
    return change([&](const table& nodes) { return nodes.reweighed(node, weight); });
  }

  /// Replaces all nodes at once. Lock-free, O(points). Throws as the constructor does.
  void assign(node_list<Node> nodes) {
    const table fresh{std::move(nodes), how_, hash_};
    change([&](const table&) { return std::optional<table>{fresh}; });
  }

  [[nodiscard]] std::size_t size() const { return current_.read()->nodes.size(); }
  [[nodiscard]] bool empty() const { return size() == 0; }

  /// Nodes and their weights, in the order in which they came. Lock-free, O(nodes).
  [[nodiscard]] std::vector<weighted_node<Node>> weights() const { return current_.read()->nodes.weights(); }

  /// Grows with each change; what one thread sees of it never goes back. Lock-free.
  [[nodiscard]] std::uint64_t version() const { return current_.read()->version; }

  /// The nodes of this moment, for several look-ups that must agree: `f(const table&, std::uint64_t version)`, with the
  /// table alive and unchanged until it returns. Returns what `f` does. Lock-free apart from `f`.
  template <class F>
  decltype(auto) with_table(F f) const {
    const auto now = current_.read();
    return f(now->nodes, now->version);
  }

 private:
  struct state {
    table nodes;
    std::uint64_t version;
  };

  [[nodiscard]] bool contains(const Node& node) const { return current_.read()->nodes.contains(node); }

  /// `f(nodes)` makes a changed table, or none when there is nothing to change.
  template <class F>
  bool change(F f) {
    bool changed = false;
    current_.update([&](const state& old) {
      std::optional<table> next = f(old.nodes);
      changed = next.has_value();
      // Another writer made the same change in between: an equal table takes the place of theirs.
      return changed ? state{*std::move(next), old.version + 1} : old;
    });
    return changed;
  }

  ring_options how_;
  Hash hash_;
  published<state> current_;
};

}  // namespace banyan
