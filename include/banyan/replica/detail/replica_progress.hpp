#pragma once

/// \file
/// How far one member of a replica set is, as its reports say. Written by all who have news, read by every pick.

#include <atomic>
#include <cstdint>
#include <limits>

#include <banyan/core/cache_line.hpp>

namespace banyan::detail {

/// A report as the record takes it, times in nanoseconds of one clock. (No optionals: where they are all inlined, GCC
/// 12 warns of values that it believes to be read uninitialised.)
struct progress_report {
  static constexpr std::int64_t nothing = -1;

  bool has_position = false;
  std::uint64_t position = 0;
  std::int64_t lag = nothing;         // else not negative
  std::int64_t round_trip = nothing;  // else positive
};

/// A lag at which a replica is out, and one at which it is in again.
struct lag_limits {
  static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();
  std::int64_t out_at = none;
  std::int64_t in_at = none;
};

/// One line of atomics, each of which means something by itself: a reader that sees one of a later report than another
/// is not misled, since a level of consistency asks for one of them only.
///
/// The report with the latest time wins. A writer does the following for each word:
///
///     old = word
///     latest = max(latest, its time);  later already? then leave: somebody knows better
///     word: old -> new, if it is still old;      not? then all over again
///
/// A writer that was overtaken either sees the later time, or its exchange fails, since the one who overtook it has
/// changed the word after it was read. To see that also where a word comes back to the same value, `fresh` counts its
/// changes in its low bits. (`position` has no bits to spare. For it to come back, a node must be restored from a
/// backup while a report is on its way; the next report sets that right.)
///
/// After `tries` repetitions, each of which means that another report came in between, a report that says less is
/// stored as it is, and one that says more is dropped: both err on the safe side. So all is wait-free.
template <template <class> class Atomic = std::atomic>
class alignas(cache_line_size) replica_progress {
 public:
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t unit = 64;  // of `fresh_as_of`, in nanoseconds: it is rounded down to a multiple

  replica_progress() = default;
  replica_progress(const replica_progress&) = delete;
  replica_progress& operator=(const replica_progress&) = delete;

  /// What a report of that time and lag, which is not negative, says it has.
  [[nodiscard]] static constexpr std::int64_t as_of(std::int64_t at, std::int64_t lag) noexcept {
    return at >= never + unit + lag ? at - lag : never + unit;  // no overflow
  }

  /// False when a later report has been here before; then nothing has changed. Of equal times either wins.
  bool report(const progress_report& news, std::int64_t at, const lag_limits& limits) noexcept {
    const bool has_lag = news.lag != progress_report::nothing;
    if (news.has_position || has_lag) {
      if (!raise_latest(at)) return false;
      if (news.has_position && !set_position(news.position, at)) return false;
      if (has_lag && !set_lag(news.lag, at, limits)) return false;
      heard_.store(true, std::memory_order_seq_cst);
    }
    if (news.round_trip != progress_report::nothing) average_in(news.round_trip);
    return true;
  }

  /// It follows a primary of a later epoch, as of `at`: nothing that is said of this one holds any more.
  void leave_epoch(std::int64_t at) noexcept {
    left_.store(true, std::memory_order_seq_cst);
    (void)raise_latest(at);
  }
  [[nodiscard]] bool left_epoch() const noexcept { return left_.load(std::memory_order_seq_cst); }

  /// What it has applied; 0: not known.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_.load(std::memory_order_seq_cst); }

  /// It has all that was committed until then; `never`: not known.
  [[nodiscard]] std::int64_t fresh_as_of() const noexcept {
    return fresh_.load(std::memory_order_seq_cst) & ~(unit - 1);
  }

  /// Its lag was at or above the limit, and has not come down to where it is in again.
  [[nodiscard]] bool lagging() const noexcept { return (fresh_.load(std::memory_order_seq_cst) & lagging_bit) != 0; }

