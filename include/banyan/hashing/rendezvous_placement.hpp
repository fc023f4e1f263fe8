#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/negative_log2.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan {

/// Rendezvous hashing has nothing to choose.
struct rendezvous_options {};

/// Rendezvous hashing (highest random weight): each node draws a number for each key, and the best draw has it. An
/// immutable value over the numbers of the nodes given; it depends on their hashes and weights alone, not on their
/// order.
///
/// Balance is as good as chance can make it, weights are exact (to 0.2 %), 16 bytes a node; when a node comes, goes or
/// changes its weight, keys move to it or from it and none between others; and the second in a key's order of
/// preference is as evenly spread as the first. The price is a look-up that asks every node.
///
/// Thread safety: const, so any number of readers.
///
/// Source: D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 6(1), 1998; the
/// weights as in J. Resch, "New hashing algorithms for data storage", SNIA SDC 2015.
class rendezvous_placement {
 public:
  using options = rendezvous_options;
  static constexpr std::uint32_t npos = detail::no_node;

  rendezvous_placement() = default;

  /// O(nodes). Throws `std::invalid_argument` for a bad weight, `std::bad_alloc`.
  explicit rendezvous_placement(std::span<const weighted_hash> nodes, rendezvous_options = {}) {
    detail::check_nodes(nodes);
    seeds_.reserve(nodes.size());
    for (const weighted_hash& node : nodes) seeds_.push_back(mix_bits(node.hash + stream));
    if (nodes.empty()) return;
    // Only the ratios count; taken from the heaviest, no quotient overflows or vanishes where it should not.
    double heaviest = 0;
    for (const weighted_hash& node : nodes) heaviest = std::max(heaviest, node.weight);
    if (std::all_of(nodes.begin(), nodes.end(), [&](const weighted_hash& n) { return n.weight == heaviest; })) return;
    factors_.reserve(nodes.size());
    for (const weighted_hash& node : nodes) factors_.push_back(heaviest / node.weight);
  }

  /// The node of a key, by the key's hash (any 64 bits will do); npos when there are no nodes. Wait-free, O(nodes):
  /// about a nanosecond each, two where weights differ.
  [[nodiscard]] std::uint32_t find(std::uint64_t key_hash) const noexcept {
    if (seeds_.empty()) return npos;
    // Which node leads so far is as good as random: selected without a branch, or each change of lead costs a
    // misprediction.
    const auto nodes = static_cast<std::uint32_t>(seeds_.size());
    std::uint32_t best = 0;
    std::uint64_t best_draw = draw(key_hash, 0);
    if (factors_.empty()) {
      for (std::uint32_t i = 1; i < nodes; ++i) {
        const std::uint64_t drawn = draw(key_hash, i);
        const bool better = drawn > best_draw;
        best = better ? i : best;
        best_draw = better ? drawn : best_draw;
      }
      return best;
    }
    double best_cost = cost(best_draw, 0);
    for (std::uint32_t i = 1; i < nodes; ++i) {
      const std::uint64_t drawn = draw(key_hash, i);
      if (least_cost(drawn, i) > best_cost) continue;  // most end here, without a logarithm
      const double here = cost(drawn, i);
      if (here < best_cost || (here == best_cost && drawn > best_draw)) {
        best = i;
        best_draw = drawn;
        best_cost = here;
      }
    }
    return best;
  }

  /// The first node in the key's order of preference (best draw first) for which `accept(number)` is true; each is
  /// asked at most once. npos when none accepts. O(nodes) for each 64 refusals or part of them; never allocates. Throws
  /// what `accept` throws.
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint64_t key_hash, F accept) const {
    const std::uint32_t first = find(key_hash);
    if (first == npos || accept(first)) return first;
    // The best bids behind the last one asked, the worst of them on top of the heap; then those behind them. Few at
    // first: mostly the second or the third will do, and a small heap takes in little of what passes.
    std::array<bid, 64> next;
    std::size_t wanted = 4;
    bid last = bid_of(key_hash, first);
    for (std::size_t asked = 1; asked < seeds_.size(); wanted = std::min(4 * wanted, next.size())) {
      std::size_t count = 0;
      const auto end = [&] { return next.begin() + static_cast<std::ptrdiff_t>(count); };
      for (std::uint32_t i = 0; i < seeds_.size(); ++i) {
        const bid here = bid_of(key_hash, i);
        if (!(last < here)) continue;
        if (count == wanted) {
          if (!(here < next.front())) continue;
          std::pop_heap(next.begin(), end());
          --count;
        }
        next[count++] = here;
        std::push_heap(next.begin(), end());
      }
      std::sort_heap(next.begin(), end());
      for (std::size_t i = 0; i < count; ++i) {
        if (accept(next[i].node)) return next[i].node;
      }
      asked += count;
      last = next[count - 1];
    }
    return npos;
  }

  /// Number of nodes. Wait-free.
  [[nodiscard]] std::size_t size() const noexcept { return seeds_.size(); }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept {
    return seeds_.capacity() * sizeof(std::uint64_t) + factors_.capacity() * sizeof(double);
  }

 private:
  static constexpr std::uint64_t stream = 0x589965cc75374cc3U;

  /// The node with the smallest -log(draw) / weight wins. The draw decides between equals, so that nodes of one weight
  /// stand in the same order to each other whether or not there are others.
  struct bid {
    double cost = 0;
    std::uint64_t drawn = 0;
    std::uint32_t node = 0;

    [[nodiscard]] bool operator<(const bid& other) const noexcept {
      if (cost != other.cost) return cost < other.cost;
      return drawn != other.drawn ? drawn > other.drawn : node < other.node;
    }
  };

  [[nodiscard]] std::uint64_t draw(std::uint64_t key_hash, std::uint32_t node) const noexcept {
    return mix_bits(key_hash ^ seeds_[node]);
  }

  [[nodiscard]] double cost(std::uint64_t drawn, std::uint32_t node) const noexcept {
    return static_cast<double>(static_cast<std::int64_t>(detail::negative_log2(drawn))) * factors_[node];
  }

  /// What `cost` cannot be below: -ln(x) >= 1 - x. The factor is a little less than log2(e) * 2^(40 - 63), so that
  /// rounding cannot make it more than the cost.
  [[nodiscard]] double least_cost(std::uint64_t drawn, std::uint32_t node) const noexcept {
    return static_cast<double>(static_cast<std::int64_t>(~drawn >> 1)) * (1.44 * 0x1p-23) * factors_[node];
  }

  [[nodiscard]] bid bid_of(std::uint64_t key_hash, std::uint32_t node) const noexcept {
    const std::uint64_t drawn = draw(key_hash, node);
    return {factors_.empty() ? 0 : cost(drawn, node), drawn, node};
  }

  std::vector<std::uint64_t> seeds_;
  std::vector<double> factors_;  // the heaviest weight by each node's own; empty where all weigh the same
};

}  // namespace banyan
