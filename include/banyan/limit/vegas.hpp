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

/// Keeps the estimated queue short, for `concurrency_limiter`. Of `limit` calls in flight, limit * (1 - least /
/// latency) are taken to be waiting, where `least` is the latency without load. With l = max(1, floor(log10(limit))):
/// at most `threshold` * l waiting, the limit grows by `beta` * l; fewer than `alpha` * l, by l; more than `beta` * l,
/// it shrinks by l, as it does after any window in which more than `drops_tolerated` was dropped. Between, it stays.
///
/// `least` is the lowest of all windows, and measured anew every `probe_every` windows with up to half of that taken
/// off at random. As published, it is then what is measured under the load there is: should it be high at that moment,
/// the limit is too until the next time. `gradient2` makes room first. Windows with more drops tell nothing about it:
/// what gets through then is few, and not like the rest. Of fewer than 50 calls only a part of a fall is believed.
///
/// All functions are O(1), wait-free and thread-safe; the constructor throws `std::invalid_argument`.
///
/// Source: L. Brakmo, L. Peterson, "TCP Vegas: end to end congestion avoidance on a global Internet", 1995; the rule:
/// VegasLimit of Netflix's concurrency-limits (which counts calls to the next probe, 30 * limit of them; here windows).
class vegas {
 public:
  struct options {
    std::uint32_t initial = 0;            ///< 0: 20, or the nearest within the bounds
    std::uint32_t min = 1;                ///< from 1; no less than the workers there surely are
    std::uint32_t max = 1000;             ///< at most `max_concurrency_limit`
    double threshold = 1;                 ///< from 0
    double alpha = 3;                     ///< at least `threshold`
    double beta = 6;                      ///< at least `alpha`
    double drops_tolerated = 0.01;        ///< part of the calls; from 0 to 1
    double smoothing = 1;                 ///< part of the change that is made; above 0, at most 1
    std::uint32_t probe_every = 600;      ///< windows; from 2 to 4000
    std::chrono::nanoseconds timeout{0};  ///< what takes longer counts as dropped; 0: nothing
  };

  explicit vegas(const options& wanted) : options_{wanted} {
    detail::check_limit_bounds("vegas", wanted.initial, wanted.min, wanted.max);
    const auto queue = [](const char* field, double value, double least, const char* rule) {
      if (!(value >= least && value <= max_concurrency_limit)) invalid_option(field, value, rule);
    };
    queue("vegas::options.threshold", wanted.threshold, 0, "must be from 0 to 1048575");
    queue("vegas::options.alpha", wanted.alpha, wanted.threshold, "must be from threshold to 1048575");
    queue("vegas::options.beta", wanted.beta, wanted.alpha, "must be from alpha to 1048575");
    detail::check_limit_ratio("vegas::options.smoothing", wanted.smoothing, 0, false, "must be above 0, at most 1");
    if (wanted.probe_every < 2 || wanted.probe_every > 4000)
      invalid_option("vegas::options.probe_every", wanted.probe_every, "must be from 2 to 4000");
    detail::check_drops_tolerated("vegas", wanted.drops_tolerated);
    detail::check_limit_timeout("vegas", wanted.timeout);
  }

  [[nodiscard]] std::uint64_t initial() const noexcept {
    const auto first = detail::first_limit(options_.initial, options_.min, options_.max);
    return estimate{static_cast<double>(first), 0, 0}.word();
  }

  [[nodiscard]] std::uint64_t next(std::uint64_t word, const limit_sample& sample) const noexcept {
    estimate e = estimate::from(word);  // its count: windows to the next probe, 0 when none has been yet
    if (detail::too_many_drops(sample, options_.drops_tolerated)) return changed(e, -1).word();
    if (sample.calls == 0) return e.word();
    const double latency = estimate::rounded(sample.latency);
    if (e.count <= 1 || e.latency == 0) {
      const std::uint32_t half = options_.probe_every / 2;
      e.count = options_.probe_every - static_cast<std::uint32_t>((sample.random >> 32) * half >> 32);
      e.latency = latency < e.latency ? detail::lowered(e.latency, latency, sample.calls) : latency;
      return e.word();
    }
    --e.count;
    if (latency < e.latency) {
      e.latency = detail::lowered(e.latency, latency, sample.calls);
      return e.word();
    }
    if (static_cast<double>(sample.in_flight) * 2 < e.limit) return e.word();
    const double queue = std::ceil(e.limit * (1 - e.latency / latency));
    const double scale = log10_of(e.limit);
    if (queue <= options_.threshold * scale) return changed(e, options_.beta).word();
    if (queue < options_.alpha * scale) return changed(e, 1).word();
    if (queue > options_.beta * scale) return changed(e, -1).word();
    return e.word();
  }

  [[nodiscard]] std::uint32_t limit(std::uint64_t word) const noexcept { return estimate::limit_in(word); }
  [[nodiscard]] std::uint64_t with_limit(std::uint64_t word, std::uint32_t limit) const noexcept {
    estimate e = estimate::from(word);
    e.limit = std::clamp(limit, options_.min, options_.max);
    return e.word();
  }
  [[nodiscard]] std::chrono::nanoseconds timeout() const noexcept { return options_.timeout; }

 private:
  using estimate = detail::limit_estimate;

  static double log10_of(double limit) noexcept { return std::max(1.0, std::floor(std::log10(std::floor(limit)))); }

  [[nodiscard]] estimate changed(estimate e, double steps) const noexcept {
    const double wanted = std::clamp(e.limit + steps * log10_of(e.limit), static_cast<double>(options_.min),
                                     static_cast<double>(options_.max));
    e.limit += (wanted - e.limit) * options_.smoothing;
    return e;
  }

  options options_;
};

static_assert(limit_policy<vegas>);

}  // namespace banyan
