#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include <banyan/cache/removal_cause.hpp>

namespace banyan {

/// How to build a cache. Only `capacity` must be given.
///
///     banyan::lru_cache<std::string, page> pages{{.capacity = 10'000, .ttl = std::chrono::minutes{5}}};
template <class Key, class Value, class Duration>
struct cache_options {
  /// Most total weight that stays; at least 1. Without a weigher: most entries.
  std::uint64_t capacity = 0;
  /// An entry leaves this long after it was written; none: never. Positive.
  std::optional<Duration> ttl = std::nullopt;
  /// An entry leaves this long after it was last read or written; none: never. Positive. A read renews it with one
  /// relaxed store, and only once a sixteenth of the time has passed since the last renewal.
  std::optional<Duration> idle_ttl = std::nullopt;
  /// The part of the time to live, from 0 to 1, by which it is shortened at random, so that entries written together
  /// do not expire together: 0.1 spreads them over the last tenth.
  double ttl_jitter = 0;
  /// Most entries that stay, however light they are; memory is reserved (not committed) for so many. 0: `capacity`, or
  /// with a weigher the smaller of `capacity` and 2^20.
  std::uint64_t expected_entries = 0;
  /// Seed of the hash and of random choices; none: random for each process.
  std::optional<std::uint64_t> seed = std::nullopt;
  /// The weight of an entry; 0 counts as 1. None: every entry weighs 1. May throw: the put fails, nothing changes.
  std::function<std::uint64_t(const Key&, const Value&)> weigher = nullptr;
  /// Called exactly once for each entry that leaves while the cache lives, by the thread that removed it, in no lock:
  /// it may call the cache. What it throws is counted (`listener_failures`) and goes no further.
  std::function<void(const Key&, const Value&, removal_cause)> removal_listener = nullptr;
};

/// What one call of `put` may say about its entry.
template <class Duration>
struct entry_options {
  /// Time to live of this entry instead of the cache's; zero or negative: it is expired at once.
  std::optional<Duration> ttl = std::nullopt;
  /// Weight of this entry instead of the weigher's; 0 counts as 1.
  std::optional<std::uint64_t> weight = std::nullopt;
};

}  // namespace banyan
