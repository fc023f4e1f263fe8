#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/circuit_breaker_options.hpp>
#include <banyan/session/session_failure.hpp>

namespace banyan {

/// Options of a `session_store`. Times are kept to the millisecond.
struct session_options {
  /// A session that nobody used for so long is gone. From 1 ms to ten years.
  std::chrono::milliseconds ttl = std::chrono::minutes{30};
  /// It is gone so long after it began, however much it was used. From `ttl` to ten years.
  std::chrono::milliseconds max_lifetime = std::chrono::hours{24 * 7};
  /// A load moves the expiry forward if that is more than so much: so most loads write nothing. None: a tenth of `ttl`.
  /// From 0, less than `ttl`.
  std::optional<std::chrono::milliseconds> renew_after = std::nullopt;
  /// A session of more bytes is refused. From 1 to 2^30.
  std::size_t max_bytes = 64 << 10;
  /// While the backend is away, a session that this store has seen not longer ago than this is served from memory,
  /// marked stale; it may meanwhile have been destroyed elsewhere. 0: it is refused. From 0 to ten years.
  std::chrono::milliseconds stale_for{0};
  /// So many sessions are remembered for that, the least recently used leave. From 1 to 2^27.
  std::size_t stale_capacity = 10'000;
  /// How often `update` and `destroy` try, until nobody else is first. From 1 to 1,000.
  std::size_t update_attempts = 16;
  /// Stops asking a backend that is away, so that callers hear so at once. None: it is always asked.
  std::optional<circuit_breaker_options> breaker = circuit_breaker_options{
      .failure_rate = 0.5, .window = 20, .min_calls = 10, .open_for = std::chrono::seconds{5}, .probes = 2};
  /// Told of each call of the backend that failed, for your log; not of calls that the breaker refuses, its `on_change`
  /// tells when that begins. By the thread that called, in no lock: it may use the store, and is
  /// then told of that as well, from within. What it throws is lost.
  std::function<void(const session_failure&)> on_failure{};
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const session_options& options) {
  constexpr std::chrono::milliseconds most = std::chrono::hours{24 * 3653};
  if (options.ttl.count() < 1 || options.ttl > most)
    invalid_option("session_options.ttl", options.ttl.count(), "must be from 1 ms to ten years");
  if (options.max_lifetime < options.ttl || options.max_lifetime > most)
    invalid_option("session_options.max_lifetime", options.max_lifetime.count(), "must be from ttl to ten years");
  if (options.renew_after && (options.renew_after->count() < 0 || *options.renew_after >= options.ttl))
    invalid_option("session_options.renew_after", options.renew_after->count(), "must be from 0, less than ttl");
  if (options.max_bytes < 1 || options.max_bytes > std::size_t{1} << 30)
    invalid_option("session_options.max_bytes", options.max_bytes, "must be from 1 to 2^30");
  if (options.stale_for.count() < 0 || options.stale_for > most)
    invalid_option("session_options.stale_for", options.stale_for.count(), "must be from 0 to ten years");
  if (options.stale_capacity < 1 || options.stale_capacity > std::size_t{1} << 27)
    invalid_option("session_options.stale_capacity", options.stale_capacity, "must be from 1 to 2^27");
  if (options.update_attempts < 1 || options.update_attempts > 1'000)
    invalid_option("session_options.update_attempts", options.update_attempts, "must be from 1 to 1000");
  if (options.breaker) check(*options.breaker);
}

}  // namespace banyan
