#pragma once

#include <cstdint>

#include <banyan/balance/balance_policy.hpp>

namespace banyan::detail {

/// `index` of `size`, or the next after it that has not been refused in this pick; none when all have been. O(attempt),
/// wait-free.
[[nodiscard]] inline std::uint32_t not_refused(std::uint32_t index, std::uint32_t size,
                                               const pick_context& context) noexcept {
  if (context.attempt() == 0) [[likely]]
    return index;
  for (std::uint32_t left = context.attempt() < size ? context.attempt() + 1 : size; left > 0; --left) {
    if (!context.refused(index)) return index;
    index = index + 1 < size ? index + 1 : 0;
  }
  return pick_context::none;
}

}  // namespace banyan::detail
