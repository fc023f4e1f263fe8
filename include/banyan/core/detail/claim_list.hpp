#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <banyan/core/detail/index_stack.hpp>

namespace banyan::detail {

/// An entry of a `claim_list`. All bits zero is a valid fresh one.
template <template <class> class Atomic = std::atomic>
struct claim_entry {
  Atomic<std::uint64_t> next{0};       // version:39, leaving:1, following entry:24 (0: none)
  Atomic<std::uint64_t> state{0};      // turn:32, phase:2, value:30
  Atomic<std::uint32_t> free_link{0};  // while it is unused
  Atomic<std::uint32_t> parted{0};     // how many of the two have parted with it: the list, and its owner
};

/// A lock-free list of entries that anybody may claim, first one first, and that their owners may withdraw from any
/// place. Those who wait for something stand in such a list, and so do the things that nobody waits for.
///
///     free -> live -> claimed    by `claim_first`, which leaves a value for the owner and takes the owner's
///                  -> withdrawn  by `withdraw`
///
/// The phase is one word, so that exactly one of the two happens. Afterwards the entry is spent: whoever comes by marks
/// its link (which freezes it), unlinks it, and then the list has parted with it. The owner parts with it by `finish`.
/// The second of the two gives it back to the free ones.
///
/// Entries are numbers into an array that outlives the list, and links are changed only by compare-exchanges that count
/// up a version in the same word. So a link that is unchanged between two looks was unchanged all the time, what was
/// read of the entry it leads to was read of that very turn of the entry, and there is nothing to reclaim. (The
/// versions have 39 bits, those of turns 32: a thread that sleeps through exactly so many changes of one word is not
/// guarded against.)
///
/// The last entry stays linked when it is spent, until another follows, and the tail moves past an entry before that is
/// unlinked: so the tail never leads to an entry outside. New entries may come at both ends.
///
/// Lock-free: a repetition means that somebody else changed a link, spent an entry or brought one. `claim_first`: O(1)
/// and the spent entries before the first live one, each of which it removes for good. `withdraw`: O(1) amortised;
/// every so often it sweeps the list.
///
/// Order: `push_*`, `claim_first` and `has_live` are sequentially consistent with what others do before and after by
/// sequentially consistent operations: who pushes and then looks elsewhere, and who changes things elsewhere and then
/// looks here, cannot miss each other.
///
/// Sources: T. Harris, "A pragmatic implementation of non-blocking linked-lists", DISC 2001 (the mark); M. Michael,
/// M. Scott, PODC 1996 (the tail, and versions against reuse); N. Koval et al., "A formally-verified framework for fair
/// synchronization in Kotlin coroutines", PLDI 2023 (abortable waiters served by hand-over).
template <template <class> class Atomic = std::atomic>
class claim_list {
 public:
  using entry = claim_entry<Atomic>;

  static constexpr std::uint32_t max_entries = (1U << 24) - 1;
  static constexpr std::uint32_t max_value = (1U << 30) - 1;

  /// One turn of an entry. A default one names nothing.
  struct ticket {
    std::uint32_t index = 0;
    std::uint32_t turn = 0;
    [[nodiscard]] explicit operator bool() const noexcept { return index != 0; }
    friend bool operator==(ticket, ticket) = default;
  };

  struct claimed {
    ticket owner;
    std::uint32_t value = 0;  // what the owner brought
  };

  /// Over at least two entries, at most `max_entries`; the first is the list's own.
  explicit claim_list(std::span<entry> entries) noexcept : entries_{entries} {}

  claim_list(const claim_list&) = delete;
  claim_list& operator=(const claim_list&) = delete;

  /// A live entry that is not in the list yet, or none when all are taken. Its owner then pushes it, once.
  [[nodiscard]] ticket prepare(std::uint32_t value) noexcept {
    std::uint32_t index = take_free();
    if (index == 0) {
      sweep();
      index = take_free();
      if (index == 0) return {};
    }
    entry& e = entries_[index];
    e.parted.store(0, std::memory_order_relaxed);
    // Nobody else changes the link of an entry outside the list; the version goes on from its last turn.
    e.next.store(link_to(0, e.next.load(std::memory_order_relaxed)), std::memory_order_relaxed);
    const auto turn = static_cast<std::uint32_t>(e.state.load(std::memory_order_relaxed) >> 32) + 1;
    // (1) release: pairs with (2): who sees the entry live sees what the owner wrote before.
    e.state.store(state_of(turn, live, value), std::memory_order_release);
    return {index, turn};
  }

