#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/rate_decision.hpp>
#include <banyan/limit/token_bucket.hpp>

namespace banyan {

struct sharded_token_bucket_options {
  double rate = 0;           ///< as of `token_bucket`
  std::uint64_t burst = 1;   ///< as of `token_bucket`; at least 2 * shards * lease
  std::uint32_t shards = 8;  ///< threads that do not get into each other's way; from 1 to 1024
  std::uint64_t lease = 0;   ///< tokens a shard takes at a time; 0: a quarter of the burst for all shards together
};

/// A token bucket for limits so hot that one word is too few: threads take tokens from a shard of their own, which
/// leases some from the bucket when it runs out. The clock is read for leases only. It starts full.
///
/// Promised: over any interval of length t, by the clock that is ahead, at most burst + rate * t. For
/// that the leases come out of the burst: the bucket itself has a burst of burst - shards * lease, the largest request
/// that is ever admitted, and the least that a rested one has at once (shards save up what they lease, not by
/// themselves). A single token is refused only when there is none in the bucket nor in any shard. A request
/// of n tokens may be refused while less than n are left in each of the shards: at most shards * (n - 1) too early.
///
/// Lock-free: a thread that stops while it leases takes at most a lease with it until it goes on, and its shard's other
/// threads go to the bucket meanwhile. A shard's hit: one compare-exchange on a line of its own, O(1). A refusal of
/// what is not in the bucket looks at all shards, O(shards). Thread-safe.
template <class Clock = steady_clock>
class sharded_token_bucket {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using options = sharded_token_bucket_options;

  /// Throws `std::invalid_argument` when an option is out of its range, and `std::bad_alloc`.
  explicit sharded_token_bucket(sharded_token_bucket_options wanted, time_point now = Clock::now(),
                                hazard_domain& domain = hazard_domain::global())
      : lease_{lease_of(wanted)},
        count_{wanted.shards},
        bucket_{{.rate = wanted.rate, .burst = wanted.burst - lease_ * wanted.shards}, now},
        shards_{std::make_unique<padded<std::atomic<std::uint64_t>>[]>(wanted.shards)},
        domain_{&domain} {
    for (std::uint32_t i = 0; i < count_; ++i) (*shards_[i]).store(lease_ * 2, std::memory_order_relaxed);
  }

  sharded_token_bucket(const sharded_token_bucket&) = delete;
  sharded_token_bucket& operator=(const sharded_token_bucket&) = delete;

  /// As `token_bucket::try_acquire`. `remaining()`: of this shard or, where that had none, of the bucket.
  rate_decision try_acquire(std::uint64_t n = 1) noexcept {
    std::uint64_t left = 0;
    if (taken(own(), n, left)) [[likely]] {
      return rate_decision::admit(left);
    }
    return lease(own(), n, Clock::now());
  }
  rate_decision try_acquire(std::uint64_t n, time_point now) noexcept {
    std::uint64_t left = 0;
    if (taken(own(), n, left)) return rate_decision::admit(left);
    return lease(own(), n, now);
  }

  /// Changes the rate; burst and leases stay. Throws as the constructor. Wait-free.
  void set_rate(double rate) { bucket_.set_rate(rate, bucket_.burst()); }

 private:
  using shard = std::atomic<std::uint64_t>;  // tokens * 2 + whether somebody is leasing

  static std::uint64_t lease_of(const sharded_token_bucket_options& options) {
    check(token_bucket_options{.rate = options.rate, .burst = options.burst});
    if (options.shards == 0 || options.shards > 1024)
      invalid_option("sharded_token_bucket_options.shards", options.shards, "must be from 1 to 1024");
    const std::uint64_t share = options.burst / options.shards;
    const std::uint64_t lease = options.lease != 0 ? options.lease : std::max<std::uint64_t>(share / 4, 1);
    if (lease > share / 2) {
      invalid_option("sharded_token_bucket_options.burst", options.burst, "must be at least 2 * shards * lease");
    }
    return lease;
  }

  [[nodiscard]] shard& own() noexcept {
    const auto* const record = domain_->try_local();
    return *shards_[record != nullptr ? record->index() % count_ : 0];
  }

  // A shard's word is all there is to see: tokens are numbers, and whoever leases is the only one to write meanwhile.
  // So relaxed will do.
  static bool taken(shard& from, std::uint64_t n, std::uint64_t& left) noexcept {
    std::uint64_t seen = from.load(std::memory_order_relaxed);
    while (seen / 2 >= n) {
      if (from.compare_exchange_weak(seen, seen - n * 2, std::memory_order_relaxed)) {
        left = seen / 2 - n;
        return true;
      }
    }
    return false;
  }

  rate_decision lease(shard& mine, std::uint64_t n, time_point now) noexcept {
    if (n > bucket_.burst()) return rate_decision::refuse_forever();
    std::uint64_t seen = mine.load(std::memory_order_relaxed);
    while (seen % 2 == 0 && seen / 2 < n) {
      if (!mine.compare_exchange_weak(seen, 1, std::memory_order_relaxed)) continue;
      // What was there is ours now, less than n; nobody else changes the word until we put something there.
      const std::uint64_t had = seen / 2;
      if (n - had + lease_ <= bucket_.burst()) {
        if (bucket_.try_acquire(n - had + lease_, now)) {
          mine.store(lease_ * 2, std::memory_order_relaxed);
          return rate_decision::admit(lease_);
        }
      }
      const rate_decision rest = bucket_.try_acquire(n - had, now);
      mine.store(rest ? 0 : had * 2, std::memory_order_relaxed);
      return rest ? rest : search(rest, n);
    }
    std::uint64_t left = 0;
    if (taken(mine, n, left)) return rate_decision::admit(left);
    const rate_decision alone = bucket_.try_acquire(n, now);  // somebody is leasing for this shard
    return alone ? alone : search(alone, n);
  }

  // The bucket is empty; another shard may not be.
  rate_decision search(const rate_decision& refused, std::uint64_t n) noexcept {
    std::uint64_t left = 0;
    for (std::size_t i = 0; n <= lease_ && i < count_; ++i) {
      if (taken(*shards_[i], n, left)) return rate_decision::admit(left);
    }
    return refused;
  }

  std::uint64_t lease_;
  std::uint32_t count_;
  token_bucket<Clock> bucket_;
  std::unique_ptr<padded<shard>[]> shards_;
  hazard_domain* domain_;
};

}  // namespace banyan
