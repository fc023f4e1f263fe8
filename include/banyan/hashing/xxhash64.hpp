#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <banyan/hashing/detail/little_endian.hpp>

namespace banyan {

namespace detail {

inline constexpr std::uint64_t xxhash_prime_1 = 0x9e3779b185ebca87U;
inline constexpr std::uint64_t xxhash_prime_2 = 0xc2b2ae3d27d4eb4fU;
inline constexpr std::uint64_t xxhash_prime_3 = 0x165667b19e3779f9U;
inline constexpr std::uint64_t xxhash_prime_4 = 0x85ebca77c2b2ae63U;
inline constexpr std::uint64_t xxhash_prime_5 = 0x27d4eb2f165667c5U;

[[nodiscard]] constexpr std::uint64_t xxhash_round(std::uint64_t lane, std::uint64_t input) noexcept {
  return std::rotl(lane + input * xxhash_prime_2, 31) * xxhash_prime_1;
}

}  // namespace detail

/// XXH64 of the text's bytes, the same on every machine. Not for use against adversaries. O(size), wait-free.
///
/// Source: Y. Collet, xxHash specification 0.1.1.
[[nodiscard]] inline std::uint64_t xxhash64(std::string_view text, std::uint64_t seed = 0) noexcept {
  using namespace detail;
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  std::uint64_t hash = seed + xxhash_prime_5;
  if (left >= 32) {
    std::uint64_t lanes[4] = {seed + xxhash_prime_1 + xxhash_prime_2, seed + xxhash_prime_2, seed,
                              seed - xxhash_prime_1};
    for (; left >= 32; left -= 32) {
      for (std::uint64_t& lane : lanes) {
        lane = xxhash_round(lane, read_little_endian<std::uint64_t>(from));
        from += 8;
      }
    }
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (const std::uint64_t lane : lanes) {
      hash = (hash ^ xxhash_round(0, lane)) * xxhash_prime_1 + xxhash_prime_4;
    }
  }
  hash += text.size();
  for (; left >= 8; left -= 8, from += 8) {
    hash ^= xxhash_round(0, read_little_endian<std::uint64_t>(from));
    hash = std::rotl(hash, 27) * xxhash_prime_1 + xxhash_prime_4;
  }
  if (left >= 4) {
    hash ^= read_little_endian<std::uint32_t>(from) * xxhash_prime_1;
    hash = std::rotl(hash, 23) * xxhash_prime_2 + xxhash_prime_3;
    left -= 4;
    from += 4;
  }
  for (; left > 0; --left, ++from) hash = std::rotl(hash ^ (*from * xxhash_prime_5), 11) * xxhash_prime_1;
  hash = (hash ^ (hash >> 33)) * xxhash_prime_2;
  hash = (hash ^ (hash >> 29)) * xxhash_prime_3;
  return hash ^ (hash >> 32);
}

}  // namespace banyan
