#pragma once

#include <chrono>
#include <functional>

#include <banyan/cache/basic_cache.hpp>
#include <banyan/cache/s3fifo_policy.hpp>
#include <banyan/core/hash.hpp>

namespace banyan {

/// Evicts by S3-FIFO: three queues, of which the first filters out what is asked for only once. See `s3fifo_policy` for
/// when to use it, and `basic_cache` for the members.
template <class Key, class Value, class Hash = seeded_hash, class Equal = std::equal_to<>,
          class Clock = std::chrono::steady_clock>
using s3fifo_cache = basic_cache<Key, Value, s3fifo_policy, Hash, Equal, Clock>;

}  // namespace banyan