  /// To the end: claimed last.
  void push_back(ticket t) noexcept {
    for (;;) {
      std::uint64_t tail = tail_.load(std::memory_order_seq_cst);
      const std::uint32_t last = index_of(tail);
      std::uint64_t next = entries_[last].next.load(std::memory_order_seq_cst);
      if (tail_.load(std::memory_order_seq_cst) != tail) continue;
      if (index_of(next) != 0) {  // somebody linked an entry and has not moved the tail yet
        tail_.compare_exchange_strong(tail, link_to(index_of(next), tail), std::memory_order_seq_cst);
        continue;
      }
      if (entries_[last].next.compare_exchange_strong(next, link_to(t.index, next), std::memory_order_seq_cst)) {
        tail_.compare_exchange_strong(tail, link_to(t.index, tail), std::memory_order_seq_cst);
        return;
      }
    }
  }

  /// To the front: claimed first.
  void push_front(ticket t) noexcept {
    entry& e = entries_[t.index];
    std::uint64_t first = entries_[0].next.load(std::memory_order_seq_cst);
    do {
      if (index_of(first) != 0) {
        // The tail leaves the list's own entry before the only entry gets company: while it is there, that one is
        // first.
        std::uint64_t tail = tail_.load(std::memory_order_seq_cst);
        if (index_of(tail) == 0) {
          tail_.compare_exchange_strong(tail, link_to(index_of(first), tail), std::memory_order_seq_cst);
        }
      }
      e.next.store(link_to(index_of(first), e.next.load(std::memory_order_relaxed)), std::memory_order_relaxed);
    } while (!entries_[0].next.compare_exchange_weak(first, link_to(t.index, first), std::memory_order_seq_cst));
  }

  /// Claims the first live entry and leaves `given` for its owner. Nothing if there is none.
  std::optional<claimed> claim_first(std::uint32_t given = 0) noexcept {
    std::optional<claimed> result;
    walk([&](std::uint32_t index, std::uint64_t state) noexcept {
      const auto turn = static_cast<std::uint32_t>(state >> 32);
      if (!entries_[index].state.compare_exchange_strong(state, state_of(turn, taken, given),
                                                         std::memory_order_seq_cst)) {
        return step::look_again;
      }
      result = claimed{{index, turn}, value_of(state)};
      return step::spend;
    });
    return result;
  }

  /// Whether there is a live entry. Removes spent ones on the way.
  [[nodiscard]] bool has_live() noexcept {
    bool found = false;
    walk([&](std::uint32_t, std::uint64_t) noexcept {
      found = true;
      return step::stop;
    });
    return found;
  }

  /// Takes a live entry out, for its owner or for whoever knows its ticket; false if it is not live any more.
  bool withdraw(ticket t) noexcept {
    std::uint64_t state = entries_[t.index].state.load(std::memory_order_acquire);  // (2) acquire: pairs with (1)
    do {
      if (static_cast<std::uint32_t>(state >> 32) != t.turn || phase_of(state) != live) return false;
    } while (!entries_[t.index].state.compare_exchange_weak(state, state_of(t.turn, gone, value_of(state)),
                                                            std::memory_order_seq_cst));
    note_spent();
    return true;
  }

  /// What was left by the one who claimed the entry; nothing while it is live. Owner only, before `finish`.
  [[nodiscard]] std::optional<std::uint32_t> given(ticket t) const noexcept {
    // (3) acquire: pairs with the release half of the claim.
    const std::uint64_t state = entries_[t.index].state.load(std::memory_order_acquire);
    if (phase_of(state) != taken) return std::nullopt;
    return value_of(state);
  }

  /// The owner, or who claimed or withdrew the entry in its stead, is done with it. Once.
  void finish(ticket t) noexcept { part(t.index); }

  /// Calls `f(index)` with each live entry, in order, as long as `f` returns true. Another call for the same entry
  /// is possible when the list changes meanwhile.
  template <class F>
  void for_each_live(F f) noexcept {
    walk([&](std::uint32_t index, std::uint64_t state) noexcept {
      return f(ticket{index, static_cast<std::uint32_t>(state >> 32)}) ? step::go_on : step::stop;
    });
  }

 private:
  static constexpr std::uint32_t live = 1;
  static constexpr std::uint32_t taken = 2;
  static constexpr std::uint32_t gone = 3;

  static constexpr std::uint64_t index_mask = (1U << 24) - 1;
  static constexpr std::uint64_t leaving = 1U << 24;

  enum class step { go_on, stop, look_again, spend };

  static std::uint32_t index_of(std::uint64_t link) noexcept { return static_cast<std::uint32_t>(link & index_mask); }
  static std::uint64_t link_to(std::uint32_t index, std::uint64_t before) noexcept {
    return ((before >> 25) + 1) << 25 | index;
  }
  static std::uint64_t state_of(std::uint32_t turn, std::uint32_t phase, std::uint32_t value) noexcept {
    return std::uint64_t{turn} << 32 | phase << 30 | (value & max_value);
  }
  static std::uint32_t phase_of(std::uint64_t state) noexcept { return static_cast<std::uint32_t>(state >> 30) & 3U; }
  static std::uint32_t value_of(std::uint64_t state) noexcept { return static_cast<std::uint32_t>(state) & max_value; }

