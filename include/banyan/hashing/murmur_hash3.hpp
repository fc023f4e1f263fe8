#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <banyan/hashing/detail/little_endian.hpp>

namespace banyan {

namespace detail {

inline constexpr std::uint64_t murmur3_factor_1 = 0x87c37b91114253d5U;
inline constexpr std::uint64_t murmur3_factor_2 = 0x4cf5ad432745937fU;

[[nodiscard]] constexpr std::uint64_t murmur3_mix_1(std::uint64_t k) noexcept {
  return std::rotl(k * murmur3_factor_1, 31) * murmur3_factor_2;
}
[[nodiscard]] constexpr std::uint64_t murmur3_mix_2(std::uint64_t k) noexcept {
  return std::rotl(k * murmur3_factor_2, 33) * murmur3_factor_1;
}
[[nodiscard]] constexpr std::uint64_t murmur3_finish(std::uint64_t k) noexcept {
  k = (k ^ (k >> 33)) * 0xff51afd7ed558ccdU;
  k = (k ^ (k >> 33)) * 0xc4ceb9fe1a85ec53U;
  return k ^ (k >> 33);
}

/// `TailByte` is the type that the last up to 15 bytes are read as: the signed one gives Cassandra's variant.
template <class TailByte>
[[nodiscard]] std::array<std::uint64_t, 2> murmur3_x64_128(std::string_view text, std::uint64_t seed) noexcept {
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  std::uint64_t h1 = seed;
  std::uint64_t h2 = seed;
  for (; left >= 16; left -= 16, from += 16) {
    h1 ^= murmur3_mix_1(read_little_endian<std::uint64_t>(from));
    h1 = (std::rotl(h1, 27) + h2) * 5 + 0x52dce729U;
    h2 ^= murmur3_mix_2(read_little_endian<std::uint64_t>(from + 8));
    h2 = (std::rotl(h2, 31) + h1) * 5 + 0x38495ab5U;
  }
  std::uint64_t k1 = 0;
  std::uint64_t k2 = 0;
  for (std::size_t i = 0; i < left; ++i) {
    std::uint64_t byte = from[i];
    if (std::is_signed_v<TailByte> && byte >= 0x80) byte |= ~std::uint64_t{0xff};
    (i < 8 ? k1 : k2) ^= byte << (8 * (i % 8));
  }
  h2 ^= murmur3_mix_2(k2);
  h1 ^= murmur3_mix_1(k1);
  h1 ^= text.size();
  h2 ^= text.size();
  h1 += h2;
  h2 += h1;
  h1 = murmur3_finish(h1);
  h2 = murmur3_finish(h2);
  h1 += h2;
  return {h1, h2 + h1};
}

}  // namespace detail

/// MurmurHash3_x86_32 of the text's bytes, the same on every machine. O(size), wait-free.
///
/// Source: A. Appleby, SMHasher, 2011.
[[nodiscard]] inline std::uint32_t murmur_hash3_x86_32(std::string_view text, std::uint32_t seed = 0) noexcept {
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  const auto mix = [](std::uint32_t k) { return std::rotl(k * 0xcc9e2d51U, 15) * 0x1b873593U; };
  std::uint32_t hash = seed;
  for (; left >= 4; left -= 4, from += 4) {
    hash ^= mix(detail::read_little_endian<std::uint32_t>(from));
    hash = std::rotl(hash, 13) * 5 + 0xe6546b64U;
  }
  std::uint32_t k = 0;
  for (std::size_t i = 0; i < left; ++i) k ^= std::uint32_t{from[i]} << (8 * i);
  hash ^= mix(k);
  hash ^= static_cast<std::uint32_t>(text.size());
  hash = (hash ^ (hash >> 16)) * 0x85ebca6bU;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35U;
  return hash ^ (hash >> 16);
}

/// MurmurHash3_x64_128 of the text's bytes, the same on every machine. O(size), wait-free.
///
/// Source: A. Appleby, SMHasher, 2011.
[[nodiscard]] inline std::array<std::uint64_t, 2> murmur_hash3_x64_128(std::string_view text,
                                                                       std::uint32_t seed = 0) noexcept {
  return detail::murmur3_x64_128<unsigned char>(text, seed);
}

}  // namespace banyan
