#pragma once

#include <cstdint>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/alias_table.hpp>
#include <banyan/balance/detail/best_of_drawn.hpp>
#include <banyan/balance/detail/weights.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// Draws two different endpoints at random and takes the one that is less busy: fewer requests in flight, by weight.
/// Where all that were drawn are idle, the first drawn, so that shares go by weight when there is little to do.
///
/// When to use: nearly always. The longest queue is about as short as if all were compared, at the cost of looking at
/// two; many clients that know nothing of each other do not all run to the same endpoint. When not to: the order or the
/// exact shares matter, or requests must come back to the same endpoint.
///
/// `choose` is wait-free and O(choices): beside the alias table (see `random_choice`) a cache line for each choice.
/// Counts of other threads are seen up to 20 microseconds late.
///
/// Source: M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001; with
/// weights, P. Berenbrink et al., "Balls into non-uniform bins", IPDPS 2010.
class power_of_two {
 public:
  struct options {
    std::uint32_t choices = 2;  ///< how many are drawn: from 2 to 16; all, where there are no more than that
  };
  using table = detail::alias_table;

  power_of_two() noexcept = default;
  /// Throws `std::invalid_argument`.
  explicit power_of_two(options wanted) : choices_{wanted.choices} {
    if (choices_ < 2 || choices_ > detail::best_of_drawn::most)
      invalid_option("power_of_two::options.choices", choices_, "must be from 2 to 16");
  }

  /// O(n). Throws `std::bad_alloc`.
  [[nodiscard]] table build(std::span<const candidate> candidates) const {
    return table{detail::weights_of(candidates)};
  }

  [[nodiscard]] std::uint32_t choose(const table& shares, std::span<const candidate> candidates,
                                     pick_context& context) const noexcept {
    return detail::best_of_drawn::choose(choices_, shares, candidates, context,
                                         [&](const candidate& each) noexcept -> detail::burden {
                                           const std::int64_t in_flight = context.in_flight(each);
                                           return {static_cast<double>(in_flight + 1), in_flight == 0};
                                         });
  }

 private:
  std::uint32_t choices_ = 2;
};

static_assert(balance_policy<power_of_two>);

}  // namespace banyan
