#pragma once

/// \file
/// The counts of one endpoint, and the protocol by which the last user of an endpoint that drains or has been removed
/// finds out that it is the last.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include <banyan/core/cache_line.hpp>

namespace banyan::detail {

/// What one thread writes about one endpoint: a cache line of its own, changed by plain loads and stores. Only
/// `attention` is written by others, and rarely. The last stripe is shared by the threads that have none; there, counts
/// are changed by read-modify-writes, and an average may lose one of two samples that come at the same moment.
struct alignas(cache_line_size) flight_cell {
  std::atomic<std::int64_t> in_flight{0};      // may be below 0: a token may be given back by another thread
  std::atomic<std::uint32_t> attention{0};     // endpoint_state::draining, ::removed
  std::atomic<std::int32_t> others{0};         // what the other stripes had in flight when last looked at
  std::atomic<std::uint32_t> flights_seen{0};  // cycle counter at that time, its lower half
  std::atomic<std::uint32_t> latency_seen{0};  // the same for others_latency
  std::atomic<float> latency{0};               // moving average in nanoseconds; 0: none
  std::atomic<float> others_latency{0};        // the highest of the other stripes when last looked at
  std::atomic<std::int64_t> latency_at{0};     // when `latency` was last changed, nanoseconds
  std::atomic<std::uint64_t> succeeded{0};
  std::atomic<std::uint64_t> failed{0};
};
static_assert(sizeof(flight_cell) == cache_line_size);
static_assert(std::atomic<float>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);

/// The stripes of one cluster: the first `exclusive` threads have a cell each, all others share the one after.
struct stripes {
  std::uint32_t exclusive = 1;

  [[nodiscard]] std::uint32_t of(std::uint32_t thread_index) const noexcept {
    return thread_index < exclusive ? thread_index : exclusive;
  }
  [[nodiscard]] std::uint32_t count() const noexcept { return exclusive + 1; }

  /// Adds to a count of stripe `mine`. Wait-free.
  template <class N>
  void add(std::uint32_t mine, std::atomic<N>& count, N amount, std::memory_order order) const noexcept {
    if (mine < exclusive) [[likely]] {
      count.store(static_cast<N>(count.load(std::memory_order_relaxed) + amount), order);
    } else {
      count.fetch_add(amount, order);
    }
  }
};

/// Told once when an endpoint that drains has nothing in flight.
struct drain_waiter {
  drain_waiter* next = nullptr;
  void (*finished)(drain_waiter&, bool drained) noexcept = nullptr;  // takes the waiter over
};

/// The life of an endpoint, apart from its value:
///
///                    +------------- resume -------------+
///                    v                                  |
///     serving --drain--> draining (attention) --nothing in flight--> drained: waiters told
///        |                   |
///        +------remove-------+--> removed (attention) --unlisted--> and nothing in flight: freed
///
/// Whoever begins or ends a use changes its own cell, then looks at that cell's `attention`. Whoever drains or removes
/// sets `attention` in all cells, passes a barrier on all threads, then adds up the cells. So either the user sees the
/// attention, and adds up the cells itself, or its change is among what is added up. (Without the barrier both could
/// miss each other: each one's load may run ahead of its store.) Several that add up at the same time pass through
/// read-modify-writes of one word, `settling`: the last of them sees the changes of all.
///
/// A sum of 0 is final while `attention` is set: uses only end then, and one that begins and sees the attention takes
/// back its count in the cell where it put it.
///
/// A thread that ends a use must protect the state by a hazard while it does: another may be the last and free it.
///
/// `Meet` is the reader's half of that barrier, called as `meet()`. All operations are lock-free; `begin` and `end`
/// wait-free while there is no attention.
class endpoint_state {
 public:
  static constexpr std::uint32_t draining = 1;
  static constexpr std::uint32_t removed = 2;

  endpoint_state(flight_cell* cells, stripes all) noexcept : cells_{cells}, stripes_{all} {}
  endpoint_state(const endpoint_state&) = delete;
  endpoint_state& operator=(const endpoint_state&) = delete;

  [[nodiscard]] std::span<const flight_cell> all_cells() const noexcept { return {cells_, stripes_.count()}; }

  /// Counts a use in `cells[mine]`; false, and not counted, when the endpoint takes nothing new. Touches nothing but
  /// that cell, unless it returns false.
  template <class Meet>
  static bool try_begin(flight_cell* cells, stripes all, std::uint32_t mine, Meet meet) noexcept {
    flight_cell& own = cells[mine];
    all.add<std::int64_t>(mine, own.in_flight, 1, std::memory_order_release);  // as (1)
    meet();
    return own.attention.load(std::memory_order_acquire) == 0;  // (3) acquire: pairs with the release in (4)
  }

  /// Takes a use back. True when the caller must `settle`.
  template <class Meet>
  [[nodiscard]] static bool end(flight_cell* cells, stripes all, std::uint32_t mine, Meet meet) noexcept {
    flight_cell& own = cells[mine];
    // (1) release: pairs with the acquire in (2): what the user did with the endpoint comes before it is freed.
    all.add<std::int64_t>(mine, own.in_flight, -1, std::memory_order_release);
    meet();
    return own.attention.load(std::memory_order_acquire) != 0;  // as (3)
  }

