#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster/cluster.hpp>
#include <banyan/core/clock.hpp>

namespace banyan::lab {

/// The simulation's clock; it is never set: every call is given its time.
using simulated_clock = basic_manual_clock<struct balance_simulation_tag>;

/// Members are known by their number.
using simulated_cluster = cluster<std::uint32_t, simulated_clock>;

/// One of the library's balancers, whichever its policy.
class simulated_balancer {
 public:
  simulated_balancer() = default;
  simulated_balancer(const simulated_balancer&) = delete;
  simulated_balancer& operator=(const simulated_balancer&) = delete;
  virtual ~simulated_balancer() = default;

  [[nodiscard]] virtual simulated_cluster::token pick(const pick_request& request,
                                                      simulated_clock::time_point now) noexcept = 0;
};

/// Names of the balancing policies under study, as in the library; `maglev_bounded` is `maglev_affinity` with a bounded
/// load of 1.25, `sticky` is a session table over `power_of_two`.
std::span<const std::string_view> balance_policy_names() noexcept;

/// A balancer over `members`, with the policy's defaults. Throws `bad_input` for an unknown policy.
std::unique_ptr<simulated_balancer> make_balancer(std::string_view policy, simulated_cluster& members,
                                                  std::uint64_t seed);

}  // namespace banyan::lab
