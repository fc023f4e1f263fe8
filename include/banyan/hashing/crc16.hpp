#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace banyan {

namespace detail {

inline constexpr std::size_t crc16_slices = 8;

/// `[k][byte]`: what a byte comes to when k bytes more have followed it.
[[nodiscard]] constexpr std::array<std::array<std::uint16_t, 256>, crc16_slices> make_crc16_tables() noexcept {
  std::array<std::array<std::uint16_t, 256>, crc16_slices> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte << 8;
    for (auto& table : tables) {
      for (int bit = 0; bit < 8; ++bit) rest = (rest << 1) ^ ((rest & 0x8000U) != 0 ? 0x1021U : 0U);
      rest &= 0xffffU;
      table[byte] = static_cast<std::uint16_t>(rest);
    }
  }
  return tables;
}

inline constexpr std::array<std::array<std::uint16_t, 256>, crc16_slices> crc16_tables = make_crc16_tables();

}  // namespace detail

/// CRC-16 as in XMODEM and Redis Cluster (polynomial 0x1021, beginning with 0, not reflected). O(size), wait-free.
/// Takes eight bytes at a time, by 4 KiB of tables.
///
/// Source: ITU-T V.41; Redis Cluster specification, appendix A; eight at a time: M. Kounavis, F. Berry, "Novel
/// table lookup-based algorithms for high-performance CRC generation", IEEE Transactions on Computers 57(11), 2008.
[[nodiscard]] constexpr std::uint16_t crc16(std::string_view text) noexcept {
  const auto& tables = detail::crc16_tables;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::uint32_t rest = 0;
  for (; text.size() >= detail::crc16_slices; text.remove_prefix(detail::crc16_slices)) {
    // What has been summed up so far counts as if it had been added to the next two bytes.
    const std::uint32_t high = (rest >> 8) ^ byte(0);
    const std::uint32_t low = (rest & 0xffU) ^ byte(1);
    rest =
        static_cast<std::uint32_t>(tables[7][high] ^ tables[6][low] ^ tables[5][byte(2)] ^ tables[4][byte(3)] ^
                                   tables[3][byte(4)] ^ tables[2][byte(5)] ^ tables[1][byte(6)] ^ tables[0][byte(7)]);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    rest = ((rest << 8) ^ tables[0][((rest >> 8) ^ byte(i)) & 0xffU]) & 0xffffU;
  }
  return static_cast<std::uint16_t>(rest);
}

}  // namespace banyan
