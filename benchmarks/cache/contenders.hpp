#pragma once

/// \file
/// Everything that is compared, behind one shape: get by rank, put by rank, or both in one.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <banyan/cache/basic_cache.hpp>
#include <banyan/cache/fifo_policy.hpp>
#include <banyan/cache/lfu_policy.hpp>
#include <banyan/cache/lru_policy.hpp>
#include <banyan/cache/s3fifo_policy.hpp>
#include <banyan/cache/sieve_policy.hpp>
#if __has_include(<banyan/cache/tinylfu_cache.hpp>)
#include <banyan/cache/tinylfu_cache.hpp>
#endif
#if __has_include(<banyan/cache/adaptive_cache.hpp>)
#include <banyan/cache/adaptive_cache.hpp>
#endif

#if __has_include(<tbb/concurrent_hash_map.h>)
#define TBB_PREVIEW_CONCURRENT_LRU_CACHE 1
#include <tbb/concurrent_hash_map.h>
#include <tbb/concurrent_lru_cache.h>
#endif
#if __has_include(<libcuckoo/cuckoohash_map.hh>)
#include <libcuckoo/cuckoohash_map.hh>
#endif

#include "rivals/keep_all.hpp"
#include "rivals/mutex_lru.hpp"
#include "workload.hpp"

namespace bench {

/// What a stretch of operations came to.
struct tally {
  std::uint64_t operations = 0;
  std::uint64_t gets = 0;
  std::uint64_t hits = 0;
  std::uint64_t wrong = 0;  ///< values that were not the key's: the contender is broken

  tally& operator+=(const tally& other) {
    operations += other.operations;
    gets += other.gets;
    hits += other.hits;
    wrong += other.wrong;
    return *this;
  }
};

enum class operation { get, read_through, mixed };

/// The shape of a run.
struct task {
  operation what = operation::read_through;
  std::uint32_t put_share = 0;  ///< of `mixed`: puts in 2^32 operations

  [[nodiscard]] bool is_put(std::size_t i) const {
    return static_cast<std::uint32_t>(i) * 0x9E3779B1U < put_share;  // evenly strewn
  }
};

// ---- each kind of contender: `get`, `put`, and whether it evicts
// -----------------------------------------------------

template <class Key, class Policy>
struct ours {
  static constexpr bool evicts = !std::is_same_v<Policy, keep_all>;
  banyan::basic_cache<Key, std::uint64_t, Policy> cache;

  ours(std::size_t capacity, std::size_t keys) : cache{{.capacity = evicts ? capacity : keys + 1}} {}
  std::optional<std::uint64_t> get(const Key& key) { return cache.get(key); }
  void put(const Key& key, std::uint64_t value) { cache.put(key, value); }
};

template <class Key>
struct mutex_list_map {
  static constexpr bool evicts = true;
  mutex_lru<Key, std::uint64_t> cache;

  mutex_list_map(std::size_t capacity, std::size_t) : cache{capacity} {}
  std::optional<std::uint64_t> get(const Key& key) { return cache.get(key); }
  void put(const Key& key, std::uint64_t value) { cache.put(key, value); }
};

#if defined(TBB_PREVIEW_CONCURRENT_LRU_CACHE)
/// Its one operation gets a value, making it by a callback if it is absent; there is no put.
template <class Key>
struct tbb_lru {
  static constexpr bool evicts = true;
  static constexpr bool only_reads_through = true;
  static inline thread_local std::uint64_t to_be_made = 0;
  static inline thread_local bool missed = false;
  static std::uint64_t make(Key) {
    missed = true;
    return to_be_made;
  }
  tbb::concurrent_lru_cache<Key, std::uint64_t, std::uint64_t (*)(Key)> cache;

  tbb_lru(std::size_t capacity, std::size_t) : cache{&make, capacity} {}
  std::pair<bool, std::uint64_t> get_or_put(const Key& key, std::uint64_t value) {
    missed = false;
    to_be_made = value;
    auto handle = cache[key];
    const std::uint64_t found = handle.value();
    return {!missed, found};
  }
};

template <class Key>
struct tbb_map {
  static constexpr bool evicts = false;
  tbb::concurrent_hash_map<Key, std::uint64_t> map;

  tbb_map(std::size_t, std::size_t keys) : map(keys) {}
  std::optional<std::uint64_t> get(const Key& key) {
    typename decltype(map)::const_accessor found;
    if (!map.find(found, key)) return std::nullopt;
    return found->second;
  }
  void put(const Key& key, std::uint64_t value) {
    typename decltype(map)::accessor place;
    map.insert(place, key);
    place->second = value;
  }
};
#endif

#if __has_include(<libcuckoo/cuckoohash_map.hh>)
template <class Key>
struct cuckoo_map {
  static constexpr bool evicts = false;
  libcuckoo::cuckoohash_map<Key, std::uint64_t> map;

