#pragma once

#include <cstdint>

namespace banyan {

/// What a cache has done so far. The sums are taken over counts that every thread keeps for itself: exact while no
/// operation is running, and never behind what the calling thread has done itself.
struct cache_stats {
  std::uint64_t hits = 0;               ///< lookups that found a value
  std::uint64_t misses = 0;             ///< lookups that did not
  std::uint64_t loads = 0;              ///< loaders that returned a value
  std::uint64_t load_failures = 0;      ///< loaders that threw
  std::uint64_t evictions = 0;          ///< entries that left to make room
  std::uint64_t expirations = 0;        ///< entries that left because their time had passed
  std::uint64_t rejections = 0;         ///< values not taken in: heavier than the cache, or no room could be made
  std::uint64_t listener_failures = 0;  ///< removal listeners that threw; the exceptions end there
  std::uint64_t weight = 0;             ///< total weight of the entries now

  /// Hits per lookup, from 0 to 1; 0 before the first lookup.
  [[nodiscard]] constexpr double hit_ratio() const noexcept {
    const std::uint64_t lookups = hits + misses;
    return lookups == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(lookups);
  }
};

}  // namespace banyan
