#pragma once

#include <cstdint>

namespace banyan::detail {

/// O(sqrt(n)).
[[nodiscard]] constexpr bool is_prime(std::uint32_t n) noexcept {
  if (n < 4) return n > 1;
  if (n % 2 == 0) return false;
  for (std::uint32_t d = 3; d <= n / d; d += 2) {
    if (n % d == 0) return false;
  }
  return true;
}

}  // namespace banyan::detail
