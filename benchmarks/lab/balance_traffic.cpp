#include "balance_traffic.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace banyan::lab {
namespace {

constexpr double clients = 10'000;
constexpr double popularity_falls = 0.6;
constexpr double millisecond = 1e6;
constexpr double burst_every = 1000 * millisecond;
constexpr double burst_length = 200 * millisecond;

}  // namespace

balance_traffic::request balance_traffic::next() {
  double ahead = exponential();
  // In bursts the rate changes on the way: each stretch uses up its part.
  while (bursts_) {
    const double phase = std::fmod(at_, burst_every);
    const bool high = phase < burst_length;
    const double rate = rate_ * (high ? 2.6 : 0.6);
    const double left = (high ? burst_length : burst_every) - phase;
    if (ahead <= left * rate) {
      at_ += ahead / rate;
      break;
    }
    ahead -= left * rate;
    at_ += left;
  }
  if (!bursts_) at_ += ahead / rate_;
  const double demand = simulation_options::mean_service_ms * millisecond * unit_demand();
  const double rank = std::floor(clients * std::pow(random_unit(random_), 1 / (1 - popularity_falls)));
  return {std::llround(at_), std::max<std::int64_t>(1, std::llround(demand)),
          mix_bits(static_cast<std::uint64_t>(rank) + 1)};
}

double balance_traffic::exponential() { return -std::log(1 - random_unit(random_)); }

double balance_traffic::unit_demand() {
  switch (service_) {
    case service_times::exponential:
      return exponential();
    case service_times::lognormal: {
      const double radius = std::sqrt(2 * exponential());
      return std::exp(radius * std::cos(2 * std::numbers::pi * random_unit(random_)) - 0.5);
    }
    case service_times::fixed:
      break;
  }
  return 1;
}

}  // namespace banyan::lab
