#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include <banyan/replica/detail/position_gate.hpp>

namespace banyan::detail {

/// One who does not sleep, but is told: see `position_waiters`.
struct position_waiter {
  position_waiter* next = nullptr;
  std::uint64_t target = 0;
  std::int64_t until = std::numeric_limits<std::int64_t>::max();
};

/// Some of them, one after the other.
struct position_chain {
  position_waiter* first = nullptr;
  position_waiter* last = nullptr;

  void put_first(position_waiter& one) noexcept {
    one.next = first;
    first = &one;
    if (last == nullptr) last = &one;
  }
  void put_last(position_waiter& one) noexcept {
    one.next = nullptr;
    put_last(position_chain{&one, &one});
  }
  void put_last(const position_chain& more) noexcept {
    if (more.first == nullptr) return;
    (first == nullptr ? first : last->next) = more.first;
    last = more.last;
  }
  /// None when there is none.
  position_waiter* take_first() noexcept {
    position_waiter* const one = first;
    if (one != nullptr) first = one->next;
    if (first == nullptr) last = nullptr;
    return one;
  }
};

/// Those who wait for a position of a `position_gate` and are to be told by whoever takes them out.
///
///     outside -> in the list             `add`
///             -> in one thread's hands   `take`: all at once, by one exchange
///             -> in the list again       those who go on waiting
///             -> told, gone              the others
///
/// A list that is only ever taken as a whole has no ABA problem and nothing to reclaim, and who is in a thread's hands
/// is nobody else's: each is given out once.
///
/// Nobody is forgotten: who puts waiters in, anew or again, does so before asking the gate for the least of their
/// positions; who advances does so before taking. The gate shows one of the two what the other did (see there), and
/// then that one takes. So does whoever is told by `want` to wake all, whatever it wanted itself: an advancing thread
/// may have found its position noted instead of the one that was reached.
///
/// Lock-free: another try means that somebody else put waiters in, or advanced. `take`: O(waiters). What is in the
/// hands of a thread that is stopped waits with it; and what relies on a position that such a thread has just replaced,
/// until anybody takes.
template <template <class> class Atomic = std::atomic>
class position_waiters {
 public:
  /// Of the same lifetime as the gate.
  explicit position_waiters(position_gate<Atomic>& gate) noexcept : gate_{gate} {}

  [[nodiscard]] bool empty() const noexcept { return top_.load(std::memory_order_seq_cst) == nullptr; }

  /// Puts one in. True: the caller is to `take`, since its position has been reached, or since it has replaced what
  /// others relied on. `wake`: as of the gate.
  [[nodiscard]] bool add(position_waiter& one, bool& wake) noexcept {
    const std::uint64_t target = one.target;  // from here on it may be told and gone
    gate_.enter();
    push(one, one);
    return gate_.want(target, wake) || wake;
  }

  struct taken {
    position_chain due{};  ///< in the order in which they came, as far as one thread put them in
    bool wake = false;     ///< all who sleep at the gate are to be woken
    bool again = false;    ///< the caller is to take again: more have become due
  };

  /// Takes out those whose position has been reached or whose time is before `now` or at it. Does not stay for those
  /// that become due meanwhile: who advances fast would keep it from telling those it has. Two walks at most.
  [[nodiscard]] taken take(std::int64_t now) noexcept {
    taken out;
    bool replaced = true;
    for (int walk = 0; walk < 2 && replaced && !empty(); ++walk) {
      position_waiter* each = top_.exchange(nullptr, std::memory_order_seq_cst);
      const std::uint64_t at = gate_.position();
      position_chain stay;   // the last to come first, as they were
      position_chain leave;  // the first to come first
      std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
      while (each != nullptr) {
        position_waiter& one = *each;
        each = one.next;
        if (one.target <= at || one.until <= now) {
          leave.put_first(one);
          gate_.leave();
        } else {
          stay.put_last(one);
          if (one.target < least) least = one.target;
        }
      }
      out.due.put_last(leave);
      if (stay.first == nullptr) break;
      push(*stay.first, *stay.last);
      // Who came in between may have relied on the position that this one replaces: then they are looked at again.
      out.again = gate_.want(least, replaced) || replaced;
      out.wake = out.wake || replaced;
    }
    return out;
  }

  /// All of them, in that order: the end.
  [[nodiscard]] position_chain take_all() noexcept {
    position_chain out;
    for (position_waiter* each = top_.exchange(nullptr, std::memory_order_seq_cst); each != nullptr;) {
      position_waiter& one = *each;
      each = one.next;
      out.put_first(one);
    }
    return out;
  }

 private:
  void push(position_waiter& first, position_waiter& last) noexcept {
    position_waiter* top = top_.load(std::memory_order_seq_cst);
    do {
      last.next = top;
    } while (!top_.compare_exchange_weak(top, &first, std::memory_order_seq_cst));
  }

  position_gate<Atomic>& gate_;
  Atomic<position_waiter*> top_{nullptr};
};

}  // namespace banyan::detail
