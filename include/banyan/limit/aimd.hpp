#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/limit_bounds.hpp>
#include <banyan/limit/limit_policy.hpp>

namespace banyan {

/// Additive increase, multiplicative decrease, for `concurrency_limiter`: one more after a window in which the limit
/// was used by half at least, `backoff` times the limit after one in which more than `drops_tolerated` was dropped (the
/// published rule goes call by call, +1 or times `backoff`, which also bears a few drops). It goes by failures only, so
/// it finds a limit by going over it; take it where overload shows as errors or timeouts.
///
/// All functions are O(1), wait-free and thread-safe; the constructor throws `std::invalid_argument`.
///
/// Source: D. Chiu, R. Jain, "Analysis of the increase and decrease algorithms for congestion avoidance in computer
/// networks", 1989; figures and the rule of use by half: AIMDLimit of Netflix's concurrency-limits.
class aimd {
 public:
  struct options {
    std::uint32_t initial = 0;                                   ///< 0: 20, or the nearest within the bounds
    std::uint32_t min = 20;                                      ///< from 1; no less than the workers there surely are
    std::uint32_t max = 200;                                     ///< at most `max_concurrency_limit`
    double backoff = 0.9;                                        ///< from 0.5, below 1
    double drops_tolerated = 0.01;                               ///< part of the calls; from 0 to 1
    std::chrono::nanoseconds timeout = std::chrono::seconds{5};  ///< what takes longer counts as dropped; 0: nothing
  };

  explicit aimd(const options& wanted) : options_{wanted} {
    detail::check_limit_bounds("aimd", wanted.initial, wanted.min, wanted.max);
    if (!(wanted.backoff >= 0.5 && wanted.backoff < 1))
      invalid_option("aimd::options.backoff", wanted.backoff, "must be from 0.5, below 1");
    detail::check_drops_tolerated("aimd", wanted.drops_tolerated);
    detail::check_limit_timeout("aimd", wanted.timeout);
  }

  [[nodiscard]] std::uint64_t initial() const noexcept {
    return detail::first_limit(options_.initial, options_.min, options_.max);
  }

  [[nodiscard]] std::uint64_t next(std::uint64_t word, const limit_sample& sample) const noexcept {
    std::uint32_t limit = this->limit(word);
    if (detail::too_many_drops(sample, options_.drops_tolerated)) {
      limit = static_cast<std::uint32_t>(static_cast<double>(limit) * options_.backoff);
    } else if (std::uint64_t{sample.in_flight} * 2 >= limit) {
      ++limit;
    }
    return with_limit(word, limit);
  }

  [[nodiscard]] std::uint32_t limit(std::uint64_t word) const noexcept { return static_cast<std::uint32_t>(word); }
  [[nodiscard]] std::uint64_t with_limit(std::uint64_t, std::uint32_t limit) const noexcept {
    return std::clamp(limit, options_.min, options_.max);
  }
  [[nodiscard]] std::chrono::nanoseconds timeout() const noexcept { return options_.timeout; }

 private:
  options options_;
};

static_assert(limit_policy<aimd>);

}  // namespace banyan
