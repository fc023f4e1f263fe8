#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/limit_bounds.hpp>
#include <banyan/limit/detail/limit_estimate.hpp>
#include <banyan/limit/limit_policy.hpp>

namespace banyan {

/// Compares the latency of each window with a baseline, for `concurrency_limiter`:
///
///     gradient = clamp(tolerance * baseline / latency, 0.5, 1)
///     limit   += smoothing * (queue_size)               when the gradient is 1
///     limit   -= smoothing * limit * (1 - gradient)     when it is less
///     limit   *= backoff                                after more drops than `drops_tolerated`
///
/// Windows with more drops do not move the baseline, and end a probe: what gets through then is few, and not like the
/// rest. The limit does not change while less than half of it is used. The baseline is an exponential average over
/// `long_window` windows, after the mean of the first ten. What is added to the published rule:
///
/// - Published, the baseline follows any latency, also that of the queue the limit itself has made; under lasting
///   overload both rise together to the maximum. Here it follows upwards only while less than half of the limit is
///   used. About every `probe_every` windows in which the limit was used, `probe_share` of it is given out for two
///   windows: the queue runs empty in the first, the baseline is set to what the second one shows, to a
///   part if that is lower and of fewer than 50 calls. If the limit is x
///   times what the service takes, the next one will be max(tolerance, tolerance * probe_share * x) times: it comes
///   down as long as tolerance * probe_share < 1.
/// - Published, `queue_size` is added whatever the gradient, which makes a limit below queue_size / (1 - gradient) grow
///   although it is too high. Here only when the gradient is 1.
/// - Published, drops count for nothing; a service that only times out after a constant time looks well.
///
/// `.probe_every = 0, .drops_tolerated = 1` is the published rule.
///
/// All functions are O(1), wait-free and thread-safe; the constructor throws `std::invalid_argument`.
///
/// Source: Gradient2Limit of Netflix's concurrency-limits, its pull request 134 and issue 137; measuring at a reduced
/// limit: Envoy's adaptive concurrency filter.
class gradient2 {
 public:
  struct options {
    std::uint32_t initial = 0;        ///< 0: 20, or the nearest within the bounds
    std::uint32_t min = 20;           ///< from 1; no less than the workers there surely are: drops lower it to that
    std::uint32_t max = 200;          ///< at most `max_concurrency_limit`
    double queue_size = 4;            ///< what the limit grows by, before smoothing; above 0, at most 1000
    double tolerance = 1.5;           ///< times the baseline that is taken for normal; from 1 to 1000
    double smoothing = 0.2;           ///< part of the change that is made; from 0.01 to 1
    std::uint32_t long_window = 600;  ///< windows; from 1 to 1,000,000
    /// Windows from one probe to the next, up to half of them taken off at random; from 2 to 4000, or 0: never.
    std::uint32_t probe_every = 60;
    double probe_share = 0.5;             ///< of the limit; above 0, and below 1 / tolerance
    double backoff = 0.9;                 ///< from 0.5, below 1
    double drops_tolerated = 0.01;        ///< part of the calls; from 0 to 1
    std::chrono::nanoseconds timeout{0};  ///< what takes longer counts as dropped; 0: nothing
  };

  explicit gradient2(const options& wanted) : options_{wanted} {
    detail::check_limit_bounds("gradient2", wanted.initial, wanted.min, wanted.max);
    const auto range = [](const char* field, double value, bool good, const char* rule) {
      if (!good) invalid_option(field, value, rule);
    };
    range("gradient2::options.queue_size", wanted.queue_size, wanted.queue_size > 0 && wanted.queue_size <= 1000,
          "must be above 0, at most 1000");
    range("gradient2::options.tolerance", wanted.tolerance, wanted.tolerance >= 1 && wanted.tolerance <= 1000,
          "must be from 1 to 1000");
    range("gradient2::options.smoothing", wanted.smoothing, wanted.smoothing >= 0.01 && wanted.smoothing <= 1,
          "must be from 0.01 to 1");
    range("gradient2::options.long_window", wanted.long_window,
          wanted.long_window >= 1 && wanted.long_window <= 1'000'000, "must be from 1 to 1000000");
    range("gradient2::options.probe_every", wanted.probe_every,
          wanted.probe_every == 0 || (wanted.probe_every >= 2 && wanted.probe_every <= 4000),
          "must be 0 or from 2 to 4000");
    range("gradient2::options.probe_share", wanted.probe_share,
          wanted.probe_every == 0 || (wanted.probe_share > 0 && wanted.probe_share * wanted.tolerance < 1),
          "must be above 0, and below 1 / tolerance");
    range("gradient2::options.backoff", wanted.backoff, wanted.backoff >= 0.5 && wanted.backoff < 1,
          "must be from 0.5, below 1");
    detail::check_drops_tolerated("gradient2", wanted.drops_tolerated);
    detail::check_limit_timeout("gradient2", wanted.timeout);
    probe_at_ = wanted.probe_every == 0 ? estimate::most_count + 1 : warm_up + wanted.probe_every;
    share_ = wanted.probe_every == 0 ? 0 : static_cast<std::uint64_t>(wanted.probe_share * 0x1p32);
  }

