#pragma once

#include <cstdint>

namespace banyan::detail {

/// The upper half of the 128-bit product. With a well-mixed `a` that is a number below `b`, each equally likely.
[[nodiscard]] constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) noexcept {
#if defined(__SIZEOF_INT128__)
  __extension__ using wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<wide>(a) * b) >> 64);
#else
  constexpr std::uint64_t low_half = 0xffff'ffffU;
  const std::uint64_t low = (a & low_half) * (b & low_half);
  const std::uint64_t cross_1 = (a >> 32) * (b & low_half);
  const std::uint64_t cross_2 = (a & low_half) * (b >> 32);
  const std::uint64_t middle = (low >> 32) + (cross_1 & low_half) + (cross_2 & low_half);
  return (a >> 32) * (b >> 32) + (cross_1 >> 32) + (cross_2 >> 32) + (middle >> 32);
#endif
}

}  // namespace banyan::detail
