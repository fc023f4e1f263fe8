#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/detail/claim_list.hpp>

namespace banyan::detail {

/// Who may go in: a count of those who are in, and lists of those who wait, one for each class; class 0 matters most.
///
/// The count and how many wait in each class are one word, so that who comes sees in one look whether there is room and
/// whether somebody would be overtaken, and who leaves sees whether somebody waits.
///
///     outside --try_enter--> inside --leave--> outside
///     outside --prepare--> counted --join--> waiting --settle: a place is taken for the first, then it is claimed
///                                                  --> given `granted`, and inside
///                                    waiting --withdraw--> outside
///                                    waiting --displace, by a more important one--> given `displaced`, and outside
///
/// Nobody may wait while there is room for him. Two who could miss each other look after they have acted, in a single
/// order of all these operations (sequentially consistent):
///
///     who leaves:  takes himself off the word,   then looks whether somebody waits       (L1, L2)
///     who waits:   joins the list                then looks whether there is room        (W1, W2)
///     who raises the limit: as who leaves
///
/// so at least one of the two sees the other; whoever sees both brings them together (`settle`).
///
/// A waiter counts itself before it joins and is counted off after it was claimed or has withdrawn, so a count may be
/// too high, never too low; then the slow path asks the list itself. A thread that stops holds at most one place and
/// one entry of a list, and its count sends others the slow way.
///
/// `Limit` is called with a class and tells how many may be inside for one of it to enter; it must not rise with the
/// class. `Wake` is called with the place of a waiter that has been given something; the entry is its owner's to
/// finish.
///
/// Lock-free: a repetition means that somebody else entered, left, or was served.
template <template <class> class Atomic = std::atomic>
class admission {
 public:
  using list = claim_list<Atomic>;
  using entry = typename list::entry;
  using ticket = typename list::ticket;

  static constexpr std::uint32_t classes = 3;
  static constexpr std::uint32_t most_inside = (1U << 22) - 1;
  static constexpr std::uint32_t most_waiting = (1U << 14) - 1;

  // What a waiter is given.
  static constexpr std::uint32_t granted = 0;
  static constexpr std::uint32_t displaced = 1;

  struct place {
    ticket in_list{};
    std::uint32_t of_class = 0;
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(in_list); }
  };

  struct preparation {
    place waiter{};      // none when as many wait as may
    bool first = false;  // nobody waited
    bool full = false;   // as many wait as may, rather than no entry being free
  };

  explicit admission(std::array<std::span<entry>, classes> memory) noexcept
      : waiting_{list{memory[0]}, list{memory[1]}, list{memory[2]}} {}

