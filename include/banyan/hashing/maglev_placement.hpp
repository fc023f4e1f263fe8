#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <banyan/core/detail/wide_product.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing/detail/asked_nodes.hpp>
#include <banyan/hashing/detail/node_check.hpp>
#include <banyan/hashing/detail/primes.hpp>
#include <banyan/hashing/weighted_hash.hpp>

namespace banyan {

/// How to build a Maglev table.
struct maglev_options {
  /// Slots of the table: a prime number, at most 2^28, at least as many as there are nodes. A hundred times as many
  /// keep the shares within 1 % of the weights.
  std::uint32_t table_size = 65'537;
};

/// Maglev hashing: a table of slots in which each node has its share to within a slot, and the node of a key is one
/// array read. An immutable value over the numbers of the nodes given; it depends on their hashes and weights alone,
/// not on their order.
///
/// When a node comes or goes, the keys that must move do, and about one in two hundred of all keys besides: who cannot
/// afford these takes a ring or an anchor hash.
///
/// Each node has at least one slot, however light it is.
///
/// Thread safety: const, so any number of readers.
///
/// Source: D. Eisenbud et al., "Maglev: a fast and reliable software network load balancer", NSDI 2016; the turns of
/// nodes of different weight follow stride scheduling (C. Waldspurger, W. Weihl, 1995).
class maglev_placement {
 public:
  using options = maglev_options;
  static constexpr std::uint32_t npos = detail::no_node;

  maglev_placement() = default;

  /// Expected O(table_size log(table_size)), with weights that differ times log(nodes). Throws `std::invalid_argument`
  /// for a bad weight or option or for more nodes than slots, `std::bad_alloc`.
  explicit maglev_placement(std::span<const weighted_hash> nodes, maglev_options how = {})
      : table_size_{how.table_size}, size_{nodes.size()} {
    if (how.table_size > most_slots || !detail::is_prime(how.table_size)) {
      invalid_option("maglev_options.table_size", how.table_size, "must be a prime number of at most 2^28");
    }
    detail::check_nodes(nodes);
    if (nodes.size() > how.table_size) {
      invalid_option("nodes", nodes.size(), "must not be more than maglev_options.table_size");
    }
    if (nodes.empty()) return;
    std::vector<std::uint32_t> slots = fill(nodes);
    if (nodes.size() < std::numeric_limits<std::uint16_t>::max()) {
      narrow_.resize(slots.size());
      std::transform(slots.begin(), slots.end(), narrow_.begin(),
                     [](std::uint32_t node) { return static_cast<std::uint16_t>(node); });
    } else {
      wide_ = std::move(slots);
    }
  }

  /// The node of a key, by the key's hash (as `hash_of` makes it: all bits must be well mixed); npos when there are no
  /// nodes. Wait-free, O(1), one cache line.
  [[nodiscard]] std::uint32_t find(std::uint64_t key_hash) const noexcept {
    if (size_ == 0) return npos;
    return at(detail::multiply_high(key_hash, table_size_));
  }

  /// The first node in the key's order of preference (the order of the slots from the key's own on) for which
  /// `accept(number)` is true; each is asked at most once. npos when none accepts. O(table_size) at worst; allocates
  /// only after 32 refusals among more than 1,024 nodes. Throws what `accept` throws, and `std::bad_alloc`.
  template <class F>
  [[nodiscard]] std::uint32_t find_if(std::uint64_t key_hash, F accept) const {
    if (size_ == 0) return npos;
    std::uint64_t slot = detail::multiply_high(key_hash, table_size_);
    const std::uint32_t first = at(slot);
    if (accept(first)) return first;
    detail::asked_nodes asked{size_};
    asked.insert(first);
    for (std::uint32_t left = table_size_; left > 0 && asked.size() < size_; --left) {
      slot = slot + 1 < table_size_ ? slot + 1 : 0;
      const std::uint32_t node = at(slot);
      if (asked.insert(node) && accept(node)) return node;
    }
    return npos;
  }

