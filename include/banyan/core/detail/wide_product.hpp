#pragma once

#include <compare>
#include <cstdint>

namespace banyan::detail {

/// A product of two 64-bit numbers. The one place for arithmetic in 128 bits. O(1), wait-free.
struct wide_product {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend constexpr auto operator<=>(const wide_product&, const wide_product&) = default;
};

/// For compilers without 128-bit numbers.
namespace portable {

[[nodiscard]] constexpr wide_product multiply(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t low_half = 0xffff'ffffU;
  const std::uint64_t low = (a & low_half) * (b & low_half);
  const std::uint64_t cross_1 = (a >> 32) * (b & low_half);
  const std::uint64_t cross_2 = (a & low_half) * (b >> 32);
  const std::uint64_t middle = (low >> 32) + (cross_1 & low_half) + (cross_2 & low_half);
  return {(a >> 32) * (b >> 32) + (cross_1 >> 32) + (cross_2 >> 32) + (middle >> 32),
          (middle << 32) | (low & low_half)};
}

[[nodiscard]] constexpr std::uint64_t divide(wide_product dividend, std::uint64_t by) noexcept {
  std::uint64_t rest = dividend.high;
  std::uint64_t quotient = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const bool carried = (rest >> 63) != 0;
    rest = (rest << 1) | ((dividend.low >> bit) & 1);
    quotient <<= 1;
    if (carried || rest >= by) {
      rest -= by;
      quotient |= 1;
    }
  }
  return quotient;
}

}  // namespace portable

[[nodiscard]] constexpr wide_product multiply(std::uint64_t a, std::uint64_t b) noexcept {
#if defined(__SIZEOF_INT128__)
  __extension__ using number = unsigned __int128;
  const number product = static_cast<number>(a) * b;
  return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
#else
  return portable::multiply(a, b);
#endif
}

/// The upper half of the product. With a well-mixed `a` that is a number below `b`, each equally likely.
[[nodiscard]] constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) noexcept {
  return multiply(a, b).high;
}

/// Both halves folded together: every bit of the result depends on nearly all bits of both factors.
[[nodiscard]] constexpr std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) noexcept {
  const wide_product product = multiply(a, b);
  return product.low ^ product.high;
}

/// Rounded down; `by` above the dividend's high half, so that the quotient fits.
[[nodiscard]] constexpr std::uint64_t divide(wide_product dividend, std::uint64_t by) noexcept {
#if defined(__SIZEOF_INT128__)
  __extension__ using number = unsigned __int128;
  return static_cast<std::uint64_t>(((static_cast<number>(dividend.high) << 64) | dividend.low) / by);
#else
  return portable::divide(dividend, by);
#endif
}

}  // namespace banyan::detail
