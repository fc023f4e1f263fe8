#pragma once

/// \file
/// The cache room: caches, and the policies by which they evict.

#include <banyan/cache/adaptive_cache.hpp>
#include <banyan/cache/basic_cache.hpp>
#include <banyan/cache/cache_options.hpp>
#include <banyan/cache/cache_stats.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/cache/fifo_cache.hpp>
#include <banyan/cache/lfu_cache.hpp>
#include <banyan/cache/lru_cache.hpp>
#include <banyan/cache/removal_cause.hpp>
#include <banyan/cache/s3fifo_cache.hpp>
#include <banyan/cache/sieve_cache.hpp>
#include <banyan/cache/tinylfu_cache.hpp>