  [[nodiscard]] std::uint64_t initial() const noexcept {
    const auto first = detail::first_limit(options_.initial, options_.min, options_.max);
    return estimate{static_cast<double>(first), 0, 0}.word();
  }

  [[nodiscard]] std::uint64_t next(std::uint64_t word, const limit_sample& sample) const noexcept {
    estimate e = estimate::from(word);
    const std::uint32_t phase = e.count;
    if (detail::too_many_drops(sample, options_.drops_tolerated)) {
      e.limit = bounded(e.limit * options_.backoff);
      if (phase >= probe_at_) e.count = after_probe(sample.random);
      return e.word();
    }
    if (sample.calls == 0) return e.word();

    const double latency = estimate::rounded(sample.latency);
    const bool idle = static_cast<double>(sample.in_flight) < e.limit / 2;
    if (phase >= probe_at_) {
      if (phase == probe_at_) {  // what was in flight before is out now
        e.count = phase + 1;
      } else {
        // Twice at most: it may be an outlier.
        e.latency =
            latency < e.latency ? detail::lowered(e.latency, latency, sample.calls) : std::min(latency, 2 * e.latency);
        e.count = after_probe(sample.random);
      }
      return e.word();
    }

    const double baseline = follow(e, latency, idle);
    if (phase >= warm_up && probe_at_ <= estimate::most_count) {
      e.count = phase + 1;
      // Nothing to find out when the part of the limit that a probe leaves is all that was in use.
      if (e.count == probe_at_ && sample.in_flight < probing_limit(e.word())) e.count = after_probe(sample.random);
    }
    if (idle) return e.word();

    const double gradient = std::clamp(options_.tolerance * baseline / latency, 0.5, 1.0);
    const bool room = gradient == 1 || options_.probe_every == 0;
    const double change = e.limit * (gradient - 1) + (room ? options_.queue_size : 0);
    e.limit = bounded(e.limit + options_.smoothing * change);
    return e.word();
  }

  [[nodiscard]] std::uint32_t limit(std::uint64_t word) const noexcept {
    if (estimate::count_in(word) < probe_at_) [[likely]] {
      return estimate::limit_in(word);
    }
    return probing_limit(word);
  }
  [[nodiscard]] std::uint64_t with_limit(std::uint64_t word, std::uint32_t limit) const noexcept {
    estimate e = estimate::from(word);
    e.limit = bounded(limit);
    return e.word();
  }
  [[nodiscard]] std::chrono::nanoseconds timeout() const noexcept { return options_.timeout; }

  /// The latency that is taken for normal, in nanoseconds; 0 before the first window.
  [[nodiscard]] double baseline(std::uint64_t word) const noexcept { return estimate::from(word).latency; }
  /// Whether the limit is lowered for now, to measure.
  [[nodiscard]] bool probing(std::uint64_t word) const noexcept { return estimate::count_in(word) >= probe_at_; }

 private:
  using estimate = detail::limit_estimate;  // its count: below `warm_up`, windows averaged; then windows since a probe
  static constexpr std::uint32_t warm_up = 10;

  [[nodiscard]] double bounded(double limit) const noexcept {
    return std::clamp(limit, static_cast<double>(options_.min), static_cast<double>(options_.max));
  }

  [[nodiscard]] std::uint32_t after_probe(std::uint64_t random) const noexcept {
    return warm_up + static_cast<std::uint32_t>((random >> 32) * (options_.probe_every / 2) >> 32);
  }

  [[nodiscard]] std::uint32_t probing_limit(std::uint64_t word) const noexcept {
    return std::max<std::uint32_t>(1, static_cast<std::uint32_t>((word >> 44) * share_ >> 32));
  }

  // Moves the baseline, and tells the one to compare with.
  [[nodiscard]] double follow(estimate& e, double latency, bool idle) const noexcept {
    if (e.count < warm_up) {
      e.latency += (latency - e.latency) / (e.count + 1);
      ++e.count;
      return e.latency;
    }
    if (latency <= e.latency || idle || options_.probe_every == 0) {
      e.latency += (latency - e.latency) * 2 / (static_cast<double>(options_.long_window) + 1);
    }
    const double baseline = e.latency;
    if (baseline > 2 * latency) e.latency *= 0.95;  // back from overload: need not wait for the average
    return baseline;
  }

  options options_;
  std::uint32_t probe_at_ = 0;  // from this count on it probes
  std::uint64_t share_ = 0;     // of 2^32
};

static_assert(limit_policy<gradient2>);

}  // namespace banyan
