#pragma once

#include <cstdint>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/alias_table.hpp>
#include <banyan/balance/detail/best_of_drawn.hpp>
#include <banyan/balance/detail/weights.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// Draws two different endpoints at random and takes the one where a request is likely to take less time: latency times
/// requests in flight, this one included, divided by the weight.
///
/// The latency is a moving average that follows a higher value at once and a lower one slowly, and halves with time
/// when nothing is heard (`cluster_options::latency_half_life`), so that a slow endpoint is tried again. Failures count
/// as at least `cluster_options::failure_penalty`: an endpoint that fails fast does not attract requests. One of which
/// nothing is known is tried at once; while that first request is out it counts as slow.
///
/// When to use: endpoints of different or changing speed, and latency is what matters. The tokens must report it
/// (`pick_token::succeeded(latency)`). When not to: requests differ widely in cost; then latency says more about the
/// request than about the endpoint (`power_of_two`).
///
/// `choose` is wait-free and O(choices), and reads the clock once: see `power_of_two`.
///
/// Source: the peak EWMA load metric of Twitter's Finagle.
class peak_ewma {
 public:
  struct options {
    std::uint32_t choices = 2;  ///< how many are drawn: from 2 to 16; all, where there are no more than that
  };
  using table = detail::alias_table;

  peak_ewma() noexcept = default;
  /// Throws `std::invalid_argument`.
  explicit peak_ewma(options wanted) : choices_{wanted.choices} {
    if (choices_ < 2 || choices_ > detail::best_of_drawn::most)
      invalid_option("peak_ewma::options.choices", choices_, "must be from 2 to 16");
  }

  /// O(n). Throws `std::bad_alloc`.
  [[nodiscard]] table build(std::span<const candidate> candidates) const {
    return table{detail::weights_of(candidates)};
  }

  [[nodiscard]] std::uint32_t choose(const table& shares, std::span<const candidate> candidates,
                                     pick_context& context) const noexcept {
    return detail::best_of_drawn::choose(
        choices_, shares, candidates, context, [&](const candidate& each) noexcept -> detail::burden {
          const auto with_this = static_cast<double>(context.in_flight(each) + 1);
          const auto latency = static_cast<double>(context.latency(each));
          if (latency > 0) return {latency * with_this, false};
          return with_this > 1 ? detail::burden{slow * with_this, false} : detail::burden{0, true};
        });
  }

 private:
  static constexpr double slow = 1e18;  // nanoseconds: 31 years

  std::uint32_t choices_ = 2;
};

static_assert(balance_policy<peak_ewma>);

}  // namespace banyan
