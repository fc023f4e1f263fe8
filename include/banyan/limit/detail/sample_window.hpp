#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>

#include <banyan/core/detail/add_sat.hpp>

namespace banyan::detail {

/// Gathers how calls went, window by window. The time at which the window ends is one word; who changes it closes the
/// window, and takes what was gathered.
///
///     empty     --(now >= end, a call ends: end -> now + length)--> gathering
///     gathering --(now >= end, enough calls: end -> next end, by one compare-exchange)--> closing, by the winner alone
///     closing   --(gathered words are exchanged for empty ones)--> taken: the winner applies it
///               --(somebody has closed the next window meanwhile)--> left: it goes with that window's
///
/// A thread that stops while closing keeps nobody: calls gather on, and the next window is closed by whoever comes when
/// it ends. If it stopped before it took anything, two windows become one. If after, that one is lost: `is_last` tells
/// it to throw away what has become old. So at most one window is lost for each thread that stops there.
///
/// The words are taken one by one, so a call that ends at that moment may count its latency in one window and what was
/// in flight in the next. All stand for themselves: relaxed will do, but for the end, which is ordered before what is
/// taken, so that a window that ends later is taken later.
///
/// Lock-free: a repetition means that another call was gathered. Wait-free but for that; O(1).
template <template <class> class Atomic = std::atomic>
class sample_window {
 public:
  static constexpr std::uint64_t longest = std::uint64_t{1} << 42;  // nanoseconds: 73 minutes; longer counts as that

  struct gathered {
    std::int64_t end = 0;  // of the window that began with the closing
    double latency = 0;    // mean
    std::uint64_t least_latency = 0;
    std::uint32_t calls = 0;
    std::uint32_t drops = 0;
    std::uint32_t in_flight = 0;
  };

  explicit sample_window(std::int64_t end) noexcept : end_{end} {}

  /// Before a call is gathered: a window that is over with nothing in it begins anew, and takes `length` from now. Else
  /// it would be closed by the first calls that end, which of those that began together are the shortest; when one is
  /// `enough`, that is what is asked for.
  void begin(std::int64_t now, std::int64_t length, std::uint32_t enough) noexcept {
    std::int64_t end = end_.load(std::memory_order_relaxed);
    if (now < end || enough <= 1 || sums_.load(std::memory_order_relaxed) != 0 ||
        peaks_.load(std::memory_order_relaxed) != 0)
      return;
    // As (1). Fails if somebody has closed the window, or begun it anew, since we looked.
    end_.compare_exchange_strong(end, add_sat(now, length), std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  /// A call went well, and took so long.
  void add(std::uint64_t latency, std::uint32_t in_flight) noexcept {
    latency = latency < longest ? latency : longest;
    std::uint64_t seen = sums_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
      std::uint64_t calls = seen >> sum_bits;
      std::uint64_t sum = seen & sum_mask;
      // Full: half of the calls for half of the sum, which keeps the mean.
      while (calls == most_calls || sum + latency > sum_mask) {
        calls = (calls + 1) / 2;
        sum = (sum + 1) / 2;
      }
      next = (calls + 1) << sum_bits | (sum + latency);
    } while (!sums_.compare_exchange_weak(seen, next, std::memory_order_relaxed));

    // Kept as its complement, so that 0 is none.
    std::uint64_t least = least_.load(std::memory_order_relaxed);
    while (~latency > least && !least_.compare_exchange_weak(least, ~latency, std::memory_order_relaxed)) {
    }
    note(in_flight, false);
  }

  /// A call was dropped.
  void drop(std::uint32_t in_flight) noexcept { note(in_flight, true); }

  /// What was gathered, for one caller after the window's end and `enough` calls. The next window takes `length` from
  /// now, or twice the mean latency if that is more, ten times `length` at most.
  std::optional<gathered> close(std::int64_t now, std::int64_t length, std::uint32_t enough) noexcept {
    std::int64_t end = end_.load(std::memory_order_relaxed);
    if (now < end) return std::nullopt;
    const std::uint64_t sums = sums_.load(std::memory_order_relaxed);
    const std::uint64_t calls = sums >> sum_bits;
    if (calls + (peaks_.load(std::memory_order_relaxed) >> 32) < enough) return std::nullopt;

    const auto twice = static_cast<std::int64_t>(calls == 0 ? 0 : 2 * ((sums & sum_mask) / calls));
    const std::int64_t next_length = twice < length ? length : (twice / 10 < length ? twice : 10 * length);
    constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    const std::int64_t next = add_sat(now, next_length);
    // (1) acquire, release: pairs with itself: who closes the next window takes after us, or sees to it that we do not.
    if (end == last || !end_.compare_exchange_strong(end, next, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      return std::nullopt;
    }
    gathered result;
    result.end = next;
    const std::uint64_t taken = sums_.exchange(0, std::memory_order_relaxed);
    const std::uint64_t peaks = peaks_.exchange(0, std::memory_order_relaxed);
    const std::uint64_t least = least_.exchange(0, std::memory_order_relaxed);
    result.calls = static_cast<std::uint32_t>(taken >> sum_bits);
    if (result.calls > 0) {
      result.latency = static_cast<double>(taken & sum_mask) / result.calls;
      // The call whose latency it was may have written its sum only, or its least into the window before.
      const std::uint64_t mean = (taken & sum_mask) / result.calls;
      result.least_latency = ~least < mean ? ~least : mean;
    }
    result.drops = static_cast<std::uint32_t>(peaks >> 32);
    result.in_flight = static_cast<std::uint32_t>(peaks);
    if (result.calls == 0 && result.drops == 0) return std::nullopt;  // who closed the last window took it just now
    return result;
  }

  /// Whether no later window has been closed.
  [[nodiscard]] bool is_last(const gathered& g) const noexcept {
    return end_.load(std::memory_order_relaxed) == g.end;  // a later one may be closed just now: then ours comes late
  }

 private:
  static constexpr unsigned sum_bits = 44;
  static constexpr std::uint64_t sum_mask = (std::uint64_t{1} << sum_bits) - 1;
  static constexpr std::uint64_t most_calls = (std::uint64_t{1} << 20) - 1;

  void note(std::uint32_t in_flight, bool dropped) noexcept {
    std::uint64_t seen = peaks_.load(std::memory_order_relaxed);
    for (;;) {
      const auto most = static_cast<std::uint32_t>(seen);
      std::uint64_t drops = seen >> 32;
      if (dropped && drops < 0xffff'ffffU) ++drops;
      const std::uint64_t next = drops << 32 | (most > in_flight ? most : in_flight);
      if (next == seen || peaks_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return;
    }
  }

  Atomic<std::uint64_t> sums_{0};   // calls:20, sum of latencies:44
  Atomic<std::uint64_t> peaks_{0};  // drops:32, most in flight:32
  Atomic<std::uint64_t> least_{0};  // complement of the shortest latency
  Atomic<std::int64_t> end_;
};

}  // namespace banyan::detail
