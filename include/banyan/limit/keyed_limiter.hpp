#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/detail/wide_product.hpp>
#include <banyan/core/hash.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/zeroed_array.hpp>
#include <banyan/limit/detail/keyed_table.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/rate_decision.hpp>
#include <banyan/limit/token_bucket.hpp>

namespace banyan {

/// What happens to a new key when all words of its set are other keys' that are not idle.
enum class keyed_limiter_full {
  forget,  ///< it takes the place of the key that would be idle soonest, which then has a full bucket again
  refuse,  ///< it is refused until one of the others is idle
  admit,   ///< it is admitted and not counted
};

struct keyed_limiter_options {
  std::uint64_t max_keys = 0;  ///< that are busy at a time; from 1 to 2^40; each costs 12 bytes
  keyed_limiter_full when_full = keyed_limiter_full::forget;
};

/// A token bucket for each key, in a table of fixed size.
///
///     banyan::keyed_limiter<std::string, banyan::token_bucket<>> per_client{{.rate = 10, .burst = 10},
///                                                                           {.max_keys = 1'000'000}};
///     if (auto d = per_client.try_acquire(client_ip)) ...
///
/// Keys are not kept: each busy one is a word of 8 bytes, a fingerprint and the state of its bucket. A key is busy
/// until its bucket is full again, burst / rate after its last use at most; then its word may be used for another.
/// Nothing sweeps, nothing allocates after construction.
///
/// Promised for each key: over any interval of length t, by the clock that is ahead, at most burst + rate * t, where a
/// token may come up to 2 microseconds early. An older `now` can only refuse. Not less, but:
/// - Keys share a bucket when they agree in set and fingerprint: 16 bits, and with a full table each key has about 12
///   others to do so with, so one key in 5,000 has such a companion. The hash is seeded (see `seeded_hash`): nobody
///   outside can choose keys to share with, or to crowd, another key.
/// - When two threads bring the same new key at the same moment, one of them may be counted twice.
/// - `max_keys` busy keys are 11 to a set of 15 on average; 2 % find their set full, see `keyed_limiter_full`. With
///   `forget`, a flood of keys makes the forgotten one's burst available again: hostile keys get no more than the burst
///   that each new key gets anyway. Against clients that have addresses without end, limit prefixes: `ipv6_prefix`.
///
/// Rate of a key: at most 2^20 a second; burst at most 2^40. Lock-free, O(1): 15 words, two cache lines, are looked at;
/// an admission is one compare-exchange, a refusal none. Never throws after construction but what the hash throws.
/// Thread-safe. Four years after construction time stands still for it.
template <class Key, class Limiter = token_bucket<>, class Hash = seeded_hash>
class keyed_limiter;

template <class Key, class Clock, class Hash>
class keyed_limiter<Key, token_bucket<Clock>, Hash> {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using duration = std::chrono::nanoseconds;

  /// Throws `std::invalid_argument` when an option is out of its range, and `std::bad_alloc`.
  keyed_limiter(token_bucket_options each, keyed_limiter_options wanted, time_point now = Clock::now(),
                Hash hash = Hash())
      : scale_{checked(each, wanted)},
        burst_{each.burst},
        when_full_{static_cast<detail::keyed_table::when_full>(wanted.when_full)},
        constructed_{detail::clamped_nanoseconds(now)},
        hash_{std::move(hash)},
        sets_{static_cast<std::size_t>(wanted.max_keys / keys_in_set + 1)} {}

  keyed_limiter(const keyed_limiter&) = delete;
  keyed_limiter& operator=(const keyed_limiter&) = delete;

  /// As `token_bucket::try_acquire`, from the bucket of `key`: a `Key`, or what hashes alike.
  template <class K>
  requires std::invocable<const Hash&, const K&> rate_decision try_acquire(const K& key, std::uint64_t n = 1,
                                                                           time_point now = Clock::now()) {
    return take(hash_(key), n, now);
  }

  /// What `try_acquire` would answer; takes nothing.
  template <class K>
  requires std::invocable<const Hash&, const K&>
  [[nodiscard]] rate_decision look(const K& key, std::uint64_t n = 1, time_point now = Clock::now()) const {
    return look_at(hash_(key), n, now);
  }

  /// One key's bucket, for as long as the limiter lives: a level of `hierarchical`. It keeps the key's hash only.
  class bucket {
   public:
    using clock = Clock;
    using time_point = typename Clock::time_point;

    rate_decision try_acquire(std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
      return limiter_->take(hash_, n, now);
    }
    [[nodiscard]] rate_decision look(std::uint64_t n = 1, time_point now = Clock::now()) const noexcept {
      return limiter_->look_at(hash_, n, now);
    }
    /// As `token_bucket::give_back`.
    void give_back(std::uint64_t n, time_point taken, time_point now = Clock::now()) noexcept {
      limiter_->give_back(hash_, n, taken, now);
    }

   private:
    friend keyed_limiter;
    bucket(keyed_limiter& limiter, std::uint64_t hash) noexcept : limiter_{&limiter}, hash_{hash} {}
    keyed_limiter* limiter_;
    std::uint64_t hash_;
  };

  template <class K>
  requires std::invocable<const Hash&, const K&>
  [[nodiscard]] bucket of(const K& key) { return {*this, hash_(key)}; }

