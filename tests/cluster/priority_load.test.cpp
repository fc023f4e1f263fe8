#include <banyan/cluster/priority_load.hpp>

#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::priority_level;
using banyan::priority_load;
using banyan::spread_over_priorities;
using banyan::testing::infinity;
using banyan::testing::near;
using banyan::testing::not_a_number;
using banyan::testing::refused_field;

// Levels of 100 endpoints, so many of them healthy.
std::vector<priority_level> of_100(std::vector<double> healthy) {
  std::vector<priority_level> levels;
  for (const double each : healthy) levels.push_back({.healthy = each, .degraded = 0, .total = 100});
  return levels;
}

double sum(const std::vector<priority_load>& loads) {
  return std::accumulate(loads.begin(), loads.end(), 0.0,
                         [](double so_far, const priority_load& one) { return so_far + one.healthy + one.degraded; });
}

struct row {
  std::vector<double> healthy;
  std::vector<double> per_cent;
  std::vector<bool> panic;
};

void check(const row& expected, const banyan::priority_options& options, double margin) {
  const auto loads = spread_over_priorities(of_100(expected.healthy), options);
  REQUIRE(loads.size() == expected.healthy.size());
  for (std::size_t i = 0; i < loads.size(); ++i) {
    INFO("level " << i << " of one that starts with " << expected.healthy[0] << ", " << expected.healthy.back());
    CHECK(near(loads[i].healthy * 100, expected.per_cent[i], margin));
    CHECK(loads[i].degraded == 0);
    CHECK(loads[i].panic == expected.panic[i]);
  }
  CHECK(near(sum(loads), 1));
}

}  // namespace

TEST_CASE("priorities spill over as Envoy documents it") {
  // Its tables, which round to whole per cents.
  const banyan::priority_options no_panic{.panic_threshold = 0};
  check({{100, 100}, {100, 0}, {false, false}}, no_panic, 0.01);
  check({{72, 72}, {100, 0}, {false, false}}, no_panic, 0.01);
  check({{71, 71}, {99, 1}, {false, false}}, no_panic, 1);
  check({{50, 50}, {70, 30}, {false, false}}, no_panic, 0.01);
  check({{25, 100}, {35, 65}, {false, false}}, no_panic, 0.01);
  check({{25, 25}, {50, 50}, {false, false}}, no_panic, 0.01);
  check({{100, 100, 100}, {100, 0, 0}, {false, false, false}}, no_panic, 0.01);
  check({{50, 50, 100}, {70, 30, 0}, {false, false, false}}, no_panic, 0.01);
  check({{25, 100, 100}, {35, 65, 0}, {false, false, false}}, no_panic, 0.01);
  check({{25, 25, 100}, {35, 35, 30}, {false, false, false}}, no_panic, 0.01);
  check({{25, 25, 20}, {36, 36, 28}, {false, false, false}}, no_panic, 1);
  // Exactly: 35, 35 and 28 of 98.
  check({{25, 25, 20}, {3500.0 / 98, 3500.0 / 98, 2800.0 / 98}, {false, false, false}}, no_panic, 1e-9);
}

TEST_CASE("panic comes only when the whole cluster falls short") {
  check({{72, 72}, {100, 0}, {false, false}}, {}, 0.01);
  check({{71, 71}, {99.4, 0.6}, {false, false}}, {}, 0.01);
  check({{50, 60}, {70, 30}, {false, false}}, {}, 0.01);
  check({{25, 100}, {35, 65}, {false, false}}, {}, 0.01);
  check({{25, 25}, {50, 50}, {true, true}}, {}, 0.01);
  check({{5, 65}, {7, 93}, {true, false}}, {}, 1);
  // The threshold itself is no panic; just below it is.
  check({{0, 50}, {0, 100}, {true, false}}, {}, 0.01);
  check({{0, 49}, {50, 50}, {true, true}}, {}, 0.01);
  // 0.7 and 0.3 are not quite 1 in binary fractions.
  const auto exact = spread_over_priorities(of_100({10, 20, 30, 30, 10}), {.overprovisioning = 1});
  for (const priority_load& each : exact) CHECK_FALSE(each.panic);
}

TEST_CASE("in total panic requests go by the sizes of the levels") {
  const std::vector<priority_level> levels{{0, 0, 30}, {1, 0, 10}, {0, 0, 0}};
  const auto loads = spread_over_priorities(levels);
  CHECK(near(loads[0].healthy, 0.75));
  CHECK(near(loads[1].healthy, 0.25));
  CHECK(loads[2].healthy == 0);
  CHECK(loads[0].panic);
  CHECK(loads[1].panic);
  CHECK_FALSE(loads[2].panic);  // nobody is there
}

