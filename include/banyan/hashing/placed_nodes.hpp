#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/node_look_ups.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/node_change.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/weighted_hash.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

/// What `placed_nodes` asks of a placement: an immutable value made of the nodes' hashes and weights, which answers
/// with the number of a node, and which can be asked again for the next one in a key's order of preference.
template <class P>
concept placement = std::copyable<P> && std::default_initializable<P> && std::constructible_from < P,
        std::span<const weighted_hash>,
typename P::options > &&requires(const P& p, std::uint64_t key_hash, bool (*accept)(std::uint32_t)) {
  { p.find(key_hash) }
  noexcept->std::same_as<std::uint32_t>;
  { p.find_if(key_hash, accept) } -> std::same_as<std::uint32_t>;
  { p.size() }
  noexcept->std::same_as<std::size_t>;
  { P::npos } -> std::convertible_to<std::uint32_t>;
};

/// Nodes, and the one among them that each key belongs to, as `Placement` says. A value: copies are independent. Made
/// for `published`, where readers go on while a changed copy is built; `hash_ring` has that built in.
///
///     banyan::maglev_table<std::string> table{{"a", "b", "c"}};
///     table.find("user:42");                        // "b", say
///     banyan::published<banyan::maglev_table<std::string>> shared{std::move(table)};
///     shared.update([](const auto& old) { return old.without("b").value_or(old); });
///
/// `Hash` gives 64 well-mixed bits for keys and nodes; all who share the keys must use the same one.
///
/// Thread safety: const use by many threads; changes by one alone. A change that throws leaves all as it was.
template <class Node, placement Placement, class Hash = stable_hash>
class placed_nodes : public detail::node_look_ups<Node, placed_nodes<Node, Placement, Hash>> {
  using look_ups = detail::node_look_ups<Node, placed_nodes>;
  friend look_ups;
  using look_ups::nodes_;

 public:
  using placement_type = Placement;
  using options = typename Placement::options;

  placed_nodes() = default;

  /// Throws `std::invalid_argument` for a weight that is not above 0 and finite, a node that is there twice and for bad
  /// options; what copying nodes and the hash throw; `std::bad_alloc`.
  placed_nodes(node_list<Node> nodes, options how = {}, Hash hash = {}) : how_{how}, hash_{std::move(hash)} {
    nodes_ = std::move(nodes).nodes();
    hashes_.reserve(nodes_.size());
    for (const weighted_node<Node>& n : nodes_) hashes_.push_back({hash_(n.node), n.weight});
    check_distinct();
    placement_ = Placement(std::span<const weighted_hash>{hashes_}, how_);
  }

  /// Adds a node; false, and nothing changes, if it is there (see `set_weight`). Costs what building the placement
  /// costs, on rings a fraction of it. Throws as the constructor does.
  bool add(Node node, double weight = 1) { return become(parts_with(std::move(node), weight)); }

  /// Takes a node out; false if it is not there. Costs as `add`.
  bool remove(const Node& node) { return become(parts_without(node)); }

  /// Gives a node another weight; false if it is not there. Costs as `add`. Throws as the constructor does.
  bool set_weight(const Node& node, double weight) { return become(parts_reweighed(node, weight)); }

  /// The table that `add` would make of this one; none if the node is there. For `published` and the like, as it saves
  /// the copy of the placement. Throws as the constructor does.
  [[nodiscard]] std::optional<placed_nodes> with(Node node, double weight = 1) const {
    return made_of(parts_with(std::move(node), weight));
  }

  /// The table that `remove` would make of this one; none if the node is not there.
  [[nodiscard]] std::optional<placed_nodes> without(const Node& node) const { return made_of(parts_without(node)); }

  /// The table that `set_weight` would make of this one; none if the node is not there. Throws as the constructor does.
  [[nodiscard]] std::optional<placed_nodes> reweighed(const Node& node, double weight) const {
    return made_of(parts_reweighed(node, weight));
  }

  using look_ups::size;
  [[nodiscard]] bool contains(const Node& node) const { return position(node, hash_(node)) != size(); }

  /// What answers the look-ups; its numbers count the nodes in the order of `weights()`.
  [[nodiscard]] const Placement& where() const noexcept { return placement_; }
  [[nodiscard]] const Hash& hash_function() const noexcept { return hash_; }

