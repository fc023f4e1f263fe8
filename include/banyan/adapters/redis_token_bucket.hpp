#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <banyan/adapters/detail/redis_gcra.hpp>
#include <banyan/adapters/redis.hpp>
#include <banyan/adapters/redis_token_bucket_options.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/limit/circuit_breaker.hpp>
#include <banyan/limit/keyed_limiter.hpp>
#include <banyan/limit/rate_decision.hpp>
#include <banyan/limit/token_bucket.hpp>
#include <banyan/pool/connection_pool.hpp>

namespace banyan {

/// A limiter's answer, and who gave it. A value; every operation is O(1) and wait-free.
class redis_rate_decision : public rate_decision {
 public:
  constexpr redis_rate_decision(const rate_decision& decision, bool fallen_back) noexcept
      : rate_decision{decision}, fallen_back_{fallen_back} {}

  /// Redis could not be asked, or gave no answer in time: see `redis_fallback`.
  [[nodiscard]] constexpr bool fallen_back() const noexcept { return fallen_back_; }

 private:
  bool fallen_back_;
};

/// A token bucket for each key that many machines share, kept by Redis.
///
///     banyan::connection_pool<banyan::redis_connection> redis{
///         [] { return banyan::redis_connection::connect({.host = "redis", .connect_timeout = 200ms}); },
///         {.validate = [](auto& c) { return c.is_open(); }, .validate_after = 0ns, .backoff_cap = 1s}};
///     banyan::redis_token_bucket per_client{redis, {.rate = 100, .burst = 20, .local = {.rate = 25, .burst = 5}}};
///     if (auto d = per_client.try_acquire(client)) serve(); else reply_429(d.retry_after());
///
/// Decisions of Redis are those of `token_bucket`, tick by tick, at the time of the server's clock (in whole
/// microseconds); the machines' clocks do not matter. Promised, for each key:
///
/// - While Redis decides: over any interval of length t, at most burst + rate * t tokens, of all machines together. One
///   more burst each time Redis loses the key: a restart without its data, a failover to a replica that had not heard
///   of it yet, eviction (`maxmemory-policy`), FLUSHALL. Where the server's clock jumps forward, what flows in during
///   the jump, at most a burst; where it goes back, the key is refused until the clock has caught up, or for as long as
///   the burst takes to fill, whichever is less, and in the latter case the way forward again may give another burst.
/// - With the fallback `local`, besides: local.burst + local.rate * t for each process (as `keyed_limiter` promises),
/// in
///   whatever mixture of the two. With `local` a share of 1/m for each of m processes: what was promised, when all of
///   them are cut off for all of the interval; at most twice that, whatever happens.
/// - With `refuse` nothing else is admitted, with `admit` everything.
/// - Not fewer, except that an answer that was lost or late may have been counted by Redis as well as by the fallback.
///
/// A decision takes one round trip; two when the server does not have the script, which it then keeps. It takes
/// `options.timeout` at most, kept to a millisecond, and then the fallback decides. A circuit breaker counts failures:
/// once it is open Redis is not asked, at no cost but the breaker's; after `breaker.open_for` one call tries again.
/// Answers such as OOM, READONLY, LOADING or MOVED are failures as well; a key that holds something else (WRONGTYPE) is
/// one for that call alone, and does not open the breaker.
///
/// Thread-safe. Blocks on the pool and on the server, no longer than said. Throws `std::bad_alloc`. The pool must
/// outlive it. Buckets of the same prefix share their keys: all machines must use the same rate and burst, but may be
/// changed one after the other, as what a bucket has saved is kept as time (see `token_bucket::set_rate`).
///
/// Sources: GCRA, ITU-T I.371; as a script in Redis with the server's clock: redis-cell, and many others.
class redis_token_bucket {
 public:
  using clock = steady_clock;
  using time_point = clock::time_point;
  using duration = std::chrono::nanoseconds;
  using options = redis_token_bucket_options;
  using pool = connection_pool<redis_connection>;

  /// Who decided, and how often Redis was asked in vain.
  struct counts {
    std::uint64_t by_redis = 0;
    std::uint64_t by_fallback = 0;
    std::uint64_t failures = 0;
  };

  /// Throws `std::invalid_argument` when an option is out of its range, and `std::bad_alloc`. Does not ask Redis.
  redis_token_bucket(pool& connections, redis_token_bucket_options wanted, time_point now = clock::now())
      : options_{(check(wanted), std::move(wanted))},
        pool_{&connections},
        terms_{options_.rate, options_.burst},
        full_{detail::redis_gcra::split(terms_.tolerance())},
        breaker_{options_.breaker, now} {
    if (options_.fallback != redis_fallback::local) return;
    if (options_.local.rate == 0) options_.local = {.rate = options_.rate, .burst = options_.burst};
    local_.emplace(options_.local, keyed_limiter_options{.max_keys = options_.local_keys}, now);
  }

