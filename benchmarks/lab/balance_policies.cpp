#include "balance_policies.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include <banyan/balance/balancer.hpp>
#include <banyan/balance/least_connections.hpp>
#include <banyan/balance/maglev_affinity.hpp>
#include <banyan/balance/peak_ewma.hpp>
#include <banyan/balance/power_of_two.hpp>
#include <banyan/balance/random_choice.hpp>
#include <banyan/balance/rendezvous_affinity.hpp>
#include <banyan/balance/ring_affinity.hpp>
#include <banyan/balance/round_robin.hpp>
#include <banyan/balance/smooth_weighted_round_robin.hpp>
#include <banyan/balance/sticky.hpp>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

template <class Policy>
class balancer_of final : public simulated_balancer {
 public:
  balancer_of(simulated_cluster& members, Policy policy, const balancer_options& options)
      : balancer_{members, std::move(policy), options} {}

  simulated_cluster::token pick(const pick_request& request, simulated_clock::time_point now) noexcept override {
    return balancer_.pick(request, now);
  }

 private:
  balancer<std::uint32_t, Policy, simulated_clock> balancer_;
};

using maker = std::unique_ptr<simulated_balancer> (*)(simulated_cluster&, const balancer_options&);

template <class Policy>
std::unique_ptr<simulated_balancer> make(simulated_cluster& members, const balancer_options& options) {
  return std::make_unique<balancer_of<Policy>>(members, Policy{}, options);
}

std::unique_ptr<simulated_balancer> make_bounded(simulated_cluster& members, const balancer_options& options) {
  maglev_affinity::options bounded;
  bounded.bounded_load = 1.25;
  return std::make_unique<balancer_of<maglev_affinity>>(members, maglev_affinity{bounded}, options);
}

constexpr std::array<std::string_view, 11> names = {"round_robin",     "smooth_weighted_round_robin",
                                                    "random_choice",   "least_connections",
                                                    "power_of_two",    "peak_ewma",
                                                    "sticky",          "ring_affinity",
                                                    "maglev_affinity", "rendezvous_affinity",
                                                    "maglev_bounded"};

constexpr std::array<maker, names.size()> makers = {make<round_robin>,
                                                    make<smooth_weighted_round_robin>,
                                                    make<random_choice>,
                                                    make<least_connections>,
                                                    make<power_of_two>,
                                                    make<peak_ewma>,
                                                    make<sticky<power_of_two>>,
                                                    make<ring_affinity>,
                                                    make<maglev_affinity>,
                                                    make<rendezvous_affinity>,
                                                    make_bounded};

}  // namespace

std::span<const std::string_view> balance_policy_names() noexcept { return names; }

std::unique_ptr<simulated_balancer> make_balancer(std::string_view policy, simulated_cluster& members,
                                                  std::uint64_t seed) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == policy) return makers[i](members, balancer_options{.seed = seed});
  }
  throw bad_input(fmt::format("{}: unknown policy", policy));
}

}  // namespace banyan::lab
