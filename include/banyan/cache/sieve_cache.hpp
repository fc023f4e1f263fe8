#pragma once

#include <chrono>
#include <functional>

#include <banyan/cache/basic_cache.hpp>
#include <banyan/cache/sieve_policy.hpp>
#include <banyan/core/hash.hpp>

namespace banyan {

/// Evicts by SIEVE: the oldest entry that was not asked for since the hand last passed it. See `sieve_policy` for when
/// to use it, and `basic_cache` for the members.
template <class Key, class Value, class Hash = seeded_hash, class Equal = std::equal_to<>,
          class Clock = std::chrono::steady_clock>
using sieve_cache = basic_cache<Key, Value, sieve_policy, Hash, Equal, Clock>;

}  // namespace banyan
