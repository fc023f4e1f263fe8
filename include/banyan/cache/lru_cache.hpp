#pragma once

#include <chrono>
#include <functional>

#include <banyan/cache/basic_cache.hpp>
#include <banyan/cache/lru_policy.hpp>
#include <banyan/core/hash.hpp>

namespace banyan {

/// Evicts the least recently used entry. See `lru_policy` for when to use it, and `basic_cache` for the members.
template <class Key, class Value, class Hash = seeded_hash, class Equal = std::equal_to<>,
          class Clock = std::chrono::steady_clock>
using lru_cache = basic_cache<Key, Value, lru_policy, Hash, Equal, Clock>;

}  // namespace banyan