  // Goes along the list, unlinks what is spent, and asks `visit` about what is live.
  template <class Visit>
  void walk(Visit visit) noexcept {
    while (!walk_once(visit)) {
    }
  }

  template <class Visit>
  bool walk_once(Visit& visit) noexcept {
    std::uint32_t at = 0;
    std::uint64_t link = entries_[0].next.load(std::memory_order_seq_cst);
    for (;;) {
      const std::uint32_t index = index_of(link);
      if (index == 0) return true;
      entry& e = entries_[index];
      const std::uint64_t state = e.state.load(std::memory_order_seq_cst);
      const std::uint64_t next = e.next.load(std::memory_order_seq_cst);
      // Unchanged: the entry was in the list while we read it. The mark, if any, says that `at` itself has left.
      if (entries_[at].next.load(std::memory_order_seq_cst) != link) return false;
      if (phase_of(state) == live) {
        if ((next & leaving) != 0) return false;
        switch (visit(index, state)) {
          case step::go_on:
            break;
          case step::stop:
            return true;
          case step::look_again:
            return false;
          case step::spend:
            if (!unlink(at, link, index, next)) note_spent();
            return true;
        }
        at = index;
        link = next;
        continue;
      }
      if (index_of(next) == 0) return true;  // the last one stays
      if (!unlink(at, link, index, next)) return false;
      spent_.fetch_sub(1, std::memory_order_relaxed);  // counts only
    }
  }

  // Takes a spent entry out from behind `at`. `link` becomes the link that replaced it.
  bool unlink(std::uint32_t at, std::uint64_t& link, std::uint32_t index, std::uint64_t next) noexcept {
    if (index_of(next) == 0) return false;
    if ((next & leaving) == 0) {
      std::uint64_t tail = tail_.load(std::memory_order_seq_cst);
      // The tail read may have been that of the entry's next turn already.
      if (entries_[index].next.load(std::memory_order_seq_cst) != next) return false;
      // It has a follower, so the tail is on it at worst: it moves by hand of whoever sees it.
      if (index_of(tail) == index) {
        tail_.compare_exchange_strong(tail, link_to(index_of(next), tail), std::memory_order_seq_cst);
      }
      const std::uint64_t frozen = link_to(index_of(next), next) | leaving;
      if (!entries_[index].next.compare_exchange_strong(next, frozen, std::memory_order_seq_cst)) return false;
      next = frozen;
    }
    const std::uint64_t past = link_to(index_of(next), link);
    if (!entries_[at].next.compare_exchange_strong(link, past, std::memory_order_seq_cst)) return false;
    link = past;
    part(index);
    return true;
  }

  // Spent entries behind live ones wait for a sweep, so that they stay no more than the live ones, or a few.
  void note_spent() noexcept {
    const std::int32_t spent = spent_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (spent > allowed_.load(std::memory_order_relaxed)) sweep();
  }

  void sweep() noexcept {
    std::int32_t seen = 0;
    walk([&](std::uint32_t, std::uint64_t) noexcept {
      ++seen;
      return step::go_on;
    });
    allowed_.store(seen > few ? seen : few, std::memory_order_relaxed);
  }

  void part(std::uint32_t index) noexcept {
    // (4) acquire, release: the second to part must see all that the first did with the entry.
    if (entries_[index].parted.fetch_add(1, std::memory_order_acq_rel) == 1) free_.push(index, free_links());
  }

  std::uint32_t take_free() noexcept {
    const std::uint32_t index = free_.pop(free_links());
    if (index != basic_index_stack<Atomic>::none) return index;
    // relaxed: an entry nobody has used has nothing to tell
    std::uint32_t fresh = fresh_.load(std::memory_order_relaxed);
    do {
      if (fresh >= entries_.size()) return 0;
    } while (!fresh_.compare_exchange_weak(fresh, fresh + 1, std::memory_order_relaxed));
    return fresh;
  }

  auto free_links() noexcept {
    return [this](std::uint32_t i) -> Atomic<std::uint32_t>& { return entries_[i].free_link; };
  }

  static constexpr std::int32_t few = 64;

  std::span<entry> entries_;
  Atomic<std::uint64_t> tail_{0};
  basic_index_stack<Atomic> free_;
  Atomic<std::uint32_t> fresh_{1};
  Atomic<std::int32_t> spent_{0};
  Atomic<std::int32_t> allowed_{few};
};

}  // namespace banyan::detail
