#pragma once

#include <chrono>
#include <functional>

#include <banyan/cache/adaptive_policy.hpp>
#include <banyan/cache/basic_cache.hpp>
#include <banyan/core/hash.hpp>

namespace banyan {

/// Evicts as the policy would that suits the accesses best, found while it runs. See `adaptive_policy` for when to use
/// it, and `basic_cache` for the members.
template <class Key, class Value, class Hash = seeded_hash, class Equal = std::equal_to<>,
          class Clock = std::chrono::steady_clock>
using adaptive_cache = basic_cache<Key, Value, adaptive_policy, Hash, Equal, Clock>;

}  // namespace banyan
