#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/detail/node_look_ups.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

/// Servers by name and weight, placed exactly as another system does it: what the interoperable rings of this room have
/// in common. `Scheme` is that system's rule. A value: copies are independent; made for `published`.
///
/// Where a scheme has no points for a server, `find_n` and `find_if` do not come to it.
///
/// Weights are whole numbers from 1 to 2^32 - 1, as in those systems' configurations.
///
/// Thread safety: const use by many threads; changes by one alone. A change that throws leaves all as it was.
template <class Scheme>
class named_nodes : public detail::node_look_ups<std::string, named_nodes<Scheme>> {
  using look_ups = detail::node_look_ups<std::string, named_nodes>;
  friend look_ups;
  using look_ups::nodes_;

 public:
  using options = typename Scheme::options;

  named_nodes() = default;

  /// Throws `std::invalid_argument` for a name that is empty or there twice, a weight that is not a whole number from 1
  /// on and for bad options; `std::bad_alloc`.
  named_nodes(node_list<std::string> nodes, options how = {}) : how_{how} {
    nodes_ = std::move(nodes).nodes();
    std::vector<std::string_view> names;
    names.reserve(nodes_.size());
    for (const weighted_node<std::string>& n : nodes_) {
      check(n);
      names.push_back(n.node);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) invalid_option("node", *twice, "must not be there twice");
    scheme_ = Scheme(std::span<const weighted_node<std::string>>{nodes_}, how_);
  }

  /// Adds a server; false, and nothing changes, if it is there. Builds all anew. Throws as the constructor does.
  bool add(std::string name, double weight = 1) {
    check({name, weight});
    if (position(name) != size()) return false;
    std::vector<weighted_node<std::string>> changed = nodes_;
    changed.push_back({std::move(name), weight});
    return become(std::move(changed));
  }

  /// Takes a server out; false if it is not there. Builds all anew.
  bool remove(std::string_view name) {
    const std::size_t at = position(name);
    if (at == size()) return false;
    std::vector<weighted_node<std::string>> changed = nodes_;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at));
    return become(std::move(changed));
  }

  /// Gives a server another weight; false if it is not there. Builds all anew. Throws as the constructor does.
  bool set_weight(std::string_view name, double weight) {
    check({std::string{name}, weight});
    const std::size_t at = position(name);
    if (at == size()) return false;
    std::vector<weighted_node<std::string>> changed = nodes_;
    changed[at].weight = weight;
    return become(std::move(changed));
  }

  using look_ups::size;

  /// The other system's table, which answers by hash with the number of a server in the order of `weights()`.
  [[nodiscard]] const Scheme& where() const noexcept { return scheme_; }

 private:
  static void check(const weighted_node<std::string>& n) {
    if (n.node.empty()) invalid_option("node", n.node, "must not be empty");
    if (!(n.weight >= 1 && n.weight <= 4294967295.0 && n.weight == std::floor(n.weight))) {
      invalid_option("weight", n.weight, "must be a whole number from 1 to 2^32 - 1");
    }
  }

  [[nodiscard]] std::uint32_t number_of(std::string_view key) const noexcept { return scheme_.find(Scheme::hash(key)); }
  template <class F>
  [[nodiscard]] std::uint32_t number_if(std::string_view key, F accept) const {
    return scheme_.find_if(Scheme::hash(key), accept);
  }

  [[nodiscard]] std::size_t position(std::string_view name) const noexcept {
    std::size_t at = 0;
    while (at < nodes_.size() && nodes_[at].node != name) ++at;
    return at;
  }

  bool become(std::vector<weighted_node<std::string>>&& changed) {
    scheme_ = Scheme(std::span<const weighted_node<std::string>>{changed}, how_);
    nodes_ = std::move(changed);
    return true;
  }

  options how_{};
  Scheme scheme_;
};

}  // namespace banyan
