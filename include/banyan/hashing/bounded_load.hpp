#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/weighted_node.hpp>

namespace banyan {

/// How evenly `bounded_load` keeps the nodes filled.
struct bounded_load_options {
  /// No node holds more than this many times its share of all that is held (rounded up); at least 1. Closer to 1: more
  /// even, and more keys away from their own node.
  double factor = 1.25;
};

/// Places with a bound: each key goes to its own node until that holds its share times a factor; then it is hashed
/// again until it falls on a node with room. So what overflows spreads over all others, where the neighbour on a ring
/// would be next to overflow. It counts what each node holds; give back what is done with.
///
///     banyan::bounded_load<banyan::maglev_table<std::string>> bounded{{{"a", "b", "c"}}, {.factor = 1.25}};
///     std::optional<std::string> node = bounded.assign("stream:42");   // counts it
///     bounded.release(*node);
///
/// `Nodes` is one of `maglev_table`, `ring_table`, `rendezvous`, `multi_probe`. A value. Thread safety: const use by
/// many threads; assign, release and changes by one alone. What throws leaves all as it was.
///
/// Source: V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent hashing with bounded loads", SODA 2018; random jumps
/// instead of the next on the ring: J. Chen, B. Coleman, A. Shrivastava, "Revisiting consistent hashing with bounded
/// loads", AAAI 2021.
template <class Nodes>
class bounded_load {
 public:
  using node_type = typename Nodes::node_type;
  using options = bounded_load_options;

  bounded_load() = default;

  /// Throws `std::invalid_argument` for a factor that is below 1, infinite or not a number; `std::bad_alloc`.
  explicit bounded_load(Nodes nodes, bounded_load_options how = {})
      : how_{how}, nodes_{std::move(nodes)}, loads_(nodes_.size()) {
    if (!(how.factor >= 1 && std::isfinite(how.factor))) {
      invalid_option("bounded_load_options.factor", how.factor, "must be at least 1 and finite");
    }
    weigh();
  }

  /// The node that `assign` would choose now; none when there are no nodes. Expected O(factor / (factor - 1)) look-ups
  /// when all is full, one while it is not.
  template <class Key>
  [[nodiscard]] std::optional<node_type> find(const Key& key) const {
    const std::uint32_t at = choose(nodes_.hash_function()(key));
    return at == npos ? std::nullopt : std::optional<node_type>{node(at)};
  }

  /// The key's order of preference regardless of loads.
  template <class Key>
  [[nodiscard]] std::vector<node_type> find_n(const Key& key, std::size_t n) const {
    return nodes_.find_n(key, n);
  }

  /// Chooses the node of a key and counts one more on it; none when there are no nodes.
  template <class Key>
  std::optional<node_type> assign(const Key& key) {
    const std::uint32_t at = choose(nodes_.hash_function()(key));
    if (at == npos) return std::nullopt;
    std::optional<node_type> chosen{node(at)};
    ++loads_[at];
    ++total_;
    return chosen;
  }

  /// Counts one less on a node; false, and nothing changes, when it is not there or holds nothing. O(nodes).
  bool release(const node_type& done) noexcept {
    const std::size_t at = position(done);
    if (at == loads_.size() || loads_[at] == 0) return false;
    --loads_[at];
    --total_;
    return true;
  }

  /// What a node holds; 0 when it is not there. O(nodes).
  [[nodiscard]] std::uint64_t load(const node_type& of) const noexcept {
    const std::size_t at = position(of);
    return at == loads_.size() ? 0 : loads_[at];
  }
  /// What all nodes hold.
  [[nodiscard]] std::uint64_t load() const noexcept { return total_; }
  /// The most that a node may hold once one more is assigned; 0 when it is not there.
  [[nodiscard]] std::uint64_t capacity(const node_type& of) const noexcept {
    const std::size_t at = position(of);
    return at == loads_.size() ? 0 : room(at);
  }

  /// Adds a node; false, and nothing changes, if it is there. Throws as `Nodes::add` does.
  bool add(node_type fresh, double weight = 1) {
    loads_.reserve(loads_.size() + 1);
    if (!nodes_.add(std::move(fresh), weight)) return false;
    loads_.push_back(0);
    weigh();
    return true;
  }

  /// Takes a node out, and what it holds with it; false if it is not there. Throws `std::bad_alloc`.
  bool remove(const node_type& leaving) {
    const std::size_t at = position(leaving);
    if (at == loads_.size()) return false;
    nodes_.remove(leaving);
    total_ -= loads_[at];
    loads_.erase(loads_.begin() + static_cast<std::ptrdiff_t>(at));
    weigh();
    return true;
  }

  /// Gives a node another weight; false if it is not there. Throws as `Nodes::set_weight` does.
  bool set_weight(const node_type& of, double weight) {
    if (!nodes_.set_weight(of, weight)) return false;
    weigh();
    return true;
  }

  [[nodiscard]] std::size_t size() const noexcept { return loads_.size(); }
  [[nodiscard]] const std::vector<weighted_node<node_type>>& weights() const noexcept { return nodes_.weights(); }

 private:
  static constexpr std::uint32_t npos = Nodes::placement_type::npos;
  static constexpr int most_tries = 64;
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15U;

  [[nodiscard]] const node_type& node(std::size_t at) const noexcept { return nodes_.weights()[at].node; }

  [[nodiscard]] std::size_t position(const node_type& wanted) const noexcept {
    std::size_t at = 0;
    while (at < loads_.size() && !(node(at) == wanted)) ++at;
    return at;
  }

  [[nodiscard]] std::uint64_t room(std::size_t at) const noexcept {
    // In this order whole numbers stay whole: a quotient a hair above would be rounded up by one.
    const double held = static_cast<double>(total_) + 1;
    return static_cast<std::uint64_t>(std::ceil(how_.factor * nodes_.weights()[at].weight * held / weight_));
  }

  [[nodiscard]] bool has_room(std::size_t at) const noexcept { return loads_[at] < room(at); }

  [[nodiscard]] std::uint32_t choose(std::uint64_t key_hash) const {
    const auto& where = nodes_.where();
    const std::uint32_t own = where.find(key_hash);
    if (own == npos || has_room(own)) return own;
    std::uint64_t key = key_hash;
    for (int tries = most_tries; tries > 0; --tries) {
      const std::uint32_t other = where.find(mix_bits(key += step));
      if (has_room(other)) return other;
    }
    // A factor of nearly 1: little room, hard to hit. All capacities together are more than the load, so some has it;
    // where rounding says otherwise, the own node.
    const std::uint32_t any = where.find_if(key_hash, [this](std::uint32_t at) { return has_room(at); });
    return any == npos ? own : any;
  }

  void weigh() noexcept {
    weight_ = 0;
    for (const weighted_node<node_type>& n : nodes_.weights()) weight_ += n.weight;
  }

  bounded_load_options how_{};
  Nodes nodes_;
  std::vector<std::uint64_t> loads_;  // in the order of the nodes' weights()
  std::uint64_t total_ = 0;
  double weight_ = 0;
};

}  // namespace banyan
