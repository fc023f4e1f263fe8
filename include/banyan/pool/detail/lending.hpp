#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/detail/claim_list.hpp>

namespace banyan::detail {

/// Who has which of a number of items: the protocol of a pool, without what is in it. Items are small numbers; waiters
/// are tickets of a `claim_list`.
///
///     lent --put--> idle (in a nook, or in the idle list) --take--> lent
///     lent --put, take--> given to the waiter who has waited longest, who has then lent it
///
/// A nook holds one item. A thread puts into its nook and takes from it first, so that threads that take turns with
/// their own items touch no common line: one exchange each way. What a nook held before moves to the idle list. Takers
/// look into their nook, the list, and the other nooks.
///
/// Nobody may wait while an item is idle. Two who could miss each other look after they have acted, in a single order
/// of all these operations (sequentially consistent):
///
///     who puts:   makes the item idle    then looks whether somebody waits     (P1, P2)
///     who waits:  counts itself, joins   then looks whether something is idle  (W1, W2)
///
/// so at least one of the two sees the other; whoever sees both an idle item and a waiter brings them together
/// (`settle`), whichever item and waiter that are. Fairness: who has taken an item looks whether somebody waits (T2)
/// and, if so, gives it to the first and stands at the end.
///
/// `attention` is one word for the hot path: it is 0 when nobody waits and the pool is open. A waiter counts itself
/// before it has a place and is counted off after it was claimed or has withdrawn, so the count may be too high, never
/// too low; then the slow path asks the list itself.
///
/// Lock-free: a thread that stops holds at most one item and one entry of a list, and keeps nobody else from the rest.
///
/// `Wake` is called with the ticket of a waiter that has been given something, and with the kind it told when it
/// prepared; the entry is its owner's to finish.
template <template <class> class Atomic = std::atomic>
class lending {
 public:
  using list = claim_list<Atomic>;
  using ticket = typename list::ticket;
  using nook = padded<Atomic<std::uint32_t>>;  // an item + 1, or 0

  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint32_t closed = std::uint32_t{1} << 31;
  static constexpr std::uint32_t suspended = std::uint32_t{1} << 30;

  /// Values that a waiter is given instead of an item; `given` of its ticket tells.
  static constexpr std::uint32_t refused = list::max_value;         // the pool closed
  static constexpr std::uint32_t failed = list::max_value - 1;      // what it waits for cannot be had
  static constexpr std::uint32_t look_again = list::max_value - 2;  // overtaking: something became idle just now
  static constexpr std::uint32_t max_items = 1U << 20;

  /// The memory, which outlives the protocol. `idle`: at least twice the items and some hundreds. `nooks`: a power of
  /// two of them; none when the items are to be taken oldest first.
  struct storage {
    std::span<nook> nooks;
    std::span<typename list::entry> idle;
    std::span<typename list::entry> waiting;
    std::span<Atomic<std::uint64_t>> places;  // of each item: its entry in the idle list when it was last there
  };

  struct options {
    bool newest_first = true;
    // Who takes need not look whether somebody waits, and what is put is not given to who waits first: that one is
    // woken, to take it if it comes first, and else to wait again in its place.
    bool overtaking = false;
  };

  struct taken {
    std::uint32_t item = none;
    std::uint32_t attention = 0;  // as seen after taking
  };

  lending(storage memory, options how) noexcept
      : nooks_{memory.nooks}, places_{memory.places}, idle_{memory.idle}, waiting_{memory.waiting}, how_{how} {}

  /// An idle item; none when all are lent, others wait, or the pool is suspended. When it is closed, the caller gets
  /// the item all the same, to dispose of it and of any other that is idle.
  template <class Wake>
  BANYAN_ALWAYS_INLINE taken take(std::uint32_t near, Wake&& wake) noexcept {
    const std::uint32_t item = take_idle(near);                                  // T1
    const std::uint32_t attention = attention_.load(std::memory_order_seq_cst);  // T2: pairs with W1
    if (attention == 0) [[likely]] {
      return {item, 0};
    }
    return take_with_attention(item, attention, near, wake);
  }

