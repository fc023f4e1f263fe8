#pragma once

#include <array>
#include <cstdint>

#include <banyan/limit/priority.hpp>

namespace banyan {

/// What a `concurrency_limiter` looks like at a moment. The fields are read one by one.
struct concurrency_stats {
  std::uint32_t limit = 0;      ///< for critical calls
  std::uint32_t in_flight = 0;  ///< permits that are out; those that are never given back stay counted
  std::array<std::uint32_t, priority_count> waiting{};  ///< of each priority, or a few more
  std::uint64_t windows = 0;  ///< how many have ended; stands still when permits do not come back, and for `fixed`
};

}  // namespace banyan
