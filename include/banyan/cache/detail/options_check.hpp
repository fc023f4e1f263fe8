#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include <banyan/core/invalid_option.hpp>

namespace banyan::detail {

/// Most entries of one cache: a slot's number has 28 bits, some of which serve threads in the middle of a put.
inline constexpr std::uint64_t most_cache_entries = std::uint64_t{1} << 27;
/// Where weights say nothing about how many entries there will be.
inline constexpr std::uint64_t default_weighted_entries = std::uint64_t{1} << 20;

/// The options with defaults filled in, or an error that names the one that cannot be.
template <class Options>
Options checked(Options options) {
  if (options.capacity == 0) invalid_option("cache_options.capacity", options.capacity, "must be at least 1");
  if (options.ttl && options.ttl->count() <= 0) {
    invalid_option("cache_options.ttl", options.ttl->count(), "must be positive (clock ticks)");
  }
  if (options.idle_ttl && options.idle_ttl->count() <= 0) {
    invalid_option("cache_options.idle_ttl", options.idle_ttl->count(), "must be positive (clock ticks)");
  }
  if (!(options.ttl_jitter >= 0 && options.ttl_jitter <= 1)) {
    invalid_option("cache_options.ttl_jitter", options.ttl_jitter, "must be from 0 to 1");
  }
  if (options.expected_entries == 0) {
    options.expected_entries =
        options.weigher ? std::min(options.capacity, default_weighted_entries) : options.capacity;
    if (options.expected_entries > most_cache_entries) {
      invalid_option("cache_options.capacity", options.capacity,
                     "more than 2^27 entries: give expected_entries if the weights are larger than 1");
    }
  }
  if (options.expected_entries > most_cache_entries) {
    invalid_option("cache_options.expected_entries", options.expected_entries, "must be at most 2^27");
  }
  options.expected_entries = std::min(options.expected_entries, options.capacity);
  return options;
}

}  // namespace banyan::detail
