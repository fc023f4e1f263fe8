#pragma once

#include <chrono>
#include <functional>

#include <banyan/cache/basic_cache.hpp>
#include <banyan/cache/tinylfu_policy.hpp>
#include <banyan/core/hash.hpp>

namespace banyan {

/// Evicts by W-TinyLFU: a recency window before a main part that admits by frequency, its size adapted. See
/// `tinylfu_policy` for when to use it, and `basic_cache` for the members.
template <class Key, class Value, class Hash = seeded_hash, class Equal = std::equal_to<>,
          class Clock = std::chrono::steady_clock>
using tinylfu_cache = basic_cache<Key, Value, tinylfu_policy, Hash, Equal, Clock>;

}  // namespace banyan
