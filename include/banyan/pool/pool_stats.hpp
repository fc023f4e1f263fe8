#pragma once

#include <cstddef>
#include <cstdint>

#include <banyan/core/duration_histogram.hpp>

namespace banyan {

/// Why a connection was closed.
enum class close_cause {
  discarded,  ///< its borrower said it is broken
  invalid,    ///< `validate` or a hook refused it
  idle,       ///< nobody used it for `idle_timeout`
  expired,    ///< it came to its lifetime
  evicted,    ///< `evict_all`
  surplus,    ///< more than `max` after `resize`
  closed,     ///< the pool closed
};
inline constexpr std::size_t close_causes = 7;

/// What a pool looks like and has done. Numbers of now are read one after the other while the pool goes on.
struct pool_stats {
  // now
  std::size_t idle = 0;
  std::size_t in_use = 0;
  std::size_t opening = 0;
  std::size_t waiting = 0;

  // since the pool was made
  std::uint64_t borrowed = 0;
  std::uint64_t waited = 0;  ///< of these, how many had to wait
  std::uint64_t created = 0;
  std::uint64_t open_failures = 0;
  std::uint64_t closed[close_causes] = {};  ///< by `close_cause`
  std::uint64_t timeouts = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t leaks = 0;  ///< leases reported for being out too long

  duration_distribution acquire_times;  ///< of all; those that did not wait count as 0
  duration_distribution usage_times;    ///< of a sample: each 16th lease of a connection

  [[nodiscard]] std::uint64_t closed_for(close_cause cause) const noexcept {
    return closed[static_cast<std::size_t>(cause)];
  }
  [[nodiscard]] std::uint64_t closed_in_all() const noexcept {
    std::uint64_t all = 0;
    for (const std::uint64_t count : closed) all += count;
    return all;
  }
};

}  // namespace banyan
