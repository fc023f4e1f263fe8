#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include <banyan/core/random.hpp>

namespace banyan {

/// The bucket of a key, below `buckets`; 2^32 - 1 when there are none. When the number of buckets grows, keys move to
/// the new ones alone; only the last bucket can go. The key need not be well mixed. No memory; expected O(1), without
/// division or floating point; wait-free.
///
/// How it goes: buckets come in octaves, [2^i, 2^(i + 1)). As the buckets grew from 1, the key moved into some of the
/// octaves and not into others; one random word says into which. In an octave that is complete the key sits in a bucket
/// as good as any. So only the highest octave, which may lack buckets, is replayed, backwards: from bucket to lower
/// bucket, until one is there, or the octave is left for the next lower one that the key moved into.
///
/// Source: O. Ertl, "JumpBackHash: say goodbye to the modulo operation to distribute keys uniformly to buckets", 2024.
[[nodiscard]] constexpr std::uint32_t jump_back_hash(std::uint64_t key, std::uint32_t buckets) noexcept {
  constexpr std::uint32_t all = std::numeric_limits<std::uint32_t>::max();
  if (buckets < 2) return buckets == 0 ? all : 0;
  splitmix64 random{key};
  const std::uint64_t first = random();
  std::uint32_t octaves = static_cast<std::uint32_t>(first ^ (first >> 32)) & (all >> std::countl_zero(buckets - 1));
  while (octaves != 0) {
    const std::uint32_t low = std::bit_floor(octaves);
    // The two halves of the word take turns, so that neighbouring octaves do not share their bits.
    const int half = (std::popcount(octaves) & 1) * 32;
    const std::uint32_t bucket = low | (static_cast<std::uint32_t>(first >> half) & (low - 1));
    if (bucket < buckets) return bucket;
    const std::uint32_t mask = low | (low - 1);
    for (bool inside = true; inside;) {
      const std::uint64_t drawn = random();
      for (const int shift : {0, 32}) {
        const std::uint32_t back = static_cast<std::uint32_t>(drawn >> shift) & mask;
        inside = back >= low;
        if (!inside) break;
        if (back < buckets) return back;
      }
    }
    octaves ^= low;
  }
  return 0;
}

}  // namespace banyan
