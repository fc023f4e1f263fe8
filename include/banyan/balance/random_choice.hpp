#pragma once

#include <cstdint>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/alias_table.hpp>
#include <banyan/balance/detail/weighted_draw.hpp>
#include <banyan/balance/detail/weights.hpp>

namespace banyan {

/// Anyone, in proportion to the weights.
///
/// When to use: very many threads or processes that know nothing of each other; or as the yardstick for the others.
/// When not to: at any moment some endpoint has several times the mean number of requests; `power_of_two` costs little
/// more and does not.
///
/// `choose` is wait-free and O(1): one random number, one cache line of an alias table of 8 bytes an endpoint, none
/// when the weights are equal. A share is right to within 2^-32 of the whole.
class random_choice {
 public:
  struct options {};
  using table = detail::alias_table;

  random_choice() noexcept = default;
  explicit random_choice(options) noexcept {}

  /// O(n). Throws `std::bad_alloc`.
  [[nodiscard]] table build(std::span<const candidate> candidates) const {
    return table{detail::weights_of(candidates)};
  }

  [[nodiscard]] std::uint32_t choose(const table& shares, std::span<const candidate>,
                                     pick_context& context) const noexcept {
    return detail::weighted_draw(shares, context);
  }
};

static_assert(balance_policy<random_choice>);

}  // namespace banyan