  /// How many keys found no room (see `keyed_limiter_full`). Wait-free.
  [[nodiscard]] std::uint64_t overflows() const noexcept { return (*overflows_).load(std::memory_order_relaxed); }

  /// How many keys are busy, about. O(max_keys), wait-free.
  [[nodiscard]] std::size_t busy(time_point now = Clock::now()) const noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0; i < sets_.size(); ++i)
      count += detail::keyed_table::busy(sets_[i], units(now) - tolerance());
    return count;
  }

  /// Bytes of the table.
  [[nodiscard]] std::size_t memory() const noexcept { return sets_.size() * sizeof(detail::keyed_table::set); }

 private:
  using table = detail::keyed_table;
  static constexpr std::uint64_t keys_in_set = 11;
  static constexpr std::uint64_t most_units = (std::uint64_t{1} << table::time_bits) - 1;

  // A token is 2^shift units, about a million of which pass in a second, so that 48 bits last.
  struct unit_scale {
    unsigned shift = 0;
    std::uint64_t per_nanosecond = 0;  // in 2^-64
  };

  static unit_scale checked(const token_bucket_options& each, const keyed_limiter_options& wanted) {
    check(each);
    if (each.rate > 0x1p20) invalid_option("token_bucket_options.rate", each.rate, "must be at most 2^20 for each key");
    if (each.burst > (std::uint64_t{1} << 40))
      invalid_option("token_bucket_options.burst", each.burst, "must be at most 2^40 for each key");
    if (wanted.max_keys == 0 || wanted.max_keys > (std::uint64_t{1} << 40))
      invalid_option("keyed_limiter_options.max_keys", wanted.max_keys, "must be from 1 to 2^40");
    unit_scale scale;
    while (scale.shift < 30 && std::ldexp(each.rate, static_cast<int>(scale.shift) + 1) <= 0x1p20 &&
           (each.burst << scale.shift) <= (std::uint64_t{1} << 39)) {
      ++scale.shift;
    }
    scale.per_nanosecond = static_cast<std::uint64_t>(std::ldexp(each.rate / 1e9, static_cast<int>(scale.shift) + 64));
    return scale;
  }

  [[nodiscard]] std::uint64_t tolerance() const noexcept { return burst_ << scale_.shift; }

  // Begins above the tolerance, so that an empty word, 0, is a full bucket.
  [[nodiscard]] std::uint64_t units(time_point now) const noexcept {
    const std::int64_t nanoseconds = detail::clamped_nanoseconds(now);
    if (nanoseconds <= constructed_) return tolerance() + 1;
    const std::uint64_t since = static_cast<std::uint64_t>(nanoseconds) - static_cast<std::uint64_t>(constructed_);
    const std::uint64_t passed = detail::multiply_high(since, scale_.per_nanosecond);
    return tolerance() + 1 + std::min(passed, most_units - 4 * tolerance());
  }

  [[nodiscard]] std::size_t set_of(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>(detail::multiply_high(hash, sets_.size()));
  }

  [[nodiscard]] rate_decision decision(const detail::gcra_outcome& outcome) const noexcept {
    const std::uint64_t remaining = outcome.credit >> scale_.shift;
    if (outcome.what == detail::gcra_outcome::verdict::admitted) return rate_decision::admit(remaining);
    // The clock's part of a unit is lost in `units`, so this is late by less than two.
    const double wait = static_cast<double>(outcome.wait) / (static_cast<double>(scale_.per_nanosecond) * 0x1p-64);
    return rate_decision::refuse(duration{static_cast<std::int64_t>(std::min(std::ceil(wait) + 1, 9e18))}, remaining);
  }

  rate_decision take(std::uint64_t hash, std::uint64_t n, time_point now) noexcept {
    if (n > burst_) return rate_decision::refuse_forever();
    if (n == 0) return look_at(hash, 0, now);
    const auto answer =
        table::take(sets_[set_of(hash)], {hash, n << scale_.shift, units(now), tolerance()}, when_full_);
    if (answer.full) [[unlikely]] {
      (*overflows_).fetch_add(1, std::memory_order_relaxed);
    }
    return decision(answer.outcome);
  }

  [[nodiscard]] rate_decision look_at(std::uint64_t hash, std::uint64_t n, time_point now) const noexcept {
    if (n > burst_) return rate_decision::refuse_forever();
    return decision(table::look(sets_[set_of(hash)], {hash, n << scale_.shift, units(now), tolerance()}));
  }

  void give_back(std::uint64_t hash, std::uint64_t n, time_point taken, time_point now) noexcept {
    if (n > burst_) return;
    const std::uint64_t from = units(taken);
    const std::uint64_t to = units(now);
    const std::uint64_t flowed = to > from ? to - from : 0;
    const std::uint64_t cost = n << scale_.shift;
    if (cost > flowed) table::give_back(sets_[set_of(hash)], hash, cost - flowed);
  }

  unit_scale scale_;
  std::uint64_t burst_;
  detail::keyed_table::when_full when_full_;
  std::int64_t constructed_;
  Hash hash_;
  zeroed_array<table::set> sets_;
  padded<std::atomic<std::uint64_t>> overflows_;
};

}  // namespace banyan
