#pragma once

#include <atomic>
#include <cstdint>
#include <span>

namespace banyan::detail {

/// The times of the last admissions, as many as the limit: the next one is due when the oldest of them is out of the
/// window. Entry e stands in slot e mod size as (time << 1) | lap, where the lap, one bit, tells an entry from those a
/// round before and after it.
///
/// An admission first claims its entries by moving `next_`, then writes their times. Who comes round to an entry that
/// was claimed but is not written (its owner stopped in between) writes it with a time of its own, which is later: that
/// can refuse, but not admit.
///
/// A slot, by the entry e that is next to be claimed in it:
///
///     (time of e - size, its lap) --claim moves next_--> claimed, still the same --its owner writes--> (time of e,
///     lap)
///                                                          |                                            ^
///                                                          +--somebody comes round to it, e + size------+
///
/// Times of claims do not go back: whoever claims brings `latest_` up to its time before, and looks at it after it has
/// read `next_`. So of limit + 1 admissions in a row the last is at least a window later than the first.
///
/// Lock-free: every repetition means that another request was admitted, or an entry written for a stopped one.
template <template <class> class Atomic = std::atomic>
class basic_log_ring {
 public:
  struct answer {
    bool admitted = false;
    std::uint64_t wait = 0;  ///< refused: until it would be admitted
    std::uint64_t used = 0;  ///< entries within the window, those admitted included
  };

  /// `slots`: all zero, at least one. `length`: of the window. Times begin above `length`.
  basic_log_ring(std::span<Atomic<std::uint64_t>> slots, std::uint64_t length) noexcept
      : slots_{slots.data()}, size_{slots.size()}, length_{length} {}

  /// `n` from 1 to the number of slots. O(n + log(slots)).
  answer take(std::uint64_t n, std::uint64_t now) noexcept {
    for (;;) {
      // (1) acquire: pairs with the release in (3), after which `latest_` is not behind the time of that claim.
      const std::uint64_t first = next_.load(std::memory_order_acquire);
      const std::uint64_t time = later(now, latest_.load(std::memory_order_relaxed));
      std::uint64_t wait = 0;
      bool moved = false;
      for (std::uint64_t entry = first; entry != first + n && !moved; ++entry) {
        const std::uint64_t due = (former(entry, time, first, moved) >> 1) + length_;
        if (due > time) wait = later(wait, due - now);
      }
      if (moved) continue;
      if (wait != 0) return {false, wait, used(first, time)};

      // Before the claim, so that the release in (3) carries it.
      std::uint64_t latest = latest_.load(std::memory_order_relaxed);
      while (latest < time && !latest_.compare_exchange_weak(latest, time, std::memory_order_relaxed)) {
      }
      std::uint64_t expected = first;
      // (3) release: pairs with (1).
      if (!next_.compare_exchange_strong(expected, first + n, std::memory_order_release, std::memory_order_relaxed)) {
        continue;
      }
      for (std::uint64_t entry = first; entry != first + n; ++entry) write(entry, time);
      return {true, 0, used(first + n, time)};
    }
  }

 private:
  static constexpr std::uint64_t later(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a : b; }

  [[nodiscard]] Atomic<std::uint64_t>& slot(std::uint64_t entry) const noexcept { return slots_[entry % size_]; }
  [[nodiscard]] std::uint64_t lap(std::uint64_t entry) const noexcept { return (entry / size_ + 1) & 1; }

  // What stands in the slot of an entry that is to be claimed: the entry a round before it. Sets `moved` when somebody
  // else has claimed meanwhile.
  std::uint64_t former(std::uint64_t entry, std::uint64_t time, std::uint64_t first, bool& moved) noexcept {
    const std::uint64_t expected_lap = lap(entry) ^ 1;
    // (2) acquire: pairs with the release in (4); who sees an entry sees that it has been claimed.
    std::uint64_t seen = slot(entry).load(std::memory_order_acquire);
    while ((seen & 1) != expected_lap) {
      // Either the entry itself, or the one two rounds before it, because the former one is claimed and not written.
      if (next_.load(std::memory_order_acquire) != first) {
        moved = true;
        return 0;
      }
      const std::uint64_t written = (time << 1) | expected_lap;
      if (slot(entry).compare_exchange_strong(seen, written, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return written;
      }
    }
    return seen;
  }

  void write(std::uint64_t entry, std::uint64_t time) noexcept {
    std::uint64_t seen = slot(entry).load(std::memory_order_relaxed);
    // The former entry, which has expired, still stands there unless somebody wrote ours. A round later the same bit is
    // there again, but with a time that is not over.
    while ((seen & 1) != lap(entry) && (seen >> 1) + length_ <= time) {
      // (4) release: pairs with (2).
      if (slot(entry).compare_exchange_weak(seen, (time << 1) | lap(entry), std::memory_order_release,
                                            std::memory_order_relaxed)) {
        return;
      }
    }
  }

  // How many of the entries before `end` are within the window; they stand in order of time.
  [[nodiscard]] std::uint64_t used(std::uint64_t end, std::uint64_t time) const noexcept {
    std::uint64_t low = end > size_ ? end - size_ : 0;
    std::uint64_t high = end;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if ((slot(middle).load(std::memory_order_relaxed) >> 1) + length_ > time) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return end - low;
  }

  Atomic<std::uint64_t>* slots_;
  std::uint64_t size_;
  std::uint64_t length_;
  Atomic<std::uint64_t> next_{0};
  Atomic<std::uint64_t> latest_{0};
};

using log_ring = basic_log_ring<>;

}  // namespace banyan::detail
