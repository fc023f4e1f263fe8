#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

namespace detail {

/// Texts of all kinds stand for each other, though std::string does not convert from std::string_view by itself.
template <class From, class Node>
concept makes_node = std::convertible_to<From, Node> ||
    (std::convertible_to<From, std::string_view>&& std::constructible_from<Node, From>&&
         std::convertible_to<const Node&, std::string_view>);

}  // namespace detail

/// What a ring or table is made of, in any of the forms in which nodes come: `{"a", "b"}`, `{{"a", 2.0}, {"b", 0.5}}`,
/// a range of nodes, of pairs of node and weight (such as a map), or of `weighted_node`.
template <class Node>
class node_list {
 public:
  /// One node; without a weight it weighs 1.
  struct entry {
    template <detail::makes_node<Node> N>
    requires(!std::same_as<std::remove_cvref_t<N>, entry>) entry(N&& node) : value{Node(std::forward<N>(node)), 1} {}
    template <detail::makes_node<Node> N, class Weight>
    requires std::is_arithmetic_v<Weight> entry(N&& node, Weight weight)
        : value{Node(std::forward<N>(node)), static_cast<double>(weight)} {}
    template <detail::makes_node<Node> N, class Weight>
    requires std::is_arithmetic_v<Weight> entry(const std::pair<N, Weight>& pair)
        : value{Node(pair.first), static_cast<double>(pair.second)} {}
    entry(weighted_node<Node> node) : value{std::move(node)} {}

    weighted_node<Node> value;
  };

  node_list() = default;

  node_list(std::initializer_list<entry> entries) {
    nodes_.reserve(entries.size());
    for (const entry& e : entries) nodes_.push_back(e.value);
  }

  node_list(std::vector<weighted_node<Node>> nodes) noexcept : nodes_{std::move(nodes)} {}

  template <std::ranges::input_range Range>
  requires(!std::same_as<std::remove_cvref_t<Range>, node_list> &&
           !std::same_as<std::remove_cvref_t<Range>, std::vector<weighted_node<Node>>> &&
           !std::convertible_to<Range, std::string_view> &&
           std::constructible_from<entry, std::ranges::range_reference_t<Range>>) node_list(Range&& range) {
    for (auto&& node : range) nodes_.push_back(entry(std::forward<decltype(node)>(node)).value);
  }

  [[nodiscard]] const std::vector<weighted_node<Node>>& nodes() const& noexcept { return nodes_; }
  [[nodiscard]] std::vector<weighted_node<Node>>&& nodes() && noexcept { return std::move(nodes_); }

 private:
  std::vector<weighted_node<Node>> nodes_;
};

}  // namespace banyan
