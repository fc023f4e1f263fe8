#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace banyan {

namespace detail {

[[nodiscard]] constexpr std::array<std::uint32_t, 256> make_crc32_table() noexcept {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1U) != 0 ? 0xedb88320U : 0U);
    table[byte] = rest;
  }
  return table;
}

inline constexpr std::array<std::uint32_t, 256> crc32_table = make_crc32_table();

}  // namespace detail

/// CRC-32 as in zlib, PNG and Ethernet (polynomial 0x04c11db7, reflected): a running sum begins with 0, and `before` is
/// the sum of what came before `text`. O(size), wait-free.
///
/// Source: ISO 3309, ITU-T V.42.
[[nodiscard]] constexpr std::uint32_t crc32(std::string_view text, std::uint32_t before = 0) noexcept {
  std::uint32_t rest = ~before;
  for (const char c : text) rest = detail::crc32_table[(rest ^ static_cast<unsigned char>(c)) & 0xffU] ^ (rest >> 8);
  return ~rest;
}

}  // namespace banyan
