#pragma once

#include <cstdint>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/core/random.hpp>

namespace banyan {

/// The one with the fewest requests in flight, this one included, by weight. Of several, one at random; of the idle
/// ones, when one of them would be the choice, one at random by weight.
///
/// When to use: few endpoints and long requests (connections, jobs), where each bit of balance counts. When not to:
/// more than some dozen endpoints or many short requests: it looks at the counts of all threads on all endpoints;
/// `power_of_two` looks at two. And threads that pick at the same moment may all take the same endpoint.
///
/// `choose` is wait-free and O(endpoints * threads).
class least_connections {
 public:
  struct options {};
  struct table {};

  least_connections() noexcept = default;
  explicit least_connections(options) noexcept {}

  [[nodiscard]] table build(std::span<const candidate>) const noexcept { return {}; }

  [[nodiscard]] std::uint32_t choose(const table&, std::span<const candidate> candidates,
                                     pick_context& context) const noexcept {
    std::uint32_t idle = pick_context::none;
    std::uint32_t busy = pick_context::none;
    double idle_weight = 0;  // of all idle ones
    double heaviest_idle = 0;
    double lowest = 0;         // of the busy ones
    std::uint32_t as_low = 0;  // how many
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
      if (context.refused(i)) continue;
      const double weight = candidates[i].weight();
      const std::int64_t in_flight = context.exact_in_flight(candidates[i]);
      if (in_flight == 0) {
        // Each takes the place of its predecessors with the probability of its part of their sum.
        idle_weight += weight;
        if (idle == pick_context::none || random_unit(context) * idle_weight < weight) idle = i;
        if (weight > heaviest_idle) heaviest_idle = weight;
        continue;
      }
      const double load = static_cast<double>(in_flight + 1) / weight;
      if (busy == pick_context::none || load < lowest) {
        busy = i;
        lowest = load;
        as_low = 1;
      } else if (load == lowest && random_below(context, ++as_low) == 0) {
        busy = i;
      }
    }
    if (idle == pick_context::none) return busy;
    return busy != pick_context::none && lowest * heaviest_idle < 1 ? busy : idle;
  }
};

static_assert(balance_policy<least_connections>);

}  // namespace banyan
