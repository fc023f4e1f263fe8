#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include <banyan/core/clock.hpp>
#include <banyan/core/detail/add_sat.hpp>
#include <banyan/core/duration_histogram.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/product_limit.hpp>
#include <banyan/limit/detail/slotted_counts.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/retry_budget.hpp>
#include <banyan/limit/retry_throttle.hpp>

namespace banyan {

struct hedge_options {
  double percentile = 0.95;         ///< a second attempt when the first takes longer than so many; from 0.01 to 0.9999
  double max_extra = 0.05;          ///< second attempts for each request; from 0 to 1
  double min_per_second = 0;        ///< ... and so many besides, for who sends few requests; from 0 to 1e6
  std::uint64_t min_samples = 100;  ///< no second attempts before so many latencies; from 1 to 1e9
  std::chrono::nanoseconds window = std::chrono::seconds{10};         ///< what counts, counts so long; from 1 to 60 s
  std::chrono::nanoseconds min_delay = std::chrono::milliseconds{1};  ///< not earlier than this; from 0 to 1 h
  retry_throttle_options throttle{};                                  ///< none while too many calls fail
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const hedge_options& options) {
  if (!(options.percentile >= 0.01 && options.percentile <= 0.9999))
    invalid_option("hedge_options.percentile", options.percentile, "must be from 0.01 to 0.9999");
  if (!(options.max_extra >= 0 && options.max_extra <= 1))
    invalid_option("hedge_options.max_extra", options.max_extra, "must be from 0 to 1");
  if (!(options.min_per_second >= 0 && options.min_per_second <= 1e6))
    invalid_option("hedge_options.min_per_second", options.min_per_second, "must be from 0 to 1e6");
  if (options.min_samples == 0 || options.min_samples > 1'000'000'000)
    invalid_option("hedge_options.min_samples", options.min_samples, "must be from 1 to 1e9");
  if (options.window < std::chrono::seconds{1} || options.window > std::chrono::seconds{60})
    invalid_option("hedge_options.window", options.window.count(), "must be from 1 s to 60 s");
  if (options.min_delay < std::chrono::nanoseconds{0} || options.min_delay > std::chrono::hours{1})
    invalid_option("hedge_options.min_delay", options.min_delay.count(), "must be from 0 to 1 h");
}

struct hedge_stats {
  std::uint64_t sent = 0;     ///< second attempts
  std::uint64_t won = 0;      ///< those that came back first: when there are few, hedging only costs
  std::uint64_t refused = 0;  ///< what was not sent, for want of budget, because too many fail, or by pushback
};

/// When to send a request for a second time, elsewhere, because the first attempt is slower than most: a few more
/// requests take the tail off the latencies. Only for requests that may be done twice.
///
///     banyan::hedge reads{{.percentile = 0.95, .max_extra = 0.05}};
///     const auto delay = reads.request();                  // once for each request
///     // send; when there is no answer after *delay:
///     if (reads.try_send()) ...                            // send again, elsewhere
///     reads.succeeded(latency);                            // of the first attempt; or overtaken, timed_out, failed
///
/// `hedged_call` does all that. This is the decision alone, for those who have an event loop: see `hedge_race`.
///
/// - The delay is the percentile of the latencies of the last `window`, from four fifths of it to the whole, looked at
///   anew fifty times a window; never less than they are, and up to 25 % more (`duration_distribution`).
/// - Second attempts stay within max_extra * requests + min_per_second * window over any window (`retry_budget`). So
///   when everything is slow, they add that to the load and no more.
/// - There are none while too many calls fail (`retry_throttle`), nor as long as the server says (`pushback`).
/// - Of an attempt that was overtaken, or given up, it is known that it takes longer than it had run, and so it counts
///   (`product_limit_quantile`). Not counting it, or as having ended there, would pull the delay down, and with it ever
///   more requests would be sent twice.
///
/// Thread-safe; all operations are lock-free and O(1), but for the look at the latencies. An older `now` than a window
/// ago counts for nothing. About 14 KB.
///
/// Sources: J. Dean, L. Barroso, "The tail at scale", CACM 56(2), 2013; Finagle's BackupRequestFilter; gRPC proposal
/// A6.
template <class Clock = steady_clock>
class basic_hedge {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using duration = std::chrono::nanoseconds;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit basic_hedge(hedge_options wanted = {}, time_point now = Clock::now())
      : options_{checked(wanted)},
        begin_{detail::clamped_nanoseconds(now)},
        budget_{{.ratio = wanted.max_extra, .min_per_second = wanted.min_per_second, .window = wanted.window}, now},
        throttle_{wanted.throttle} {}

  basic_hedge(const basic_hedge&) = delete;
  basic_hedge& operator=(const basic_hedge&) = delete;

  /// A request is sent for the first time: the budget grows. Returns `delay`.
  std::optional<duration> request(time_point now = Clock::now()) noexcept {
    budget_.request(now);
    return delay(now);
  }

  /// After how long a second attempt is worth it; none as long as too little is known.
  [[nodiscard]] std::optional<duration> delay(time_point now = Clock::now()) noexcept {
    const std::uint64_t look = since(now) / static_cast<std::uint64_t>(options_.window.count() / looks) + 1;
    std::uint64_t seen = looked_.load(std::memory_order_relaxed);
    if (seen < look && looked_.compare_exchange_strong(seen, look, std::memory_order_relaxed)) {
      // This thread has it to do. Should it stop here, the others go by the old delay until the next look is due.
      delay_.store(measured(slot(now)), std::memory_order_relaxed);
    }
    const std::int64_t known = delay_.load(std::memory_order_relaxed);
    return known == unknown ? std::nullopt : std::optional{duration{known}};
  }

  /// Whether the second attempt may be sent; if so, it is counted.
  [[nodiscard]] bool try_send(time_point now = Clock::now()) noexcept {
    const bool may = detail::clamped_nanoseconds(now) >= held_until_.load(std::memory_order_relaxed) &&
                     throttle_.may_retry() && budget_.try_retry(now);
    (may ? sent_ : refused_).fetch_add(1, std::memory_order_relaxed);
    return may;
  }

  /// The first attempt brought its result, after `latency`.
  void succeeded(duration latency, time_point now = Clock::now()) noexcept {
    ended_.add(slot(now), duration_distribution::class_of(latency));
    throttle_.succeeded();
  }

  /// A later attempt brought the result, when the first had been running for `elapsed`.
  void overtaken(duration elapsed, time_point now = Clock::now()) noexcept {
    won_.fetch_add(1, std::memory_order_relaxed);
    beyond_.add(slot(now), duration_distribution::class_of(elapsed));
    throttle_.succeeded();
  }

  /// Nobody waits any more, after `elapsed`.
  void timed_out(duration elapsed, time_point now = Clock::now()) noexcept {
    beyond_.add(slot(now), duration_distribution::class_of(elapsed));
    throttle_.failed();
  }

  /// An attempt failed in a way that is the server's fault. How fast it failed tells nothing.
  void failed() noexcept { throttle_.failed(); }

  /// The server asked for no second attempts for so long: gRPC's `grpc-retry-pushback-ms`, HTTP's `Retry-After`. It
  /// cannot be made shorter; 0 and less are ignored.
  void pushback(duration length, time_point now = Clock::now()) noexcept {
    if (length.count() <= 0) return;
    const std::int64_t until = detail::add_sat(detail::clamped_nanoseconds(now), length.count());
    // The number is all that is shared, so relaxed will do.
    std::int64_t seen = held_until_.load(std::memory_order_relaxed);
    while (seen < until && !held_until_.compare_exchange_weak(seen, until, std::memory_order_relaxed)) {
    }
  }

  /// Since construction; each number for itself. Wait-free.
  [[nodiscard]] hedge_stats stats() const noexcept {
    return {sent_.load(std::memory_order_relaxed), won_.load(std::memory_order_relaxed),
            refused_.load(std::memory_order_relaxed)};
  }

 private:
  using counts = detail::slotted_counts<duration_distribution::classes>;
  static constexpr std::int64_t looks = 50;  // in a window
  static constexpr std::int64_t unknown = -1;

  static const hedge_options& checked(const hedge_options& options) {
    check(options);
    return options;
  }

  [[nodiscard]] std::uint64_t since(time_point now) const noexcept {
    const std::int64_t nanoseconds = detail::clamped_nanoseconds(now);
    if (nanoseconds <= begin_) return 0;
    return static_cast<std::uint64_t>(nanoseconds) - static_cast<std::uint64_t>(begin_);
  }

  [[nodiscard]] std::uint32_t slot(time_point now) const noexcept {
    const auto length = static_cast<std::uint64_t>(options_.window.count()) / counts::slots;
    const std::uint64_t number = since(now) / length + counts::slots;
    constexpr std::uint32_t last = std::numeric_limits<std::uint32_t>::max() - counts::slots;
    return number < last ? static_cast<std::uint32_t>(number) : last;
  }

  [[nodiscard]] std::int64_t measured(std::uint32_t at) const noexcept {
    duration_distribution ended;
    duration_distribution beyond;
    for (std::size_t i = 0; i < duration_distribution::classes; ++i) {
      ended.add_to_class(i, ended_.sum(at, i));
      beyond.add_to_class(i, beyond_.sum(at, i));
    }
    if (ended.count() + beyond.count() < options_.min_samples) return unknown;
    const duration found = detail::product_limit_quantile(ended, beyond, options_.percentile);
    return found > options_.min_delay ? found.count() : options_.min_delay.count();
  }

  hedge_options options_;
  std::int64_t begin_;
  basic_retry_budget<Clock> budget_;
  retry_throttle throttle_;
  counts ended_{};
  counts beyond_{};  // took longer than this
  std::atomic<std::uint64_t> looked_{0};
  std::atomic<std::int64_t> delay_{unknown};
  std::atomic<std::int64_t> held_until_{std::numeric_limits<std::int64_t>::min()};
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> won_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// See `basic_hedge`.
using hedge = basic_hedge<>;

}  // namespace banyan
