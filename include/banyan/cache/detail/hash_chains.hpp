#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// A link of a chain: 0 ends it, `i + 1` leads to node `i`; the top bit marks the node *that holds the link* as
/// removed.
using chain_link = std::uint32_t;
inline constexpr chain_link removed_mark = chain_link{1} << 31;

/// Lock-free hash chains of numbered nodes: after M. Michael, "High Performance Dynamic Lock-Free Hash Tables and
/// List-Based Sets" (SPAA 2002), with 32-bit links into an arena, insertion at the head only, and replacement in one
/// step.
///
///     absent --insert: CAS head h0 -> n--> linked --remove: CAS n.next x -> x|mark-----> removed --unlink--> retired
///                                            |                                             ^
///                                            +--replace: CAS n.next x -> m|mark, m.next=x -+   (m is linked by it)
///
/// * A node's key never changes while it is linked. A node is removed by whoever marks its link, exactly once, and
///   retired by whoever unlinks it, exactly once. A marked link never changes while somebody may stand on its node:
///   retiring keeps the mark.
/// * **Uniqueness.** `insert` succeeds only if the head is still the node `h0` at which the search that missed the key
///   began. `h0` is protected all that time, so it has not been reused; every node put before it since then must have
///   been unlinked again, hence removed; nodes behind it are only ever replaced by ones with the same key. So the key
///   is still absent. No version tags are needed.
/// * **Protection.** A node is used after its hazard was published and the link that led to it was read again, unmarked
///   and unchanged: it was linked then, so it had not been retired.
///
/// `Arena` gives `std::atomic<chain_link>& next(node)` and `const void* address(node)`; `Hazards` gives
/// `publish(i, address)`; `Retire` takes an unlinked node. All operations are lock-free; a search is O(1) expected at
/// the load it was built for.
template <class Arena>
class hash_chains {
 public:
  /// Where a search stopped. `node` is protected by the search's hazards; so are the owner of `*previous` and `first`.
  struct position {
    std::atomic<chain_link>* previous;  ///< the link that leads to the node found, or the end of the chain
    chain_link current;                 ///< the link's value, 0 when nothing was found
    chain_link next;                    ///< the found node's own link, unmarked
    chain_link first;                   ///< the head's value when the search began

    [[nodiscard]] bool found() const noexcept { return current != 0; }
    [[nodiscard]] std::uint32_t node() const noexcept { return current - 1; }
  };

  hash_chains(std::atomic<chain_link>* heads, std::uint32_t count, Arena& arena) noexcept
      : heads_{heads}, count_{count}, arena_{&arena} {}

  /// The chain of a 32-bit hash: the high part of a multiplication, so all bits of the hash should be good.
  [[nodiscard]] std::atomic<chain_link>& head(std::uint32_t hash) const noexcept {
    return heads_[(std::uint64_t{hash} * count_) >> 32];
  }

  /// Finds the first node for which `match(node)` holds, and unlinks removed nodes on its way. Uses hazards 0 and 1,
  /// and, with `KeepFirst`, 2 for the node at which it began (`insert` needs that one). `match` may throw.
  template <bool KeepFirst, class Hazards, class Match, class Retire>
  position find(std::uint32_t hash, Hazards& hazards, Match&& match, Retire&& retire) const {
    std::atomic<chain_link>& start = head(hash);
  restart:
    std::atomic<chain_link>* previous = &start;
    // (1) acquire: pairs with the releases in (3), (4) and (6), which publish a node.
    chain_link current = previous->load(std::memory_order_acquire);
    const chain_link first = current;
    std::size_t turn = 0;
    while (current != 0) {
      const std::uint32_t node = current - 1;
      hazards.publish(turn, arena_->address(node));
      if constexpr (KeepFirst) {
        if (previous == &start) hazards.publish(2, arena_->address(node));
      }
      // (2) acquire, as (1): linked now, after the hazard, so the node is ours to read.
      if (previous->load(std::memory_order_acquire) != current) goto restart;
      std::atomic<chain_link>& link = arena_->next(node);
      const chain_link next = link.load(std::memory_order_acquire);  // as (1)
      if ((next & removed_mark) != 0) {
        // (3) release: hands on what (1) acquired about the successor; acquire: pairs with the release that marked.
        chain_link expected = current;
        if (!previous->compare_exchange_strong(expected, next & ~removed_mark, std::memory_order_acq_rel,
                                               std::memory_order_relaxed)) {
          goto restart;
        }
        retire(node);
        if (previous == &start) goto restart;  // `first` has gone: begin again from what is first now
        current = next & ~removed_mark;
        continue;
      }
      if (match(node)) return {previous, current, next, first};
      previous = &link;
      current = next;
      turn ^= 1;
    }
    return {previous, 0, 0, first};
  }

  /// Links `node` in front, if the head is still where the search began; otherwise search again.
  bool insert(std::uint32_t hash, const position& missed, std::uint32_t node) const noexcept {
    arena_->next(node).store(missed.first, std::memory_order_relaxed);  // published by (4)
    chain_link expected = missed.first;
    // (4) release: publishes the node to (1) and (2).
    return head(hash).compare_exchange_strong(expected, node + 1, std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  /// Marks the node found as removed. The one caller for whom this succeeds owns the removal.
  bool remove(const position& at) const noexcept {
    chain_link expected = at.next;
    // (5) acq_rel: release pairs with (3), whose reader retires the node; acquire: pairs with what was published in it.
    return arena_->next(at.node()).compare_exchange_strong(expected, at.next | removed_mark, std::memory_order_acq_rel,
                                                           std::memory_order_relaxed);
  }

  /// Removes the node found and links `node`, which has the same key, in its place.
  bool replace(const position& at, std::uint32_t node) const noexcept {
    arena_->next(node).store(at.next, std::memory_order_relaxed);  // published by (6)
    chain_link expected = at.next;
    // (6) release: publishes the node to (1), through the removed one.
    return arena_->next(at.node()).compare_exchange_strong(expected, (node + 1) | removed_mark,
                                                           std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  /// Unlinks the node that this thread has just removed. False when a neighbour changed meanwhile: then a search over
  /// the chain unlinks it, unless another one has.
  bool unlink(const position& at) const noexcept {
    // (7) acquire, as (1); release, as (3).
    const chain_link next = arena_->next(at.node()).load(std::memory_order_acquire) & ~removed_mark;
    chain_link expected = at.current;
    return at.previous->compare_exchange_strong(expected, next, std::memory_order_acq_rel, std::memory_order_relaxed);
  }

 private:
  std::atomic<chain_link>* heads_;
  std::uint32_t count_;
  Arena* arena_;
};

}  // namespace banyan::detail