  /// `never`: it has not.
  [[nodiscard]] std::int64_t reported_at() const noexcept {
    return heard_.load(std::memory_order_seq_cst) ? latest_.load(std::memory_order_seq_cst) : never;
  }

  /// Moving average; 0: not known.
  [[nodiscard]] std::int64_t round_trip() const noexcept { return round_trip_.load(std::memory_order_relaxed); }

  /// Begins a new epoch, before anybody else sees this one: with what was known in the epoch before, where that holds
  /// and is not above `most`. Reports that are older than those of that epoch do not count in any case.
  void begin_after(const replica_progress& other, bool holds, std::uint64_t most) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;  // it is published as a whole
    round_trip_.store(other.round_trip(), relaxed);
    latest_.store(other.latest_.load(std::memory_order_seq_cst), relaxed);
    const std::uint64_t position = other.position();
    if (!holds || other.left_epoch() || position == 0 || position > most) return;
    position_.store(position, relaxed);
    fresh_.store(other.fresh_.load(std::memory_order_seq_cst), relaxed);
    heard_.store(true, relaxed);
  }

 private:
  static constexpr std::int64_t lagging_bit = unit / 2;
  static constexpr std::int64_t tag_mask = lagging_bit - 1;
  static constexpr int tries = 16;

  bool raise_latest(std::int64_t at) noexcept {
    std::int64_t seen = latest_.load(std::memory_order_seq_cst);
    for (int i = 0; i < tries; ++i) {
      if (seen >= at) return seen == at;
      if (latest_.compare_exchange_strong(seen, at, std::memory_order_seq_cst)) return true;
    }
    return false;
  }

  bool set_position(std::uint64_t position, std::int64_t at) noexcept {
    for (int i = 0; i < tries; ++i) {
      std::uint64_t old = position_.load(std::memory_order_seq_cst);
      if (latest_.load(std::memory_order_seq_cst) > at) return false;
      if (position_.compare_exchange_strong(old, position, std::memory_order_seq_cst)) return true;
    }
    if (position < position_.load(std::memory_order_seq_cst)) position_.store(position, std::memory_order_seq_cst);
    return true;
  }

  bool set_lag(std::int64_t lag, std::int64_t at, const lag_limits& limits) noexcept {
    for (int i = 0; i < tries; ++i) {
      std::int64_t old = fresh_.load(std::memory_order_seq_cst);
      if (latest_.load(std::memory_order_seq_cst) > at) return false;
      if (fresh_.compare_exchange_strong(old, next(old, lag, at, limits), std::memory_order_seq_cst)) return true;
    }
    const std::int64_t last = fresh_.load(std::memory_order_seq_cst);
    const std::int64_t mine = next(last, lag, at, limits);
    if ((mine & ~(unit - 1)) < (last & ~(unit - 1))) fresh_.store(mine, std::memory_order_seq_cst);
    return true;
  }

  [[nodiscard]] static std::int64_t next(std::int64_t old, std::int64_t lag, std::int64_t at,
                                         const lag_limits& limits) noexcept {
    const bool was = (old & lagging_bit) != 0;
    const bool is = lag >= limits.out_at || (was && lag > limits.in_at);
    return (as_of(at, lag) & ~(unit - 1)) | (is ? lagging_bit : 0) | ((old + 1) & tag_mask);
  }

  // An average may lose one of two samples that come at the same moment.
  void average_in(std::int64_t sample) noexcept {
    const std::int64_t old = round_trip_.load(std::memory_order_relaxed);
    round_trip_.store(old == 0 ? sample : old + (sample - old) / 5, std::memory_order_relaxed);
  }

  Atomic<std::uint64_t> position_{0};
  Atomic<std::int64_t> fresh_{never};   // multiple of `unit`, lagging bit, count of changes
  Atomic<std::int64_t> latest_{never};  // report
  Atomic<std::int64_t> round_trip_{0};
  Atomic<bool> heard_{false};  // anything in this epoch
  Atomic<bool> left_{false};
};

}  // namespace banyan::detail
