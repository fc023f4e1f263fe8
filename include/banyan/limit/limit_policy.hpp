#pragma once

#include <concepts>
#include <cstdint>

namespace banyan {

/// The highest limit there is.
inline constexpr std::uint32_t max_concurrency_limit = (std::uint32_t{1} << 20) - 1;

/// What was seen of the calls that ended within one window.
struct limit_sample {
  double latency = 0;           ///< mean of those that succeeded, in nanoseconds; 0 when none did
  double least_latency = 0;     ///< the shortest of them
  std::uint32_t calls = 0;      ///< how many succeeded
  std::uint32_t drops = 0;      ///< how many were dropped, or took longer than the policy's `timeout()`
  std::uint32_t in_flight = 0;  ///< the most there were at once, as seen by a call when it was admitted
  std::uint64_t random = 0;     ///< random bits, for jitter
};

/// A rule for the limit of a `concurrency_limiter`. All that it remembers is one word, and what a sample does to it is
/// a pure function; so a sample is applied by one compare-exchange, and a policy needs to know nothing of threads. A
/// policy is constructed from its `options`, which it checks (`std::invalid_argument`), and is not changed then.
///
/// - `initial()`: the word to begin with.
/// - `next(word, sample)`: the word after a window; may be called again with another word when somebody was quicker.
/// - `limit(word)`: how many calls at once, from 1 to `max_concurrency_limit`. On every call: should be cheap.
///
/// It may also have `timeout()`, a `std::chrono::nanoseconds`: what took longer counts as dropped, 0 for nothing; and
/// `with_limit(word, limit)`, the word with another limit put in by hand (`concurrency_limiter::set_limit`); and a
/// `static constexpr bool adaptive = false`, then calls are not watched for it, which saves a third of what they cost.
template <class Policy>
concept limit_policy = std::constructible_from<Policy, const typename Policy::options&> &&
    requires(const Policy policy, std::uint64_t word, const limit_sample& sample) {
  { policy.initial() }
  noexcept->std::same_as<std::uint64_t>;
  { policy.next(word, sample) }
  noexcept->std::same_as<std::uint64_t>;
  { policy.limit(word) }
  noexcept->std::same_as<std::uint32_t>;
};

}  // namespace banyan
