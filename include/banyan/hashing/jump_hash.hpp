#pragma once

#include <cstdint>
#include <limits>

namespace banyan {

/// The bucket of a key, below `buckets`; 2^32 - 1 when there are none. When the number of buckets grows, keys move to
/// the new ones alone; only the last bucket can go. The key need not be well mixed. No memory; O(log buckets), with a
/// division for each step; wait-free. The values are those of the paper.
///
/// Source: J. Lamping, E. Veach, "A fast, minimal memory, consistent hash algorithm", 2014.
[[nodiscard]] constexpr std::uint32_t jump_hash(std::uint64_t key, std::uint32_t buckets) noexcept {
  if (buckets == 0) return std::numeric_limits<std::uint32_t>::max();
  std::int64_t bucket = 0;
  for (std::int64_t next = 0; next < std::int64_t{buckets};) {
    bucket = next;
    key = key * 2862933555777941757U + 1;
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) *
                                     (2147483648.0 / static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<std::uint32_t>(bucket);
}

}  // namespace banyan