  /// Number of nodes. Wait-free.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Bytes allocated. Wait-free.
  [[nodiscard]] std::size_t memory() const noexcept {
    return narrow_.capacity() * sizeof(std::uint16_t) + wide_.capacity() * sizeof(std::uint32_t);
  }

 private:
  static constexpr std::uint32_t most_slots = std::uint32_t{1} << 28;
  /// Sets the two numbers of a node's order of slots apart from each other and from its hash.
  static constexpr std::uint64_t offset_stream = 0xe7037ed1a0b428dbU;
  static constexpr std::uint64_t skip_stream = 0x8ebc6af09c88c6e3U;

  /// One node's own order of all slots: a step of `skip` each time, which visits all because their number is prime.
  struct walk {
    std::uint32_t slot;
    std::uint32_t skip;
    std::uint32_t taken = 0;
  };

  [[nodiscard]] std::uint32_t at(std::uint64_t slot) const noexcept {
    return wide_.empty() ? narrow_[slot] : wide_[slot];
  }

  /// The nodes take turns, each time taking the first free slot in its own order.
  [[nodiscard]] std::vector<std::uint32_t> fill(std::span<const weighted_hash> nodes) const {
    const std::vector<std::uint32_t> order = detail::by_hash(nodes);
    std::vector<walk> walks;
    walks.reserve(order.size());
    for (const std::uint32_t node : order) {
      const std::uint64_t hash = nodes[node].hash;
      const auto number = [&](std::uint64_t stream, std::uint32_t below) {
        return static_cast<std::uint32_t>(detail::multiply_high(mix_bits(hash ^ stream), below));
      };
      walks.push_back({number(offset_stream, table_size_), 1 + number(skip_stream, table_size_ - 1)});
    }
    std::vector<std::uint32_t> slots(table_size_, npos);
    const auto take = [&](std::uint32_t rank) {
      walk& w = walks[rank];
      while (slots[w.slot] != npos) w.slot = step(w.slot, w.skip);
      slots[w.slot] = order[rank];
      ++w.taken;
    };
    const auto ranks = static_cast<std::uint32_t>(order.size());
    for (std::uint32_t rank = 0; rank < ranks; ++rank) take(rank);
    std::uint32_t left = table_size_ - ranks;
    const double weight = nodes.front().weight;
    if (std::all_of(nodes.begin(), nodes.end(), [&](const weighted_hash& n) { return n.weight == weight; })) {
      for (std::uint32_t rank = 0; left > 0; --left, rank = rank + 1 < ranks ? rank + 1 : 0) take(rank);
      return slots;
    }
    // The n-th turn of a node comes at the time n / weight; at equal times, by hash.
    using turn = std::pair<double, std::uint32_t>;
    const auto next = [&](std::uint32_t rank) {
      return turn{(walks[rank].taken + 1.0) / nodes[order[rank]].weight, rank};
    };
    const auto later = [](const turn& a, const turn& b) { return a > b; };
    std::vector<turn> turns;
    turns.reserve(ranks);
    for (std::uint32_t rank = 0; rank < ranks; ++rank) turns.push_back(next(rank));
    std::make_heap(turns.begin(), turns.end(), later);
    for (; left > 0; --left) {
      std::pop_heap(turns.begin(), turns.end(), later);
      take(turns.back().second);
      turns.back() = next(turns.back().second);
      std::push_heap(turns.begin(), turns.end(), later);
    }
    return slots;
  }

  [[nodiscard]] std::uint32_t step(std::uint32_t slot, std::uint32_t skip) const noexcept {
    const std::uint32_t to = slot + skip;  // both below 2^28
    return to < table_size_ ? to : to - table_size_;
  }

  std::vector<std::uint16_t> narrow_;  // used unless there are too many nodes: half the memory
  std::vector<std::uint32_t> wide_;
  std::uint32_t table_size_ = 0;
  std::size_t size_ = 0;
};

}  // namespace banyan
