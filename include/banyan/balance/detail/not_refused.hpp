#pragma once

#include <cstdint>

#include <banyan/balance/balance_policy.hpp>

namespace banyan::detail {

/// Where only some have what a request needs, a policy that comes to one of the others goes on so many times at most.
inline constexpr std::uint32_t most_asked = 32;

/// `index` of `size`, or the next after it that is not refused; none when none of the next `most_asked` is. Wait-free.
[[nodiscard]] inline std::uint32_t not_refused(std::uint32_t index, std::uint32_t size,
                                               const pick_context& context) noexcept {
  if (context.open()) [[likely]]
    return index;
  for (std::uint32_t left = size < most_asked ? size : most_asked; left > 0; --left) {
    if (!context.refused(index)) return index;
    index = index + 1 < size ? index + 1 : 0;
  }
  return pick_context::none;
}

}  // namespace banyan::detail
