#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "limit_policies.hpp"
#include "limit_scenario.hpp"
#include "service_times.hpp"

namespace banyan::lab {

/// What a simulation of overload is run with.
struct limit_simulation_options {
  std::uint32_t workers = 10;   ///< from 3
  double load = 0.7;            ///< usual arrivals as a share of what the workers can do; above 0
  std::uint32_t seconds = 300;  ///< of simulated time; from 9
  std::uint32_t retries = 3;    ///< of a request whose attempt failed or timed out
  double timeout_ms = 300;      ///< of one attempt; above 0
  service_times service = service_times::exponential;
  std::uint64_t seed = 1;

  static constexpr double mean_service_ms = 10;
  static constexpr double hang_ms = 250;          ///< after which the service gives up what hangs
  static constexpr double refusal_ms = 1;         ///< until the client hears of a refusal
  static constexpr double refusal_work_ms = 0.1;  ///< that a refusal costs the workers
  static constexpr std::uint32_t clients = 20;

  /// Requests a second that the workers can do in good times.
  [[nodiscard]] double capacity() const noexcept { return workers * 1000 / mean_service_ms; }
};

/// Sums over some time. Requests are counted when they arrived, attempts and work when they were made or done.
struct limit_sums {
  double arrived = 0;
  double answered = 0;  ///< in time: goodput
  double possible = 0;  ///< requests that arrived, or those that the workers could have done, whichever is less
  double critical = 0;
  double critical_answered = 0;
  double attempts = 0;
  double refused = 0;    ///< attempts, by the gate, by an impatient queue, or by the client's own breaker
  double worked = 0;     ///< seconds of workers
  double wasted = 0;     ///< ... of these on what nobody waited for any more, or what failed
  double limit = 0;      ///< mean
  double in_flight = 0;  ///< mean; in the service, waiting or worked on
  double seconds = 0;

  /// 1: all that was possible.
  [[nodiscard]] double goodput() const noexcept { return possible > 0 ? answered / possible : 1; }
  [[nodiscard]] double refused_ratio() const noexcept { return attempts > 0 ? refused / attempts : 0; }
  [[nodiscard]] double wasted_ratio() const noexcept { return worked > 0 ? wasted / worked : 0; }
  [[nodiscard]] double critical_ratio() const noexcept { return critical > 0 ? critical_answered / critical : 1; }
};

/// A phase of a run. Latencies are of answered requests, in ms from the arrival over all attempts, of nearest rank.
struct limit_phase_result {
  limit_phase phase{};
  limit_sums sums{};
  double p50_ms = 0;
  double p99_ms = 0;
};

/// What a policy did in a scenario.
struct limit_simulation_result {
  std::vector<limit_sums> seconds{};  ///< of the run, each by itself
  std::vector<limit_phase_result> phases{};
  /// After the trouble, until nine tenths of what arrives are answered and it stays so; none: not within the run, or
  /// there was no trouble.
  std::optional<double> recovered_after{};
  std::size_t left_in_flight = 0;  ///< permits not given back when all was done; must be 0
  double machine_seconds = 0;
};

/// A discrete-event simulation of one service and its clients, in one thread and simulated time; see docs/lab.md. The
/// same options give every policy the same arrivals and demands, and the same result on every run. Calls `advance` with
/// the number of simulated seconds done now and then. Throws `bad_input` for an unknown policy.
limit_simulation_result simulate_overload(const limit_scenario& scenario, std::string_view policy,
                                          const limit_simulation_options& options,
                                          const std::function<void(std::uint64_t)>& advance = {});

}  // namespace banyan::lab
