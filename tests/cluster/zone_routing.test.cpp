#include <banyan/cluster/zone_routing.hpp>

#include <cstddef>
#include <numeric>
#include <vector>

#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::local_share;
using banyan::spread_over_zones;
using banyan::testing::infinity;
using banyan::testing::near;
using banyan::testing::not_a_number;
using banyan::testing::refused_field;

double sum(const std::vector<double>& shares) { return std::accumulate(shares.begin(), shares.end(), 0.0); }

}  // namespace

TEST_CASE("requests stay in their zone while it can carry them") {
  CHECK(local_share(0.5, 1.0 / 3) == 1);
  CHECK(local_share(0.5, 0.5) == 1);
  CHECK(near(local_share(0.25, 0.5), 0.5));
  CHECK(near(local_share(0.01, 1), 0.01));
  CHECK(local_share(0, 0.5) == 0);
  CHECK(local_share(0, 0) == 0);
  CHECK(local_share(0.5, 0) == 1);
  CHECK(local_share(not_a_number, 0.5) == 0);
}

TEST_CASE("what leaves a zone goes to those that have capacity to spare") {
  // Three zones of callers alike: the first two are short, the third has room.
  const std::vector<double> capacities{20, 30, 70};
  const auto first = spread_over_zones(capacities, 0);
  CHECK(near(first[0], 0.5));
  CHECK(first[1] == 0);
  CHECK(near(first[2], 0.5));
  const auto second = spread_over_zones(capacities, 1);
  CHECK(near(second[1], 0.75));
  CHECK(near(second[2], 0.25));
  const auto third = spread_over_zones(capacities, 2);
  CHECK(third == std::vector<double>{0, 0, 1});
  // An own zone without endpoints, and one alone.
  CHECK(spread_over_zones(std::vector<double>{0, 4}, 0) == std::vector<double>{0, 1});
  CHECK(spread_over_zones(std::vector<double>{4}, 0) == std::vector<double>{1});
  // Half of the callers, a quarter of the endpoints.
  const auto crowded = spread_over_zones(std::vector<double>{25, 75}, 0, 0.5);
  CHECK(near(crowded[0], 0.5));
  CHECK(near(crowded[1], 0.5));
  const auto all_here = spread_over_zones(std::vector<double>{25, 75}, 0, 1);
  CHECK(near(all_here[0], 0.25));
  CHECK(near(all_here[1], 0.75));
}

TEST_CASE("zones that nobody knows count by capacity") {
  CHECK(spread_over_zones({}, 0).empty());
  CHECK(spread_over_zones(std::vector<double>{0, 0}, 0) == std::vector<double>{0, 0});
  CHECK(spread_over_zones(std::vector<double>{1, 3}, 7) == std::vector<double>{0.25, 0.75});
}

TEST_CASE("when all callers route by zone, every zone gets requests by its capacity") {
  const auto seed = banyan::testing::derived_seed("zone_routing");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int run = 0; run < 1000; ++run) {
    std::vector<double> capacities(1 + random.below(6));
    const double scale = random.chance(1, 2) ? 1 : 1e306;
    for (double& each : capacities) each = static_cast<double>(random.below(100)) * scale;
    capacities[0] += scale;
    double total = 0;
    for (const double each : capacities) total += each / scale;

    std::vector<double> arriving(capacities.size());
    for (std::size_t zone = 0; zone < capacities.size(); ++zone) {
      const auto shares = spread_over_zones(capacities, zone);
      REQUIRE(near(sum(shares), 1));
      for (std::size_t i = 0; i < shares.size(); ++i) arriving[i] += shares[i] / static_cast<double>(capacities.size());
    }
    for (std::size_t i = 0; i < capacities.size(); ++i) REQUIRE(near(arriving[i], capacities[i] / scale / total, 1e-6));
  }
}

TEST_CASE("bad numbers for zones are refused by name") {
  for (const double bad : {-0.1, 1.1, not_a_number, infinity}) {
    CHECK(refused_field([&] { banyan::check(banyan::zone_options{.callers_share = bad}); }) ==
          "zone_options.callers_share");
    CHECK(refused_field([&] { (void)spread_over_zones({}, 0, bad); }) == "zone_options.callers_share");
  }
  for (const double bad : {-1.0, not_a_number, infinity})
    CHECK(refused_field([&] { (void)spread_over_zones(std::vector<double>{bad}, 0); }) == "capacities");
}
