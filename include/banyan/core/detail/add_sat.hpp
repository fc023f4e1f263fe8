#pragma once

#include <cstdint>
#include <limits>

namespace banyan::detail {

/// `a + b`, or the nearest number there is: C++26's `std::add_sat`, for times and how long they last.
[[nodiscard]] constexpr std::int64_t add_sat(std::int64_t a, std::int64_t b) noexcept {
  using limits = std::numeric_limits<std::int64_t>;
  if (b > 0 && a > limits::max() - b) return limits::max();
  if (b < 0 && a < limits::min() - b) return limits::min();
  return a + b;
}

}  // namespace banyan::detail