  /// Makes an item idle, or gives it to who has waited longest. Returns attention as seen afterwards: with `closed` in
  /// it, the caller sees to it that idle items are disposed of.
  template <class Wake>
  BANYAN_ALWAYS_INLINE std::uint32_t put(std::uint32_t item, std::uint32_t near, Wake&& wake) noexcept {
    place(item, near);                                                           // P1: pairs with W2
    const std::uint32_t attention = attention_.load(std::memory_order_seq_cst);  // P2: pairs with W1
    if (attention != 0) [[unlikely]] {
      if (!how_.overtaking || (attention & (closed | suspended)) != 0) return settle(near, wake);
      (void)serve(look_again, wake);
      return attention_.load(std::memory_order_seq_cst);
    }
    return 0;
  }

  /// A place among the waiters, counted but not joined yet; none when `most` wait already or there is no room. The
  /// owner prepares for being woken, then joins, always. It may leave in between, or be taken out by others who know
  /// the ticket.
  [[nodiscard]] ticket prepare_to_wait(std::uint32_t kind = 0, std::uint32_t most = none) noexcept {
    const std::uint32_t before = attention_.fetch_add(1, std::memory_order_seq_cst);  // W1: pairs with P2, T2
    if ((before & ~(closed | suspended)) < most) {
      const ticket place = waiting_.prepare(kind);
      if (place) return place;
    }
    attention_.fetch_sub(1, std::memory_order_seq_cst);
    return {};
  }

  /// Joins the waiters, at the end or, for one who was given something useless, at the front. The waiter may have been
  /// woken when this returns. Returns attention, as `put`.
  template <class Wake>
  std::uint32_t join(ticket waiter, bool at_front, std::uint32_t near, Wake&& wake) noexcept {
    if (at_front) {
      waiting_.push_front(waiter);
    } else {
      waiting_.push_back(waiter);
    }
    // Who closes sets the flag and then refuses whom it finds: it sees us in the list, or we see the flag.
    const std::uint32_t attention = attention_.load(std::memory_order_seq_cst);
    if ((attention & closed) != 0) {
      refuse_all(refused, wake);
      return attention;
    }
    return settle(near, wake);  // W2: pairs with P1
  }

  /// Leaves the waiters; false if the waiter has been given something, which is then its owner's to deal with.
  bool leave(ticket waiter) noexcept {
    if (!waiting_.withdraw(waiter)) return false;
    attention_.fetch_sub(1, std::memory_order_seq_cst);
    return true;
  }

  /// What a waiter was given; nothing while it waits.
  [[nodiscard]] auto given(ticket waiter) const noexcept { return waiting_.given(waiter); }
  void finish(ticket waiter) noexcept { waiting_.finish(waiter); }

  /// Brings idle items and waiters together until there are none of one kind. Returns attention as seen after the last
  /// item was made idle: with `closed` in it, the caller sees to it that idle items are disposed of, for who closed may
  /// have looked while we had one in our hands.
  template <class Wake>
  std::uint32_t settle(std::uint32_t near, Wake&& wake) noexcept {
    for (;;) {
      const std::uint32_t attention = attention_.load(std::memory_order_seq_cst);
      if ((attention & (closed | suspended)) != 0 || !waiting_.has_live()) return attention;
      const std::uint32_t item = take_idle(near);
      if (item == none) return attention;
      if (!serve(item, wake)) place(item, near);  // then look again, as P2
    }
  }

  /// Gives all waiters `value`, one of `refused` and `failed`.
  template <class Wake>
  std::size_t refuse_all(std::uint32_t value, Wake&& wake) noexcept {
    std::size_t count = 0;
    while (serve(value, wake)) ++count;
    return count;
  }

  /// From now on nobody waits, and who takes or puts is told. The caller disposes of the idle items, by `take_any`.
  template <class Wake>
  void close(Wake&& wake) noexcept {
    attention_.fetch_or(closed, std::memory_order_seq_cst);
    refuse_all(refused, wake);
  }

  /// While suspended, nobody is given anything; waiters keep their places.
  void suspend() noexcept { attention_.fetch_or(suspended, std::memory_order_seq_cst); }
  template <class Wake>
  std::uint32_t resume(std::uint32_t near, Wake&& wake) noexcept {
    attention_.fetch_and(~suspended, std::memory_order_seq_cst);
    return settle(near, wake);
  }

  /// Any idle item, whoever waits.
  [[nodiscard]] std::uint32_t take_any(std::uint32_t near) noexcept { return take_idle(near); }

