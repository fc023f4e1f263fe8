#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <banyan/core/detail/wide_product.hpp>

namespace banyan::detail {

/// log2(1 + i / 256) in units of 2^-40, by squaring: each doubling of the logarithm gives its next bit.
[[nodiscard]] constexpr std::array<std::uint64_t, 257> make_log2_table() noexcept {
  std::array<std::uint64_t, 257> table{};
  for (std::size_t i = 0; i < 256; ++i) {
    std::uint64_t x = (256 + std::uint64_t{i}) << 55;  // in [1, 2), 63 bits behind the point
    std::uint64_t log = 0;
    for (int bit = 0; bit < 40; ++bit) {
      x = multiply_high(x, x);  // in [1, 4), 62 bits behind the point
      log <<= 1;
      if ((x >> 63) != 0) {
        log |= 1;
      } else {
        x <<= 1;
      }
    }
    table[i] = log;
  }
  table[256] = std::uint64_t{1} << 40;
  return table;
}

inline constexpr std::array<std::uint64_t, 257> log2_table = make_log2_table();

/// -log2(u / 2^64) in units of 2^-40, within 0.2 %: in whole numbers, because the standard library's logarithm differs
/// between machines in its last bits. Never increases with u.
[[nodiscard]] constexpr std::uint64_t negative_log2(std::uint64_t u) noexcept {
  u |= 1;
  const int zeros = std::countl_zero(u);
  u <<= zeros;
  const std::size_t i = (u >> 55) & 0xffU;
  const std::uint64_t part = (u >> 24) & 0x7fff'ffffU;  // how far from table[i] to table[i + 1], of 2^31
  const std::uint64_t fraction = log2_table[i] + (((log2_table[i + 1] - log2_table[i]) * part) >> 31);
  return (std::uint64_t{1} << 40) * (static_cast<std::uint64_t>(zeros) + 1) - fraction;
}

}  // namespace banyan::detail
