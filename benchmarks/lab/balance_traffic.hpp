#pragma once

#include <cstdint>

#include <banyan/core/random.hpp>

#include "balance_simulation.hpp"

namespace banyan::lab {

/// What the clients of a simulation bring: the same for every policy. Times are in nanoseconds from its start.
class balance_traffic {
 public:
  struct request {
    std::int64_t at;
    std::int64_t demand;  ///< of a worker of usual speed
    std::uint64_t key;
  };

  balance_traffic(const simulation_options& options, bool bursts)
      : service_{options.service}, bursts_{bursts}, random_{options.seed} {}

  /// Mean arrivals in a nanosecond; before the first request.
  void set_rate(double rate) noexcept { rate_ = rate; }

  request next();

 private:
  double exponential();
  double unit_demand();

  service_times service_;
  bool bursts_;
  double rate_ = 0;
  double at_ = 0;
  xoshiro256 random_;
};

}  // namespace banyan::lab
