#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <banyan/core/detail/index_stack.hpp>

namespace banyan::detail {

/// Where the nodes of a cache come from and go back to. A node's life:
///
///     fresh/free --take--> owned --(linked in a chain, removed, unlinked)--> retired --no hazard on it--> free
///                            +--give_back (was never linked)---------------------------------------------> free
///
/// Each thread retires and takes nodes in its own stripe; surplus goes to a shared stack, so no thread starves beside
/// a full one. A node that a stalled reader protects stays retired; nothing else waits for it.
///
/// `Node` has `std::atomic<std::uint32_t> next` and `void destroy() noexcept`, which may run the caller's destructors:
/// they may come back in through the same stripe, so no list is in between two states when they are called.
/// `Domain` gives `synchronize()` and `for_each_hazard(f)`. Every operation is lock-free; `retire` is O(1) amortised
/// over `scan_threshold` calls with a pass over all hazards.
template <class Node, class Domain>
class node_store {
 public:
 private:
  [[nodiscard]] auto links() const noexcept {
    return [this](std::uint32_t i) noexcept -> std::atomic<std::uint32_t>& { return nodes_[i].next; };
  }

 public:
  static constexpr std::uint32_t none = index_stack::none;
  static constexpr std::uint32_t removed_bit = std::uint32_t{1} << 31;
  /// Retired nodes that a thread gathers before it looks for hazards: enough to make the barrier cheap per node, few
  /// where a node may hold on to much.
  static constexpr std::uint32_t scan_threshold =
      std::is_trivially_destructible_v<typename Node::payload_type> ? 256 : 64;
  /// Nodes that a thread can keep to itself, free and retired.
  static constexpr std::uint32_t nodes_per_thread = 4 * scan_threshold;

  node_store(Node* nodes, std::uint32_t count, Domain& domain) noexcept
      : nodes_{nodes}, count_{count}, domain_{&domain} {}

  [[nodiscard]] Node& operator[](std::uint32_t i) const noexcept { return nodes_[i]; }
  [[nodiscard]] std::atomic<std::uint32_t>& next(std::uint32_t i) const noexcept { return nodes_[i].next; }
  [[nodiscard]] const void* address(std::uint32_t i) const noexcept { return nodes_ + i; }

  /// How many nodes were ever taken: all others are untouched.
  [[nodiscard]] std::uint32_t high_water() const noexcept {
    const std::uint32_t fresh = fresh_.load(std::memory_order_relaxed);
    return fresh < count_ ? fresh : count_;
  }

  /// A node for the caller alone, or `none` when all are in use or protected.
  template <class Stripe>
  std::uint32_t take(Stripe& mine) noexcept {
    if (mine.free_nodes == 0) {
      if (std::uint32_t node = take_shared(); node != none) return node;
      scan(mine);
      if (mine.free_nodes == 0) return take_shared();
    }
    const std::uint32_t node = mine.free_nodes - 1;
    mine.free_nodes = nodes_[node].next.load(std::memory_order_relaxed) & ~removed_bit;
    --mine.free_count;
    return node;
  }

  /// A node that was taken and never linked, or that nobody can be reading any more; its payload is gone already.
  template <class Stripe>
  void give_back(std::uint32_t node, Stripe& mine) noexcept {
    if (mine.free_count >= 2 * scan_threshold) {
      shared_.push(node, links(), removed_bit);
      return;
    }
    nodes_[node].next.store(mine.free_nodes | removed_bit, std::memory_order_relaxed);  // own list
    mine.free_nodes = node + 1;
    ++mine.free_count;
  }

  /// A node that this thread has unlinked. Others may still be reading it; its link keeps the removed bit.
  template <class Stripe>
  void retire(std::uint32_t node, Stripe& mine) noexcept {
    nodes_[node].next.store(mine.retired_nodes | removed_bit, std::memory_order_relaxed);  // own list
    mine.retired_nodes = node + 1;
    if (++mine.retired_count >= (mine.scan_at < scan_threshold ? scan_threshold : mine.scan_at)) scan(mine);
  }

  /// Frees the retired nodes that no hazard protects.
  template <class Stripe>
  void scan(Stripe& mine) noexcept {
    if (mine.retired_nodes == 0) return;
    domain_->synchronize();
    // One bit for each protected node, by number modulo the set's size: a collision keeps a node for another round.
    std::array<std::uint64_t, 512> protected_nodes{};
    domain_->for_each_hazard([&](const void* hazard) noexcept {
      const auto at = reinterpret_cast<std::uintptr_t>(hazard);
      const auto begin = reinterpret_cast<std::uintptr_t>(nodes_);
      if (at < begin || at >= begin + std::uintptr_t{count_} * sizeof(Node)) return;
      const std::uintptr_t node = (at - begin) / sizeof(Node);
      protected_nodes[(node / 64) % protected_nodes.size()] |= std::uint64_t{1} << (node % 64);
    });
    std::uint32_t kept = 0;
    std::uint32_t kept_count = 0;
    std::uint32_t dead = 0;
    for (std::uint32_t link = mine.retired_nodes; link != 0;) {
      const std::uint32_t node = link - 1;
      link = nodes_[node].next.load(std::memory_order_relaxed) & ~removed_bit;
      const bool in_use = (protected_nodes[(node / 64) % protected_nodes.size()] >> (node % 64) & 1) != 0;
      std::uint32_t& list = in_use ? kept : dead;
      nodes_[node].next.store(list | removed_bit, std::memory_order_relaxed);
      list = node + 1;
      if (in_use) ++kept_count;
    }
    mine.retired_nodes = kept;
    mine.retired_count = kept_count;
    mine.scan_at = kept_count + scan_threshold;  // protected nodes must not make every retire scan
    while (dead != 0) {
      const std::uint32_t node = dead - 1;
      dead = nodes_[node].next.load(std::memory_order_relaxed) & ~removed_bit;
      nodes_[node].destroy();
      give_back(node, mine);
    }
  }

 private:
  std::uint32_t take_shared() noexcept {
    if (std::uint32_t node = shared_.pop(links()); node != none) return node;
    if (fresh_.load(std::memory_order_relaxed) < count_) {  // so that the counter cannot wrap
      if (std::uint32_t node = fresh_.fetch_add(1, std::memory_order_relaxed); node < count_) return node;
    }
    return none;
  }

  Node* nodes_;
  std::uint32_t count_;
  Domain* domain_;
  alignas(64) std::atomic<std::uint32_t> fresh_{0};
  alignas(64) index_stack shared_;
};

}  // namespace banyan::detail
