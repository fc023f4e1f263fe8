#pragma once

#include <chrono>
#include <cstdint>

#include <banyan/core/clock.hpp>
#include <banyan/limit/detail/gcra_bucket.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/rate_decision.hpp>
#include <banyan/limit/token_bucket_options.hpp>

namespace banyan {

/// Admits `rate` tokens a second on average and at most `burst` at once. It starts full.
///
///     banyan::token_bucket api{{.rate = 100.0, .burst = 20}};
///     if (auto d = api.try_acquire()) serve(); else reply_429(d.retry_after());
///
/// Promised: over any interval of length t at most burst + rate * t tokens, in every interleaving and with clocks that
/// differ between threads (by the clock that is ahead), stand still or go back: an older `now` can only refuse. And
/// hardly less: with demand enough 99.9 % of the rate. Only above 31 million tokens a second, a call may be charged up
/// to 1/32 ns more than its tokens are worth. Bursts above 2^21 are rounded down to 21 significant bits.
///
/// State is one word (see `detail::gcra_word`), rate and burst another; 32 bytes in all, not padded: where buckets
/// stand side by side and are hot, take `padded<token_bucket<>>`. All operations but `acquire_for` are lock-free, O(1),
/// and never throw unless said otherwise. An admission is one compare-exchange, a refusal one load. Thread-safe.
/// Thirteen years after its construction time stands still for a bucket.
///
/// Source: GCRA, ITU-T I.371; credit that outlives changes of rate as time: folly's DynamicTokenBucket.
template <class Clock = steady_clock>
class token_bucket {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using duration = std::chrono::nanoseconds;
  using options = token_bucket_options;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit token_bucket(token_bucket_options wanted, time_point now = Clock::now())
      : bucket_{detail::terms_of(wanted), detail::clamped_nanoseconds(now)} {}

  token_bucket(const token_bucket&) = delete;
  token_bucket& operator=(const token_bucket&) = delete;

  /// Takes `n` tokens if all of them are there, else none. `never` when `n` is above the burst; 0 tokens are always
  /// there unless there is debt.
  rate_decision try_acquire(std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    const detail::gcra_terms terms = bucket_.terms();
    return {bucket_.word.take(terms, n, bucket_.ticks(now)), terms};
  }

  /// Takes `n` tokens, now or in advance: the caller is admitted and has to wait for `wait()` before it goes ahead.
  /// Whoever comes later waits until that debt is paid. Refuses more than the burst (`never`), and what could not be
  /// had within `longest`; then nothing is taken.
  rate_decision reserve(std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    return reserve_within(duration::max(), n, now);
  }
  rate_decision reserve_within(duration longest, std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    const detail::gcra_terms terms = bucket_.terms();
    return {bucket_.word.take(terms, n, bucket_.ticks(now), detail::tick_scale::length(longest.count())), terms};
  }

  /// As `reserve_within`, and waits: blocks the calling thread, and nobody else, until it may go ahead; by the system's
  /// steady clock, whatever `Clock` is. Returns at once when that would take longer than `timeout`.
  template <class Rep, class Period>
  rate_decision acquire_for(std::chrono::duration<Rep, Period> timeout, std::uint64_t n = 1) {
    return detail::waited(reserve_within(duration{detail::clamped_nanoseconds(timeout)}, n));
  }

  /// What `try_acquire` would answer; takes nothing.
  [[nodiscard]] rate_decision look(std::uint64_t n = 1, time_point now = Clock::now()) const noexcept {
    const detail::gcra_terms terms = bucket_.terms();
    return {bucket_.word.look(terms, n, bucket_.ticks(now)), terms};
  }

  /// Whole tokens that are there now.
  [[nodiscard]] std::uint64_t available(time_point now = Clock::now()) const noexcept {
    return look(0, now).remaining();
  }

  /// Undoes an admission of `n` tokens at `taken` that were not used. What would have flowed in since then had they not
  /// been taken, at most rate * (now - taken), stays lost: the promise holds.
  void give_back(std::uint64_t n, time_point taken, time_point now = Clock::now()) noexcept {
    const std::uint64_t from = bucket_.ticks(taken);
    const std::uint64_t to = bucket_.ticks(now);
    bucket_.word.give_back(bucket_.terms(), n, to > from ? to - from : 0);
  }

  /// Changes both at once: every decision goes by one setting, those that overlap the call by either. What has been
  /// saved or is owed stays, as time: an empty bucket stays empty, a full one is full of what its time is worth at the
  /// new rate, at most the burst. Throws `std::invalid_argument` as the constructor, then nothing has changed.
  /// Wait-free.
  void set_rate(double rate, std::uint64_t burst) {
    bucket_.set(detail::terms_of(options{.rate = rate, .burst = burst}));
  }

  /// As they are after rounding. Wait-free.
  [[nodiscard]] double rate() const noexcept { return bucket_.terms().rate(); }
  [[nodiscard]] std::uint64_t burst() const noexcept { return bucket_.terms().burst(); }

 private:
  detail::gcra_bucket bucket_;
};

}  // namespace banyan
