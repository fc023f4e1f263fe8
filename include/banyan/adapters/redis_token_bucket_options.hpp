#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <banyan/adapters/redis_reply.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/circuit_breaker_options.hpp>
#include <banyan/limit/detail/gcra_terms.hpp>
#include <banyan/limit/token_bucket_options.hpp>

namespace banyan {

/// Who decides when Redis does not.
enum class redis_fallback {
  refuse,  ///< nobody: all is refused
  admit,   ///< nobody: all is admitted
  local,   ///< this process alone, by buckets of its own
};

struct redis_token_bucket_options {
  double rate = 0;          ///< tokens a second, for each key, of all machines together; above 0, at most 1e15
  std::uint64_t burst = 1;  ///< how many may be there at once; from 1 to 2^51, and it fills within two years
  std::string prefix = "banyan:limit:";  ///< of all keys in Redis; the same on all machines
  std::size_t max_key = 512;             ///< bytes; longer keys are refused (`never`), and Redis is not asked

  /// For a decision: for a connection and the answer together. Above 0, at most a day; kept to a millisecond.
  std::chrono::nanoseconds timeout = std::chrono::milliseconds{50};

  redis_fallback fallback = redis_fallback::local;
  /// Of this process alone, for each key, with `redis_fallback::local`: for instance the above divided by the number of
  /// machines. A rate of 0: the above.
  token_bucket_options local{};
  std::uint64_t local_keys = 100'000;  ///< that are busy at a time, see `keyed_limiter`; 12 bytes each

  /// When Redis is not asked any more, and when again. Calls that took longer than `timeout` are failures.
  circuit_breaker_options breaker{.failure_rate = 0.5,
                                  .window = 20,
                                  .min_calls = 5,
                                  .open_for = std::chrono::seconds{1},
                                  .probes = 1,
                                  .probe_timeout = std::chrono::seconds{5}};

  /// Told why a decision was left to the fallback when Redis was asked; by the thread that asked, in no lock. What it
  /// throws is lost.
  std::function<void(const redis_error&)> on_failure{};
};

/// Throws `std::invalid_argument` when an option is out of its range; those of `breaker`, `local` and `local_keys` are
/// looked at where they are used.
inline void check(const redis_token_bucket_options& options) {
  using detail::gcra_terms;
  if (!(options.rate > 0 && options.rate <= gcra_terms::max_rate))
    invalid_option("redis_token_bucket_options.rate", options.rate, "must be above 0 and at most 1e15");
  if (options.burst == 0 || options.burst > gcra_terms::max_burst)
    invalid_option("redis_token_bucket_options.burst", options.burst, "must be from 1 to 2^51");
  if (!gcra_terms::acceptable(options.rate, options.burst))
    invalid_option("redis_token_bucket_options.rate", options.rate, "must fill the burst within two years");
  if (options.timeout.count() <= 0 || options.timeout > std::chrono::hours{24})
    invalid_option("redis_token_bucket_options.timeout", options.timeout.count(), "must be above 0, at most a day");
  if (options.fallback != redis_fallback::refuse && options.fallback != redis_fallback::admit &&
      options.fallback != redis_fallback::local) {
    invalid_option("redis_token_bucket_options.fallback", static_cast<int>(options.fallback),
                   "must be one of the three");
  }
}

}  // namespace banyan
