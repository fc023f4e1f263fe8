#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "balance_scenario.hpp"
#include "service_times.hpp"

namespace banyan::lab {

/// What a simulation is run with.
struct simulation_options {
  std::size_t servers = 10;   ///< at the start; from 1
  std::uint32_t workers = 1;  ///< of each server: requests that it works on at once; from 1
  double load = 0.8;          ///< mean arrivals as a share of what the servers can do; above 0
  std::uint64_t requests = 100'000;
  std::uint32_t retries = 1;  ///< of a request that failed; one that timed out is not tried again
  service_times service = service_times::exponential;
  std::uint64_t seed = 1;

  static constexpr double mean_service_ms = 10;
  static constexpr double timeout_ms = 500;  ///< from the arrival, over all attempts
};

/// What became of one server.
struct server_result {
  std::uint64_t picks = 0;
  std::uint32_t workers = 0;
  double busy = 0;                 ///< of its workers' time since it was there
  std::vector<float> in_flight{};  ///< requests there for each worker, means over equal parts of the run
};

/// One request in `one_in` took longer than `ms`.
struct latency_point {
  double one_in = 1;
  double ms = 0;
};

/// What a policy did in a scenario. Latencies are of all requests, in ms from arrival to answer or until it was given
/// up; percentiles are of nearest rank.
struct simulation_result {
  std::uint64_t requests = 0;
  double mean_ms = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double p999_ms = 0;
  std::vector<latency_point> curve{};  ///< from one in 1 up to one in a tenth of the requests
  std::uint64_t errors = 0;            ///< requests that failed in the end
  std::uint64_t retried = 0;           ///< requests that were sent a second time
  std::uint64_t picks = 0;
  std::int64_t left_in_flight = 0;  ///< what the cluster believes to be under way at the end; must be 0
  double run_seconds = 0;           ///< simulated
  double seconds = 0;               ///< of this machine
  std::vector<server_result> servers{};

  [[nodiscard]] double error_ratio() const noexcept;
  [[nodiscard]] double retried_ratio() const noexcept;
  /// Coefficient of variation of the servers' busy shares; 0 is even.
  [[nodiscard]] double load_spread() const noexcept;
  /// Of all picks, those that went to this server.
  [[nodiscard]] double share_of(std::size_t server) const noexcept;
};

/// A discrete-event simulation over a real cluster and balancer, in one thread and simulated time. Requests arrive by
/// themselves (Poisson), each with a key of one of 10,000 clients (popularity 1 / rank^0.6). A server has workers and a
/// queue, first come first served. The same options give every policy the same arrivals, keys and demands, and the same
/// result on every run. Calls `advance` with the number of requests done now and then. Throws `bad_input` for an
/// unknown policy.
simulation_result simulate(const balance_scenario& scenario, std::string_view policy, const simulation_options& options,
                           const std::function<void(std::uint64_t)>& advance = {});

}  // namespace banyan::lab
