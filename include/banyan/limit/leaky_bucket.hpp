#pragma once

#include <chrono>
#include <cstdint>

#include <banyan/core/clock.hpp>
#include <banyan/limit/detail/gcra_bucket.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/rate_decision.hpp>

namespace banyan {

struct leaky_bucket_options {
  double rate = 0;          ///< tokens a second; above 0, at most 1e15
  std::uint64_t queue = 1;  ///< how many may be waiting or going; from 1 to 2^51, and it empties within two years
};

namespace detail {

inline gcra_terms terms_of(const leaky_bucket_options& options) {
  return checked_terms({"leaky_bucket_options.rate", "leaky_bucket_options.queue"}, options.rate, options.queue);
}

}  // namespace detail

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const leaky_bucket_options& options) { static_cast<void>(detail::terms_of(options)); }

/// Paces: lets one token through every 1/rate, and tells each request how long to wait for its turn. No bursts.
///
///     banyan::leaky_bucket pacer{{.rate = 50, .queue = 100}};
///     if (auto d = pacer.try_acquire()) { sleep_for(d.wait()); send(); } else { drop(); }
///
/// A request of n tokens goes ahead when all before it are through, and then occupies the bucket for n/rate; it is
/// refused when more than `queue` tokens would be waiting or going. Turns are in the order of admission. The queue is
/// a number, nobody is kept in it: who gives up waiting leaves a gap.
///
/// Promised: over any interval of length t, by the clock that is ahead, at most rate * t tokens plus one request go
/// ahead. Precision, progress and thread safety are those of `token_bucket`.
///
/// Source: GCRA, ITU-T I.371 (leaky bucket as a queue). As Guava's RateLimiter without stored permits.
template <class Clock = steady_clock>
class leaky_bucket {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using duration = std::chrono::nanoseconds;
  using options = leaky_bucket_options;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit leaky_bucket(leaky_bucket_options wanted, time_point now = Clock::now())
      : bucket_{detail::terms_of(wanted), detail::clamped_nanoseconds(now)} {}

  leaky_bucket(const leaky_bucket&) = delete;
  leaky_bucket& operator=(const leaky_bucket&) = delete;

  /// Joins the queue if there is room: go ahead after `wait()`. `remaining()`: room left.
  rate_decision try_acquire(std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    return reserve_within(duration::max(), n, now);
  }

  /// As `try_acquire`, but refuses what would have to wait for longer.
  rate_decision reserve_within(duration longest, std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    const detail::gcra_terms terms = bucket_.terms();
    return {bucket_.word.join(terms, n, bucket_.ticks(now), detail::tick_scale::length(longest.count())), terms};
  }

  /// As `reserve_within`, and waits: blocks the calling thread, and nobody else, until it may go ahead; by the system's
  /// steady clock, whatever `Clock` is.
  template <class Rep, class Period>
  rate_decision acquire_for(std::chrono::duration<Rep, Period> timeout, std::uint64_t n = 1) {
    return detail::waited(reserve_within(duration{detail::clamped_nanoseconds(timeout)}, n));
  }

  /// Changes both at once. Who is waiting keeps its turn; what is owed is paid at the rate at which it was taken.
  /// Throws `std::invalid_argument` as the constructor, then nothing has changed. Wait-free.
  void set_rate(double rate, std::uint64_t queue) {
    bucket_.set(detail::terms_of(options{.rate = rate, .queue = queue}));
  }

 private:
  detail::gcra_bucket bucket_;
};

}  // namespace banyan