  /// Sets attention. The caller passes the barrier on all threads next, then calls `settle`.
  void set_attention(std::uint32_t reason) noexcept {
    for (std::uint32_t i = 0; i < stripes_.count(); ++i)
      cells_[i].attention.fetch_or(reason, std::memory_order_release);  // (4) release: pairs with (3)
  }

  /// The endpoint serves again.
  void clear_attention(std::uint32_t reason) noexcept {
    for (std::uint32_t i = 0; i < stripes_.count(); ++i)
      cells_[i].attention.fetch_and(~reason, std::memory_order_release);  // as (4)
  }

  [[nodiscard]] std::uint32_t attention() const noexcept {
    return cells_[stripes_.exclusive].attention.load(std::memory_order_acquire);  // as (3)
  }

  /// Uses that have begun and not ended, as far as the caller can see.
  [[nodiscard]] std::int64_t in_flight() const noexcept {
    std::int64_t sum = 0;
    for (std::uint32_t i = 0; i < stripes_.count(); ++i)
      sum += cells_[i].in_flight.load(std::memory_order_acquire);  // (2) acquire: pairs with the release in (1)
    return sum;
  }

  /// Lists of members that name the endpoint: only through them does anybody begin a use.
  void list() noexcept { listed_.fetch_add(1, std::memory_order_relaxed); }  // the caller knows of another listing

  /// True when it was the last: the caller must `settle`.
  [[nodiscard]] bool unlist() noexcept {
    // (5) release, acquire: the last sees what came before the others', and `settle` sees that it is unlisted.
    return listed_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  enum class settled : std::uint8_t { busy, idle, last };

  /// Called by whoever saw attention after ending a use, has set it, or has unlisted the endpoint. `idle`: it has
  /// attention and nothing is in flight; the waiters have been told. `last`: nobody lists it either, and the caller is
  /// the one to free it.
  [[nodiscard]] settled settle() noexcept {
    // (6) release, acquire: each comes after the ones before it in this word's order and sees their changes.
    settling_.fetch_add(1, std::memory_order_acq_rel);
    if (attention() == 0 || in_flight() != 0) return settled::busy;
    tell_waiters(true);
    if (listed_.load(std::memory_order_acquire) != 0) return settled::idle;                   // acquire: pairs with (5)
    return freed_.exchange(true, std::memory_order_acq_rel) ? settled::idle : settled::last;  // the only one to know
  }

  /// The caller passes the barrier and calls `settle` next: the endpoint may have been drained already.
  void wait(drain_waiter& waiter) noexcept {
    waiter.next = waiters_.load(std::memory_order_relaxed);
    // (7) release: pairs with the acquire in (8): the waiter is made.
    while (
        !waiters_.compare_exchange_weak(waiter.next, &waiter, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }

  /// Runs the waiters' functions.
  void tell_waiters(bool drained) noexcept {
    if (waiters_.load(std::memory_order_relaxed) == nullptr) return;
    drain_waiter* waiter = waiters_.exchange(nullptr, std::memory_order_acquire);  // (8) acquire: pairs with (7)
    while (waiter != nullptr) {
      drain_waiter* const next = waiter->next;
      waiter->finished(*waiter, drained);
      waiter = next;
    }
  }

  /// Failures since the last success, of all threads.
  [[nodiscard]] std::uint32_t failures_in_a_row() const noexcept {
    return failure_run_.load(std::memory_order_relaxed);
  }

  void count_success(std::uint32_t mine) noexcept {
    stripes_.add<std::uint64_t>(mine, cells_[mine].succeeded, 1, std::memory_order_relaxed);
    // Read first: the line stays shared while all goes well.
    if (failure_run_.load(std::memory_order_relaxed) != 0) failure_run_.store(0, std::memory_order_relaxed);
    end_silence();
  }

  /// Failures since the last answer, be it an error, that came without any.
  [[nodiscard]] std::uint32_t unanswered_in_a_row() const noexcept { return silence_.load(std::memory_order_relaxed); }

  /// The lengths of the runs.
  struct failure_runs {
    std::uint32_t failures;
    std::uint32_t unanswered;
  };
  failure_runs count_failure(std::uint32_t mine, bool answered) noexcept {
    stripes_.add<std::uint64_t>(mine, cells_[mine].failed, 1, std::memory_order_relaxed);
    std::uint32_t unanswered = 0;
    if (answered) {
      end_silence();
    } else {
      unanswered = silence_.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    return {failure_run_.fetch_add(1, std::memory_order_relaxed) + 1, unanswered};
  }

  void forget_failures() noexcept {
    failure_run_.store(0, std::memory_order_relaxed);
    silence_.store(0, std::memory_order_relaxed);
  }

 private:
  void end_silence() noexcept {
    if (silence_.load(std::memory_order_relaxed) != 0) silence_.store(0, std::memory_order_relaxed);
  }

  flight_cell* cells_;
  stripes stripes_;
  alignas(cache_line_size) std::atomic<std::uint32_t> failure_run_{0};
  std::atomic<std::uint32_t> silence_{0};
  std::atomic<std::uint32_t> listed_{0};
  std::atomic<std::uint32_t> settling_{0};
  std::atomic<bool> freed_{false};
  std::atomic<drain_waiter*> waiters_{nullptr};
};

}  // namespace banyan::detail