TEST_CASE("degraded endpoints take what no healthy one can") {
  // Healthy ones of any level come first: 0.5 x 1.4 and 0.1 x 1.4, then degraded ones in order.
  const std::vector<priority_level> levels{{50, 20, 100}, {10, 90, 100}};
  const auto loads = spread_over_priorities(levels);
  CHECK(near(loads[0].healthy, 0.7));
  CHECK(near(loads[1].healthy, 0.14));
  CHECK(near(loads[0].degraded, 0.16));
  CHECK(loads[1].degraded == 0);
  // In a panic there is one share, for everybody.
  const auto panic = spread_over_priorities(std::vector<priority_level>{{10, 10, 100}, {60, 0, 100}}, {});
  CHECK_FALSE(panic[0].panic);  // 0.28 + 0.84 is enough
  const auto little = spread_over_priorities(std::vector<priority_level>{{10, 10, 100}, {50, 0, 100}}, {});
  CHECK(little[0].panic);
  CHECK(little[0].degraded == 0);
  CHECK(near(little[0].healthy, 0.28 / 0.98));
  CHECK(near(little[1].healthy, 0.70 / 0.98));
  // Degraded ones count as fit for the threshold.
  const auto enough = spread_over_priorities(std::vector<priority_level>{{0, 60, 100}}, {});
  CHECK_FALSE(enough[0].panic);
  CHECK(near(enough[0].degraded, 1));
}

TEST_CASE("priorities with nobody in them get nothing") {
  CHECK(spread_over_priorities({}).empty());
  CHECK(sum(spread_over_priorities(of_100({0, 0}), {.panic_threshold = 0})) == 0);
  CHECK(sum(spread_over_priorities(std::vector<priority_level>(3))) == 0);
  const auto second = spread_over_priorities(std::vector<priority_level>{{}, {1, 0, 1}});
  CHECK(second[0].healthy == 0);
  CHECK(second[1].healthy == 1);
}

TEST_CASE("shares of random levels add up, whatever their scale") {
  const auto seed = banyan::testing::derived_seed("priority_load");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int run = 0; run < 2000; ++run) {
    std::vector<priority_level> levels(1 + random.below(5));
    const double scale = random.chance(1, 2) ? 1 : random.chance(1, 2) ? 1e300 : 1e-300;
    bool anybody = false;
    bool fit = false;
    for (priority_level& each : levels) {
      each.healthy = static_cast<double>(random.below(4)) * scale;
      each.degraded = static_cast<double>(random.below(4)) * scale;
      each.total = static_cast<double>(random.below(16)) * scale;
      anybody = anybody || each.total + each.healthy + each.degraded > 0;
      fit = fit || each.healthy + each.degraded > 0;
    }
    const bool panics = random.chance(1, 2);
    const auto loads = spread_over_priorities(levels, {.panic_threshold = panics ? 0.5 : 0.0});
    REQUIRE(near(sum(loads), fit || (anybody && panics) ? 1.0 : 0.0));
    for (const priority_load& each : loads) {
      REQUIRE(each.healthy >= 0);
      REQUIRE(each.degraded >= 0);
      REQUIRE((panics || !each.panic));
      REQUIRE((!each.panic || each.degraded == 0));
    }
  }
}

TEST_CASE("bad numbers for priorities are refused by name") {
  for (const double bad : {0.99, 0.0, -1.0, not_a_number, infinity}) {
    const std::string refused = refused_field([&] { (void)spread_over_priorities({}, {.overprovisioning = bad}); });
    CHECK(refused == "priority_options.overprovisioning");
  }
  for (const double bad : {-0.01, 1.01, not_a_number, infinity}) {
    const std::string refused = refused_field([&] { banyan::check(banyan::priority_options{.panic_threshold = bad}); });
    CHECK(refused == "priority_options.panic_threshold");
  }
  for (const double bad : {-1.0, not_a_number, infinity, -infinity}) {
    const auto spread = [](priority_level one) {
      return refused_field([&] { (void)spread_over_priorities(std::vector<priority_level>{one}); });
    };
    CHECK(spread({bad, 0, 1}) == "priority_level.healthy");
    CHECK(spread({0, bad, 1}) == "priority_level.degraded");
    CHECK(spread({0, 0, bad}) == "priority_level.total");
  }
}