  /// This very item, if it is idle. O(nooks).
  [[nodiscard]] bool take_this(std::uint32_t item) noexcept {
    const std::uint64_t place = places_[item].load(std::memory_order_seq_cst);
    const ticket entry{static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(place >> 32)};
    if (entry && idle_.withdraw(entry)) {
      idle_.finish(entry);
      return true;
    }
    for (nook& each : nooks_) {
      std::uint32_t held = item + 1;
      if ((*each).load(std::memory_order_relaxed) == held &&
          (*each).compare_exchange_strong(held, 0, std::memory_order_seq_cst)) {
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] std::uint32_t flags() const noexcept {
    return attention_.load(std::memory_order_seq_cst) & (closed | suspended);
  }
  /// How many wait, or a few more.
  [[nodiscard]] std::uint32_t waiting() const noexcept {
    return attention_.load(std::memory_order_seq_cst) & ~(closed | suspended);
  }

  /// Calls `f(ticket)` with those who wait, first one first, while it returns true.
  template <class F>
  void for_each_waiting(F f) noexcept {
    waiting_.for_each_live(f);
  }

 private:
  template <class Wake>
  BANYAN_COLD taken take_with_attention(std::uint32_t item, std::uint32_t attention, std::uint32_t near,
                                        Wake& wake) noexcept {
    if ((attention & closed) != 0) return {item, attention};
    if ((attention & suspended) != 0) {
      if (item != none) {
        place(item, near);
        attention = settle(near, wake);  // if it was resumed meanwhile, or closed
      }
      return {none, attention};
    }
    if (how_.overtaking) return {item, attention};
    while (item != none && serve(item, wake)) item = take_idle(near);
    return {item, attention};
  }

  template <class Wake>
  bool serve(std::uint32_t value, Wake& wake) noexcept {
    const auto waiter = waiting_.claim_first(value);
    if (!waiter) return false;
    attention_.fetch_sub(1, std::memory_order_seq_cst);
    wake(waiter->owner, waiter->value);
    return true;
  }

  BANYAN_ALWAYS_INLINE std::uint32_t take_idle(std::uint32_t near) noexcept {
    if (!nooks_.empty()) {
      const std::uint32_t item = take_from(nooks_[near & (nooks_.size() - 1)]);
      if (item != none) [[likely]] {
        return item;
      }
    }
    return take_elsewhere();
  }

  static std::uint32_t take_from(nook& each) noexcept {
    // A look before the exchange: an empty nook's line stays shared. seq_cst: it is a look of W2.
    if ((*each).load(std::memory_order_seq_cst) == 0) return none;
    return (*each).exchange(0, std::memory_order_seq_cst) - 1;  // 0 - 1 is none
  }

  BANYAN_COLD std::uint32_t take_elsewhere() noexcept {
    if (const auto entry = idle_.claim_first()) {
      idle_.finish(entry->owner);
      return entry->value;
    }
    for (nook& each : nooks_) {
      const std::uint32_t item = take_from(each);
      if (item != none) return item;
    }
    return none;
  }

  BANYAN_ALWAYS_INLINE void place(std::uint32_t item, std::uint32_t near) noexcept {
    if (!nooks_.empty()) {
      const std::uint32_t before = (*nooks_[near & (nooks_.size() - 1)]).exchange(item + 1, std::memory_order_seq_cst);
      if (before == 0) [[likely]] {
        return;
      }
      item = before - 1;
    }
    enlist(item);
  }

  BANYAN_COLD void enlist(std::uint32_t item) noexcept {
    // Entries outnumber items by those that some hundreds of threads could keep busy by stopping in the middle.
    ticket entry = idle_.prepare(item);
    while (!entry) entry = idle_.prepare(item);
    places_[item].store(std::uint64_t{entry.turn} << 32 | entry.index, std::memory_order_seq_cst);
    if (how_.newest_first) {
      idle_.push_front(entry);
    } else {
      idle_.push_back(entry);
    }
  }

  std::span<nook> nooks_;
  std::span<Atomic<std::uint64_t>> places_;
  alignas(cache_line_size) list idle_;
  alignas(cache_line_size) list waiting_;
  // Read by everybody, written when somebody waits.
  alignas(cache_line_size) Atomic<std::uint32_t> attention_{0};
  const options how_;
};

}  // namespace banyan::detail
