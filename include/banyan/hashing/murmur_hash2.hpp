#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <banyan/hashing/detail/little_endian.hpp>

namespace banyan {

/// MurmurHash64A of the text's bytes, the same on every machine. The default seed is the one of libstdc++'s `std::hash`
/// on 64-bit machines and of Envoy's MURMUR_HASH_2. O(size), wait-free.
///
/// Source: A. Appleby, MurmurHash2, 2008.
[[nodiscard]] inline std::uint64_t murmur_hash2_64a(std::string_view text, std::uint64_t seed = 0xc70f6907U) noexcept {
  constexpr std::uint64_t factor = 0xc6a4a7935bd1e995U;
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  std::uint64_t hash = seed ^ (left * factor);
  for (; left >= 8; left -= 8, from += 8) {
    std::uint64_t k = detail::read_little_endian<std::uint64_t>(from) * factor;
    k = (k ^ (k >> 47)) * factor;
    hash = (hash ^ k) * factor;
  }
  if (left > 0) {
    for (std::size_t i = 0; i < left; ++i) hash ^= std::uint64_t{from[i]} << (8 * i);
    hash *= factor;
  }
  hash = (hash ^ (hash >> 47)) * factor;
  return hash ^ (hash >> 47);
}

}  // namespace banyan
