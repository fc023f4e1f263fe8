#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// What an element of a `marked_list` carries.
struct marked_link {
  // The next element; the lowest bit says that this one has left the list, and then the word does not change any more.
  std::atomic<std::uintptr_t> next{0};
  marked_link* next_unlinked = nullptr;
};
static_assert(alignof(marked_link) >= 2);

/// A lock-free list that appends at its end, so that two elements which each exclude the other cannot both get in: who
/// appends has seen all others. An element leaves by being marked; whoever comes by next unlinks it.
///
/// `Hazards` is anything with `publish(i, const void*)` for two slots. Equality is the caller's: `matches(link)`.
///
/// Source: M. Michael, "High performance dynamic lock-free hash tables and list-based sets", SPAA 2002.
class marked_list {
 public:
  /// Elements unlinked by an operation, for the caller to retire once its hazards are gone.
  struct unlinked {
    marked_link* first = nullptr;

    void add(marked_link& link) noexcept {
      link.next_unlinked = first;
      first = &link;
    }
  };

  constexpr marked_list() = default;

  /// The first element that matches, protected by slot 0 or 1 of `hazards`; else appends `fresh`, unless null, and
  /// returns null. Lock-free, O(elements).
  template <class Hazards, class Matches>
  marked_link* find_or_append(Hazards& hazards, unlinked& out, marked_link* fresh, Matches matches) {
    for (;;) {
      std::atomic<std::uintptr_t>* link = &head_;
      std::size_t slot = 0;
      // (1) acquire: pairs with the release half of (2). seq_cst, as (2), because an operation that finds nothing must
      // come before the append it did not see.
      std::uintptr_t word = link->load(std::memory_order_seq_cst);
      for (;;) {
        if (word == 0) {
          if (fresh == nullptr) return nullptr;
          // (2) release: pairs with (1), for the element's content. It fails when the list grew or the last one left.
          std::uintptr_t expected = 0;
          if (link->compare_exchange_strong(expected, to_word(fresh), std::memory_order_seq_cst)) return nullptr;
          break;
        }
        marked_link* const current = to_link(word);
        hazards.publish(slot, current);
        // Still linked from an element that we protect and that has not left (`word` bears no mark), so it was not
        // retired before we published.
        if (link->load(std::memory_order_acquire) != word) break;                   // as (1)
        const std::uintptr_t next = current->next.load(std::memory_order_seq_cst);  // as (1)
        if (is_marked(next)) {
          // (3) release: pairs with (1); it passes on the element after the one that leaves.
          if (!link->compare_exchange_strong(word, next & ~mark, std::memory_order_seq_cst)) break;
          out.add(*current);
          word = next & ~mark;
          continue;
        }
        if (matches(*current)) return current;
        link = &current->next;
        word = next;
        slot ^= 1;  // the old slot goes on protecting the element that holds `link`
      }
    }
  }

  /// Makes the element leave; false if it had left before. The caller protects or owns it. Wait-free.
  static bool mark_as_left(marked_link& link) noexcept {
    // (4) acquire, release: pairs with (1): who sees the mark sees what came before it.
    return !is_marked(link.next.fetch_or(mark, std::memory_order_seq_cst));
  }

  [[nodiscard]] static bool has_left(const marked_link& link) noexcept {
    return is_marked(link.next.load(std::memory_order_acquire));  // as (1)
  }

 private:
  static constexpr std::uintptr_t mark = 1;

  static bool is_marked(std::uintptr_t word) noexcept { return (word & mark) != 0; }
  static marked_link* to_link(std::uintptr_t word) noexcept { return reinterpret_cast<marked_link*>(word); }
  static std::uintptr_t to_word(marked_link* link) noexcept { return reinterpret_cast<std::uintptr_t>(link); }

  std::atomic<std::uintptr_t> head_{0};
};

}  // namespace banyan::detail
