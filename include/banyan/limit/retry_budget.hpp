#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

#include <banyan/core/clock.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/budget_slots.hpp>
#include <banyan/limit/detail/tick_scale.hpp>

namespace banyan {

struct retry_budget_options {
  double ratio = 0.2;          ///< retries for each request; from 0 to 1,000
  double min_per_second = 10;  ///< ... and so many besides, for who sends few requests; from 0 to 1e6
  std::chrono::nanoseconds window = std::chrono::seconds{10};  ///< requests count for so long; from 1 to 60 s
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const retry_budget_options& options) {
  if (!(options.ratio >= 0 && options.ratio <= 1000))
    invalid_option("retry_budget_options.ratio", options.ratio, "must be from 0 to 1000");
  if (!(options.min_per_second >= 0 && options.min_per_second <= 1e6))
    invalid_option("retry_budget_options.min_per_second", options.min_per_second, "must be from 0 to 1e6");
  if (options.window < std::chrono::seconds{1} || options.window > std::chrono::seconds{60})
    invalid_option("retry_budget_options.window", options.window.count(), "must be from 1 s to 60 s");
}

/// Lets a client retry a part of its requests and no more, so that a service in trouble does not get several times its
/// load.
///
///     banyan::retry_budget budget{{.ratio = 0.1, .min_per_second = 10}};
///     budget.request();                        // once for each request, not for its retries
///     while (!call() && budget.try_retry()) ...
///
/// Promised: over any `window`, by the clock that is ahead and to a tenth of it, at most
/// ratio * requests + min_per_second * window retries. The ratio is rounded down to a fraction, by a thousandth at
/// most.
///
/// Thread-safe. Lock-free; `request` O(1), `try_retry` looks at ten words. A request with an older `now` than a whole
/// window ago counts for nothing. Thirteen years after construction time stands still for it.
///
/// Source: the rules of Finagle's RetryBudget.
template <class Clock = steady_clock>
class basic_retry_budget {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit basic_retry_budget(retry_budget_options wanted = {}, time_point now = Clock::now())
      : begin_{(check(wanted), detail::clamped_nanoseconds(now))},
        slot_length_{wanted.window.count() / static_cast<std::int64_t>(detail::budget_slots::count)} {
    // The ratio as a fraction of small numbers, not above it: a request deposits the numerator, a retry withdraws the
    // denominator.
    if (wanted.ratio > 0 && wanted.ratio < 1e-3) {
      const double requests = std::ceil(1 / wanted.ratio - 1e-6);
      if (requests < detail::budget_slots::most) {
        deposit_ = 1;
        withdrawal_ = static_cast<std::int64_t>(requests);
      }
    } else if (wanted.ratio > 0) {
      double best = 0;
      for (std::int64_t retries = 1; retries <= 10'000 && best < wanted.ratio * (1 - 1e-4); ++retries) {
        const double requests = std::floor(wanted.ratio * static_cast<double>(retries) + 1e-9);
        if (requests / static_cast<double>(retries) <= best) continue;
        best = requests / static_cast<double>(retries);
        deposit_ = static_cast<std::int64_t>(requests);
        withdrawal_ = retries;
      }
    }
    const double window = std::chrono::duration<double>(wanted.window).count();
    reserve_ = static_cast<std::int64_t>(std::floor(wanted.min_per_second * window + 1e-9)) * withdrawal_;
  }

  basic_retry_budget(const basic_retry_budget&) = delete;
  basic_retry_budget& operator=(const basic_retry_budget&) = delete;

  /// A request was sent for the first time.
  void request(time_point now = Clock::now()) noexcept { slots_.put(slot(now), deposit_); }

  /// Whether it may be sent again; if so, the retry is counted.
  [[nodiscard]] bool try_retry(time_point now = Clock::now()) noexcept {
    return slots_.take(slot(now), withdrawal_, reserve_);
  }

  /// How many retries there are now.
  [[nodiscard]] std::int64_t balance(time_point now = Clock::now()) const noexcept {
    const std::int64_t left = reserve_ + slots_.sum(slot(now));
    return left > 0 ? left / withdrawal_ : 0;
  }

 private:
  // From one window on, so that slot 0, which the empty words have, is over.
  [[nodiscard]] std::uint32_t slot(time_point now) const noexcept {
    const std::int64_t nanoseconds = detail::clamped_nanoseconds(now);
    if (nanoseconds <= begin_) return detail::budget_slots::count;
    const std::uint64_t since = static_cast<std::uint64_t>(nanoseconds) - static_cast<std::uint64_t>(begin_);
    const std::uint64_t number = since / static_cast<std::uint64_t>(slot_length_) + detail::budget_slots::count;
    constexpr std::uint32_t last = std::numeric_limits<std::uint32_t>::max() - detail::budget_slots::count;
    return number < last ? static_cast<std::uint32_t>(number) : last;
  }

  std::int64_t begin_;
  std::int64_t slot_length_;
  std::int64_t deposit_ = 0;
  std::int64_t withdrawal_ = 1;
  std::int64_t reserve_ = 0;
  detail::budget_slots slots_;
};

using retry_budget = basic_retry_budget<>;

}  // namespace banyan