 private:
  void check_distinct() const {
    std::vector<std::uint64_t> sorted;
    sorted.reserve(hashes_.size());
    for (const weighted_hash& h : hashes_) sorted.push_back(h.hash);
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice == sorted.end()) return;
    const auto with_it =
        std::find_if(hashes_.begin(), hashes_.end(), [&](const weighted_hash& h) { return h.hash == *twice; });
    refuse_twin(nodes_[static_cast<std::size_t>(with_it - hashes_.begin())].node);
  }

  [[noreturn]] static void refuse_twin(const Node& node) {
    constexpr std::string_view rule = "must not be there twice, nor have the hash of another node";
    if constexpr (std::is_convertible_v<const Node&, std::string_view> || std::is_arithmetic_v<Node>) {
      invalid_option("node", node, rule);
    } else {
      invalid_option("node", "(given)", rule);
    }
  }

  /// size() when it is not there; throws when another node has its hash.
  [[nodiscard]] std::size_t position(const Node& node, std::uint64_t hash) const {
    for (std::size_t i = 0; i < hashes_.size(); ++i) {
      if (hashes_[i].hash != hash) continue;
      if (!(nodes_[i].node == node)) refuse_twin(node);
      return i;
    }
    return size();
  }

  // A table but for what does not change.
  struct parts {
    std::vector<weighted_node<Node>> nodes;
    std::vector<weighted_hash> hashes;
    Placement placement;
  };

  placed_nodes(const options& how, const Hash& hash, parts&& made)
      : how_{how}, hash_{hash}, hashes_{std::move(made.hashes)}, placement_{std::move(made.placement)} {
    nodes_ = std::move(made.nodes);
  }

  [[nodiscard]] static std::uint32_t number(std::uint32_t found) noexcept {
    return found == Placement::npos ? detail::no_node : found;
  }
  template <class Key>
  [[nodiscard]] std::uint32_t number_of(const Key& key) const {
    return number(placement_.find(hash_(key)));
  }
  template <class Key, class F>
  [[nodiscard]] std::uint32_t number_if(const Key& key, F accept) const {
    return number(placement_.find_if(hash_(key), accept));
  }

  [[nodiscard]] std::optional<parts> parts_with(Node node, double weight) const {
    detail::check_weight(weight);
    const std::uint64_t hash = hash_(node);
    if (position(node, hash) != size()) return std::nullopt;
    parts next = copy_of_parts(1);
    next.hashes.push_back({hash, weight});
    next.nodes.push_back({std::move(node), weight});
    place(next, {node_change::kind::came, static_cast<std::uint32_t>(size()), {}});
    return next;
  }

  [[nodiscard]] std::optional<parts> parts_without(const Node& node) const {
    const std::size_t at = position(node, hash_(node));
    if (at == size()) return std::nullopt;
    parts next = copy_of_parts(0);
    next.hashes.erase(next.hashes.begin() + static_cast<std::ptrdiff_t>(at));
    next.nodes.erase(next.nodes.begin() + static_cast<std::ptrdiff_t>(at));
    place(next, {node_change::kind::went, static_cast<std::uint32_t>(at), hashes_[at]});
    return next;
  }

  [[nodiscard]] std::optional<parts> parts_reweighed(const Node& node, double weight) const {
    detail::check_weight(weight);
    const std::size_t at = position(node, hash_(node));
    if (at == size()) return std::nullopt;
    parts next = copy_of_parts(0);
    next.hashes[at].weight = weight;
    next.nodes[at].weight = weight;
    place(next, {node_change::kind::reweighed, static_cast<std::uint32_t>(at), hashes_[at]});
    return next;
  }

  [[nodiscard]] parts copy_of_parts(std::size_t more) const {
    parts copy;
    copy.nodes.reserve(nodes_.size() + more);
    copy.nodes = nodes_;
    copy.hashes.reserve(hashes_.size() + more);
    copy.hashes = hashes_;
    return copy;
  }

  void place(parts& next, const node_change& change) const {
    const std::span<const weighted_hash> hashes{next.hashes};
    if constexpr (requires { placement_.changed(change, hashes, how_); }) {
      next.placement = placement_.changed(change, hashes, how_);
    } else {
      next.placement = Placement(hashes, how_);
    }
  }

  bool become(std::optional<parts>&& next) {
    if (!next) return false;
    placement_ = std::move(next->placement);
    nodes_ = std::move(next->nodes);
    hashes_ = std::move(next->hashes);
    return true;
  }

  [[nodiscard]] std::optional<placed_nodes> made_of(std::optional<parts>&& next) const {
    if (!next) return std::nullopt;
    return placed_nodes{how_, hash_, std::move(*next)};
  }

  options how_{};
  Hash hash_{};
  std::vector<weighted_hash> hashes_;
  Placement placement_;
};

}  // namespace banyan