  cuckoo_map(std::size_t, std::size_t keys) : map(keys) {}
  std::optional<std::uint64_t> get(const Key& key) {
    std::uint64_t value = 0;
    if (!map.find(key, value)) return std::nullopt;
    return value;
  }
  void put(const Key& key, std::uint64_t value) { map.insert_or_assign(key, value); }
};
#endif

// ---- one interface over them all: a virtual call for hundreds of operations
// ------------------------------------------

class contender {
 public:
  virtual ~contender() = default;
  virtual tally run(const task& work, std::span<const std::uint32_t> ranks) = 0;
  /// Puts ranks [0, count), the most asked for last.
  virtual void fill(std::uint32_t count) = 0;
};

template <class Key, class Kind>
class contender_of final : public contender {
 public:
  contender_of(std::size_t capacity, std::size_t keys, const keys_by_rank<Key>& names)
      : kind_{capacity, keys}, names_{&names} {}

  tally run(const task& work, std::span<const std::uint32_t> ranks) override {
    switch (work.what) {
      case operation::get:
        return loop<operation::get>(work, ranks);
      case operation::mixed:
        return loop<operation::mixed>(work, ranks);
      default:
        return loop<operation::read_through>(work, ranks);
    }
  }

  void fill(std::uint32_t count) override {
    while (count > 0) {
      --count;
      if constexpr (requires { kind_.only_reads_through; }) {
        kind_.get_or_put((*names_)[count], count);
      } else {
        kind_.put((*names_)[count], count);
      }
    }
  }

 private:
  template <operation What>
  tally loop(const task& work, std::span<const std::uint32_t> ranks) {
    tally sum;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      const std::uint32_t rank = ranks[i];
      const Key& key = (*names_)[rank];
      if constexpr (requires { kind_.only_reads_through; }) {
        const auto [hit, value] = kind_.get_or_put(key, rank);
        sum.hits += hit;
        sum.wrong += value != rank;
      } else {
        if (What == operation::mixed && work.is_put(i)) {
          kind_.put(key, rank);
          continue;
        }
        const std::optional<std::uint64_t> value = kind_.get(key);
        sum.hits += value.has_value();
        sum.wrong += value && *value != rank;
        if (What == operation::read_through && !value) kind_.put(key, rank);
      }
      ++sum.gets;
    }
    sum.operations = ranks.size();
    return sum;
  }

  Kind kind_;
  const keys_by_rank<Key>* names_;
};

/// A name, and how to build the contender for a capacity and a number of keys.
template <class Key>
struct entrant {
  std::string name;
  std::function<std::unique_ptr<contender>(std::size_t capacity, std::size_t keys, const keys_by_rank<Key>&)> make;
  bool evicts = true;  ///< if not, it keeps all keys
  bool only_reads_through = false;
};

template <class Kind>
inline constexpr bool only_reads_through = requires {
  Kind::only_reads_through;
};

template <class Key, class Kind>
entrant<Key> entrant_of(std::string name) {
  return {std::move(name),
          [](std::size_t capacity, std::size_t keys, const keys_by_rank<Key>& names) -> std::unique_ptr<contender> {
            return std::make_unique<contender_of<Key, Kind>>(capacity, keys, names);
          },
          Kind::evicts, only_reads_through<Kind>};
}

template <class Key>
std::vector<entrant<Key>> all_entrants() {
  std::vector<entrant<Key>> all;
  all.push_back(entrant_of<Key, ours<Key, banyan::lru_policy>>("lru"));
  all.push_back(entrant_of<Key, ours<Key, banyan::lfu_policy>>("lfu"));
  all.push_back(entrant_of<Key, ours<Key, banyan::fifo_policy>>("fifo"));
  all.push_back(entrant_of<Key, ours<Key, banyan::sieve_policy>>("sieve"));
  all.push_back(entrant_of<Key, ours<Key, banyan::s3fifo_policy>>("s3fifo"));
#if __has_include(<banyan/cache/tinylfu_cache.hpp>)
  all.push_back(entrant_of<Key, ours<Key, banyan::tinylfu_policy>>("tinylfu"));
#endif
#if __has_include(<banyan/cache/adaptive_cache.hpp>)
  all.push_back(entrant_of<Key, ours<Key, banyan::adaptive_policy>>("adaptive"));
#endif
  all.push_back(entrant_of<Key, ours<Key, keep_all>>("floor"));
  all.push_back(entrant_of<Key, mutex_list_map<Key>>("mutex-lru"));
#if defined(TBB_PREVIEW_CONCURRENT_LRU_CACHE)
  all.push_back(entrant_of<Key, tbb_lru<Key>>("tbb-lru"));
  all.push_back(entrant_of<Key, tbb_map<Key>>("tbb-map"));
#endif
#if __has_include(<libcuckoo/cuckoohash_map.hh>)
  all.push_back(entrant_of<Key, cuckoo_map<Key>>("cuckoo-map"));
#endif
  return all;
}

}  // namespace bench
