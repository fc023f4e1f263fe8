#include <banyan/balance/least_connections.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "balance/picking.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::least_connections;
using banyan::testing::misfit;
using banyan::testing::picking;

TEST_CASE("least connections against its definition", "[balance][least_connections]") {
  const std::uint64_t seed = banyan::testing::derived_seed("least connections");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  const std::vector<double> weights{1, 1, 2, 4, 0.5, 1};
  picking<least_connections> six{weights, least_connections{}, seed};
  std::vector<picking<least_connections>::token> held;
  std::vector<int> in_flight(weights.size());
  for (int i = 0; i < 5000; ++i) {
    if (!held.empty() && random.chance(held.size(), 60)) {
      std::swap(held[random.below(held.size())], held.back());
      --in_flight[*held.back()];
      held.pop_back();
      continue;
    }
    double best = std::numeric_limits<double>::max();
    bool idle = false;
    for (std::size_t k = 0; k < weights.size(); ++k) {
      const double load = (in_flight[k] + 1) / weights[k];
      if (load < best) idle = in_flight[k] == 0;
      best = std::min(best, load);
    }
    held.push_back(six.pick());
    const std::size_t chosen = *held.back();
    if (idle) {
      REQUIRE(in_flight[chosen] == 0);
    } else {
      REQUIRE((in_flight[chosen] + 1) / weights[chosen] == best);
    }
    ++in_flight[chosen];
    REQUIRE(six.members().in_flight(held.back().id()) == in_flight[chosen]);
  }
}

TEST_CASE("least connections: ties", "[balance][least_connections]") {
  const std::uint64_t seed = banyan::testing::derived_seed("ties");
  CAPTURE(seed);
  const std::vector<double> weights{5, 1, 2, 2};
  picking<least_connections> four{weights, least_connections{}, seed};
  CHECK(misfit(four.counts(20'000), weights) < 4);  // all idle: by weight

  picking<least_connections> equal{std::vector<double>(4, 1), least_connections{}, seed};
  std::vector<picking<least_connections>::token> held;
  for (int i = 0; i < 4; ++i) held.push_back(equal.pick());
  CHECK(misfit(equal.counts(20'000), {1, 1, 1, 1}) < 4);  // all as busy: alike
}

TEST_CASE("least connections: who is to be avoided", "[balance][least_connections]") {
  picking<least_connections> two{{1, 1}};
  std::vector<picking<least_connections>::token> held;
  for (int i = 0; i < 5; ++i) {
    held.push_back(two.pick({.avoid = two.id(0)}));
    REQUIRE(*held.back() == 1);
  }
  CHECK(two.number() == 0);
  CHECK(two.number({.avoid = two.id(0)}) == 1);
}

}  // namespace
