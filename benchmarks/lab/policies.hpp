#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace banyan::lab {

/// Names of the cache policies under study: lru first, then lfu, fifo, sieve, s3fifo, tinylfu, adaptive.
std::span<const std::string_view> policy_names() noexcept;

/// What a trace's replay through a cache gave.
struct replay_result {
  std::uint64_t hits = 0;
  double seconds = 0;  ///< of get and put alone; creating the cache is not counted
};

/// Puts the requests through a new banyan cache of `capacity` entries: a get for each, and a put after each miss.
/// Calls `advance` with the number of requests done now and then. Throws `bad_input` for an unknown policy.
replay_result replay(std::string_view policy, std::size_t capacity, std::span<const std::uint32_t> requests,
                     const std::function<void(std::uint64_t)>& advance = {});

}  // namespace banyan::lab