  redis_token_bucket(const redis_token_bucket&) = delete;
  redis_token_bucket& operator=(const redis_token_bucket&) = delete;

  /// Takes `n` tokens from the bucket of `key` (any bytes) if all of them are there, else none. `never` when `n` is
  /// above the burst, or the key too long. 0 tokens take nothing, and tell what is left. `now` is for the
  /// breaker and the local buckets.
  redis_rate_decision try_acquire(std::string_view key, std::uint64_t n = 1, time_point now = clock::now()) {
    if (n > terms_.burst() || key.size() > options_.max_key) return {rate_decision::refuse_forever(), false};
    auto call = breaker_.try_acquire(now);
    if (!call) return fall_back(key, n, now);
    const auto started = clock::now();
    const auto answered = ask(key, n, started + std::chrono::ceil<clock::duration>(options_.timeout));
    const auto took = clock::now() - started;
    const time_point later = now > time_point::max() - took ? time_point::max() : now + took;
    if (answered) {
      call.succeeded(took, later);
      by_redis_.fetch_add(1, std::memory_order_relaxed);
      return {*answered, false};
    }
    if (answered.error().code() == "WRONGTYPE") {
      call.succeeded(took, later);  // Redis is well
    } else {
      call.failed(took, later);
    }
    failures_.fetch_add(1, std::memory_order_relaxed);
    tell(answered.error());
    return fall_back(key, n, later);
  }

  /// `open`: Redis is not asked. Wait-free.
  [[nodiscard]] circuit_state state() const noexcept { return breaker_.state(); }

  /// Wait-free.
  [[nodiscard]] counts counted() const noexcept {
    return {by_redis_.load(std::memory_order_relaxed), by_fallback_.load(std::memory_order_relaxed),
            failures_.load(std::memory_order_relaxed)};
  }

  /// As they are after rounding. Wait-free.
  [[nodiscard]] double rate() const noexcept { return terms_.rate(); }
  [[nodiscard]] std::uint64_t burst() const noexcept { return terms_.burst(); }

 private:
  expected<rate_decision, redis_error> ask(std::string_view key, std::uint64_t n, time_point until) {
    const auto left = [until] { return std::max(duration{0}, duration{until - clock::now()}); };
    auto lent = pool_->acquire({.tag = "redis_token_bucket", .timeout = left()});
    if (!lent) return unexpected{redis_error::broken(std::string{"no connection: "} + lent.error().message())};
    std::string name;
    name.reserve(options_.prefix.size() + key.size());
    name.append(options_.prefix).append(key);
    const detail::redis_gcra::pair cost = detail::redis_gcra::split(terms_.cost(n));
    std::array<std::string_view, 8> words{"EVALSHA", detail::redis_gcra::sha1, "1", name, cost[0], cost[1], full_[0],
                                          full_[1]};
    auto answered = (*lent)->try_command(words, left());
    if (!answered && answered.error().code() == "NOSCRIPT") {
      words[0] = "EVAL";
      words[1] = detail::redis_gcra::script;
      answered = (*lent)->try_command(words, left());
    }
    if (!answered) {
      if (answered.error().broken()) lent->discard();
      return unexpected{answered.error()};
    }
    const auto outcome = detail::redis_gcra::outcome(answered->value());
    if (!outcome) return unexpected{redis_error::refused("ERR not an answer of the script")};
    return rate_decision{*outcome, terms_};
  }

  redis_rate_decision fall_back(std::string_view key, std::uint64_t n, time_point now) {
    by_fallback_.fetch_add(1, std::memory_order_relaxed);
    if (options_.fallback == redis_fallback::admit) return {rate_decision::admit(0), true};
    if (local_) {
      const rate_decision decision = local_->try_acquire(key, n, now);
      if (!decision.never()) return {decision, true};  // more than the local burst: Redis may have it
    }
    return {rate_decision::refuse(options_.breaker.open_for), true};
  }

  void tell(const redis_error& error) const noexcept {
    if (!options_.on_failure) return;
#if defined(__cpp_exceptions)
    try {
      options_.on_failure(error);
    } catch (...) {  // documented: what a listener throws is lost
    }
#else
    options_.on_failure(error);
#endif
  }

  redis_token_bucket_options options_;
  pool* pool_;
  detail::gcra_terms terms_;
  detail::redis_gcra::pair full_;
  circuit_breaker<clock> breaker_;
  std::optional<keyed_limiter<std::string_view, token_bucket<clock>>> local_;
  // Each is counted once a round trip, or when there is none; relaxed, as nothing is concluded from one about another.
  std::atomic<std::uint64_t> by_redis_{0};
  std::atomic<std::uint64_t> by_fallback_{0};
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace banyan