  /// How many are inside, this one included; 0 when there is no room, or somebody at least as important waits.
  BANYAN_ALWAYS_INLINE std::uint32_t try_enter(std::uint32_t of_class, std::uint32_t limit) noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);  // only a guess: the exchange decides
    for (;;) {
      if (inside(seen) >= limit) return 0;
      if ((seen & counted_before(of_class)) != 0 && somebody_waits(seen, of_class)) [[unlikely]] {
        return 0;
      }
      if (word_.compare_exchange_weak(seen, seen + 1, std::memory_order_seq_cst, std::memory_order_relaxed)) {
        return inside(seen) + 1;
      }
    }
  }

  /// Once for each that is inside.
  template <class Limit, class Wake>
  BANYAN_ALWAYS_INLINE void leave(Limit&& limit, Wake&& wake) noexcept {
    const std::uint64_t before = word_.fetch_sub(1, std::memory_order_seq_cst);  // L1, L2: pairs with W1, W2
    if ((before & counted_before(classes - 1)) != 0) [[unlikely]] {
      settle(limit, wake);
    }
  }

  /// A place among the waiters, counted but not joined yet, if fewer than `most` wait.
  [[nodiscard]] preparation prepare(std::uint32_t of_class, std::uint32_t most) noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    do {
      if (waiting_in_all(seen) >= most) return {.full = true};
    } while (!word_.compare_exchange_weak(seen, seen + one_waiting(of_class), std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    const ticket t = waiting_[of_class].prepare(0);
    if (!t) {
      count_off(of_class);
      return {};
    }
    return {{t, of_class}, waiting_in_all(seen) == 0, false};
  }

  /// The owner joins, always; it may have been served when this returns.
  template <class Limit, class Wake>
  void join(place waiter, Limit&& limit, Wake&& wake) noexcept {
    waiting_[waiter.of_class].push_back(waiter.in_list);  // W1: pairs with L2
    settle(limit, wake);                                  // W2: pairs with L1
  }

  /// What a waiter was given; nothing while it waits.
  [[nodiscard]] std::optional<std::uint32_t> given(place waiter) const noexcept {
    return waiting_[waiter.of_class].given(waiter.in_list);
  }

  /// Stops waiting; false if it has been given something: when that is `granted`, it is inside, and has to leave.
  [[nodiscard]] bool withdraw(place waiter) noexcept {
    if (!waiting_[waiter.of_class].withdraw(waiter.in_list)) return false;
    count_off(waiter.of_class);
    return true;
  }

  void finish(place waiter) noexcept { waiting_[waiter.of_class].finish(waiter.in_list); }

  /// Sends away who has waited longest in the least important class below `of_class`; false if there is none.
  template <class Wake>
  bool displace(std::uint32_t of_class, Wake&& wake) noexcept {
    for (std::uint32_t c = classes - 1; c > of_class; --c) {
      if (serve(c, displaced, wake)) return true;
    }
    return false;
  }

  /// Lets in who waits, while there is room.
  template <class Limit, class Wake>
  BANYAN_COLD void settle(Limit&& limit, Wake&& wake) noexcept {
    std::uint32_t c = 0;
    while (c < classes) {
      std::uint64_t seen = word_.load(std::memory_order_seq_cst);
      if (inside(seen) >= limit(c)) return;  // for less important ones there is none either
      if (waiting_in(seen, c) == 0 || !waiting_[c].has_live()) {
        ++c;
        continue;
      }
      // The word is as it was when nobody more important waited: else it would have changed.
      if (word_.compare_exchange_strong(seen, seen + 1, std::memory_order_seq_cst) && !serve(c, granted, wake)) {
        word_.fetch_sub(1, std::memory_order_seq_cst);  // as L1
      }
      c = 0;  // as L2
    }
  }

  [[nodiscard]] std::uint32_t inside() const noexcept { return inside(word_.load(std::memory_order_seq_cst)); }
  /// How many wait, or a few more.
  [[nodiscard]] std::uint32_t waiting(std::uint32_t of_class) const noexcept {
    return waiting_in(word_.load(std::memory_order_seq_cst), of_class);
  }

 private:
  static constexpr unsigned shift(std::uint32_t of_class) noexcept { return 22 + 14 * of_class; }
  static constexpr std::uint64_t one_waiting(std::uint32_t of_class) noexcept {
    return std::uint64_t{1} << shift(of_class);
  }
  // The counts of those who go before a newcomer of a class.
  static constexpr std::uint64_t counted_before(std::uint32_t of_class) noexcept {
    return (~std::uint64_t{0} >> (14 * (classes - 1 - of_class))) & ~std::uint64_t{most_inside};
  }
  static constexpr std::uint32_t inside(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word) & most_inside;
  }
  static constexpr std::uint32_t waiting_in(std::uint64_t word, std::uint32_t of_class) noexcept {
    return static_cast<std::uint32_t>(word >> shift(of_class)) & most_waiting;
  }
  static constexpr std::uint32_t waiting_in_all(std::uint64_t word) noexcept {
    return waiting_in(word, 0) + waiting_in(word, 1) + waiting_in(word, 2);
  }

  BANYAN_COLD bool somebody_waits(std::uint64_t word, std::uint32_t of_class) noexcept {
    for (std::uint32_t c = 0; c <= of_class; ++c) {
      if (waiting_in(word, c) != 0 && waiting_[c].has_live()) return true;
    }
    return false;
  }

  template <class Wake>
  bool serve(std::uint32_t of_class, std::uint32_t value, Wake& wake) noexcept {
    const auto claimed = waiting_[of_class].claim_first(value);
    if (!claimed) return false;
    count_off(of_class);
    wake(place{claimed->owner, of_class});
    return true;
  }

  void count_off(std::uint32_t of_class) noexcept { word_.fetch_sub(one_waiting(of_class), std::memory_order_seq_cst); }

  Atomic<std::uint64_t> word_{0};  // waiting in class 2, 1, 0: 14 bits each, inside: 22
  std::array<list, classes> waiting_;
};

}  // namespace banyan::detail
