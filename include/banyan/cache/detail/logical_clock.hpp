#pragma once

/// \file
/// Time as policies see it: the order of accesses, without a counter that all threads write to.

#include <banyan/core/cache_line.hpp>

#include <atomic>
#include <cstdint>

namespace banyan::detail {

/// A Lamport clock (Lamport: Time, clocks, and the ordering of events in a distributed system, 1978). Each thread
/// counts its own ticks and catches up with the others when it meets a later time: in a mark that it reads, in the
/// shared time at every insertion, and in the shared time once in 64 hits. In one thread the order is exact; between
/// threads it is exact where one saw the other's mark, and else out by what a thread does between two catch-ups.
///
/// All operations are wait-free; all orders are relaxed, as times are compared and lead to nothing.
class logical_clock {
 public:
  /// A thread's own time; zero-initialised.
  struct local {
    std::uint64_t now = 0;
  };

  /// The next tick.
  std::uint64_t tick(local& own) noexcept {
    if ((++own.now & 63) == 0) synchronise(own);
    return own.now;
  }

  /// The next tick, later than what any thread has shared before.
  std::uint64_t shared_tick(local& own) noexcept {
    ++own.now;
    synchronise(own);
    return own.now;
  }

  /// Catches up with a time that another thread has left somewhere.
  static void catch_up(local& own, std::uint64_t seen) noexcept {
    if (seen > own.now) own.now = seen;
  }

 private:
  void synchronise(local& own) noexcept {
    std::uint64_t shared = shared_.load(std::memory_order_relaxed);
    if (shared >= own.now) {
      own.now = shared + 1;
    }
    // One attempt: whoever got in between has moved the time on as well, and about as far.
    shared_.compare_exchange_strong(shared, own.now, std::memory_order_relaxed, std::memory_order_relaxed);
  }

  alignas(cache_line_size) std::atomic<std::uint64_t> shared_{0};
};

}  // namespace banyan::detail
