#pragma once

#include <cstdint>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/alias_table.hpp>
#include <banyan/balance/detail/not_refused.hpp>

namespace banyan::detail {

/// An index drawn by weight that is not refused; none when that does not find one. Wait-free.
[[nodiscard]] inline std::uint32_t weighted_draw(const alias_table& shares, pick_context& context) noexcept {
  std::uint32_t index = shares.draw(context());
  if (context.open()) [[likely]]
    return index;
  // Drawn again, so that the others share by weight what the refused one does not take; but not for ever.
  for (std::uint32_t redraws = context.selective() ? most_asked : 4; redraws > 0 && context.refused(index); --redraws)
    index = shares.draw(context());
  return not_refused(index, shares.size(), context);
}

}  // namespace banyan::detail
