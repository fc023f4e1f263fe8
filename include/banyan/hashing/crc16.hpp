#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace banyan {

namespace detail {

[[nodiscard]] constexpr std::array<std::uint16_t, 256> make_crc16_table() noexcept {
  std::array<std::uint16_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte << 8;
    for (int bit = 0; bit < 8; ++bit) rest = (rest << 1) ^ ((rest & 0x8000U) != 0 ? 0x1021U : 0U);
    table[byte] = static_cast<std::uint16_t>(rest);
  }
  return table;
}

inline constexpr std::array<std::uint16_t, 256> crc16_table = make_crc16_table();

}  // namespace detail

/// CRC-16 as in XMODEM and Redis Cluster (polynomial 0x1021, beginning with 0, not reflected). O(size), wait-free.
///
/// Source: ITU-T V.41; Redis Cluster specification, appendix A.
[[nodiscard]] constexpr std::uint16_t crc16(std::string_view text) noexcept {
  std::uint32_t rest = 0;
  for (const char c : text) {
    rest = ((rest << 8) ^ detail::crc16_table[((rest >> 8) ^ static_cast<unsigned char>(c)) & 0xffU]) & 0xffffU;
  }
  return static_cast<std::uint16_t>(rest);
}

}  // namespace banyan
