#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <banyan/hashing/detail/little_endian.hpp>

namespace banyan {

using md5_digest = std::array<std::uint8_t, 16>;

namespace detail {

// floor(2^32 * |sin(i + 1)|), as the RFC prints it.
inline constexpr std::array<std::uint32_t, 64> md5_sines = {
    0xd76aa478U, 0xe8c7b756U, 0x242070dbU, 0xc1bdceeeU, 0xf57c0fafU, 0x4787c62aU, 0xa8304613U, 0xfd469501U,
    0x698098d8U, 0x8b44f7afU, 0xffff5bb1U, 0x895cd7beU, 0x6b901122U, 0xfd987193U, 0xa679438eU, 0x49b40821U,
    0xf61e2562U, 0xc040b340U, 0x265e5a51U, 0xe9b6c7aaU, 0xd62f105dU, 0x02441453U, 0xd8a1e681U, 0xe7d3fbc8U,
    0x21e1cde6U, 0xc33707d6U, 0xf4d50d87U, 0x455a14edU, 0xa9e3e905U, 0xfcefa3f8U, 0x676f02d9U, 0x8d2a4c8aU,
    0xfffa3942U, 0x8771f681U, 0x6d9d6122U, 0xfde5380cU, 0xa4beea44U, 0x4bdecfa9U, 0xf6bb4b60U, 0xbebfbc70U,
    0x289b7ec6U, 0xeaa127faU, 0xd4ef3085U, 0x04881d05U, 0xd9d4d039U, 0xe6db99e5U, 0x1fa27cf8U, 0xc4ac5665U,
    0xf4292244U, 0x432aff97U, 0xab9423a7U, 0xfc93a039U, 0x655b59c3U, 0x8f0ccc92U, 0xffeff47dU, 0x85845dd1U,
    0x6fa87e4fU, 0xfe2ce6e0U, 0xa3014314U, 0x4e0811a1U, 0xf7537e82U, 0xbd3af235U, 0x2ad7d2bbU, 0xeb86d391U};

inline constexpr std::array<std::array<std::uint32_t, 4>, 4> md5_turns = {
    {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};

inline void md5_block(std::array<std::uint32_t, 4>& state, const unsigned char* block) noexcept {
  std::array<std::uint32_t, 16> words;
  for (std::size_t i = 0; i < 16; ++i) words[i] = read_little_endian<std::uint32_t>(block + 4 * i);
  auto [a, b, c, d] = state;
  for (std::size_t i = 0; i < 64; ++i) {
    std::uint32_t mixed = 0;
    std::size_t word = 0;
    switch (i / 16) {
      case 0:
        mixed = (b & c) | (~b & d);
        word = i;
        break;
      case 1:
        mixed = (d & b) | (~d & c);
        word = (5 * i + 1) % 16;
        break;
      case 2:
        mixed = b ^ c ^ d;
        word = (3 * i + 5) % 16;
        break;
      default:
        mixed = c ^ (b | ~d);
        word = (7 * i) % 16;
        break;
    }
    // Not std::rotl, whose second parameter is not of the same type in all standard libraries.
    const std::uint32_t sum = a + mixed + md5_sines[i] + words[word];
    const std::uint32_t turn = md5_turns[i / 16][i % 4];
    const std::uint32_t turned = (sum << turn) | (sum >> (32 - turn));
    a = d;
    d = c;
    c = b;
    b += turned;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

}  // namespace detail

/// MD5 of the text's bytes. For agreement with systems that place keys by it; it protects nothing. O(size), wait-free.
///
/// Source: R. Rivest, "The MD5 message-digest algorithm", RFC 1321.
[[nodiscard]] inline md5_digest md5(std::string_view text) noexcept {
  std::array<std::uint32_t, 4> state = {0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U};
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  for (; left >= 64; left -= 64, from += 64) detail::md5_block(state, from);
  // A one bit, zeros, and the length in bits: in one block more, or in two.
  std::array<unsigned char, 128> tail{};
  std::copy_n(from, left, tail.begin());
  tail[left] = 0x80;
  const std::size_t end = left < 56 ? 64 : 128;
  const std::uint64_t bits = static_cast<std::uint64_t>(text.size()) * 8;
  for (std::size_t i = 0; i < 8; ++i) tail[end - 8 + i] = static_cast<unsigned char>(bits >> (8 * i));
  detail::md5_block(state, tail.data());
  if (end == 128) detail::md5_block(state, tail.data() + 64);
  md5_digest digest;
  for (std::size_t i = 0; i < 16; ++i) digest[i] = static_cast<std::uint8_t>(state[i / 4] >> (8 * (i % 4)));
  return digest;
}

}  // namespace banyan
