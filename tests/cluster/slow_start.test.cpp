#include <banyan/cluster/slow_start.hpp>

#include <chrono>
#include <cmath>

#include "refusal.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::slow_start_fraction;
using banyan::slow_start_options;
using banyan::testing::infinity;
using banyan::testing::near;
using banyan::testing::not_a_number;
using banyan::testing::refused_field;

}  // namespace

TEST_CASE("slow start follows Envoy's formula") {
  // max(min_fraction, (age / window)^(1 / aggression))
  const slow_start_options linear{.window = 10s};
  CHECK(near(slow_start_fraction(0s, linear), 0.1));
  CHECK(near(slow_start_fraction(500ms, linear), 0.1));
  CHECK(near(slow_start_fraction(1s, linear), 0.1));
  CHECK(near(slow_start_fraction(2500ms, linear), 0.25));
  CHECK(near(slow_start_fraction(9s, linear), 0.9));
  CHECK(slow_start_fraction(10s, linear) == 1);
  CHECK(slow_start_fraction(1h, linear) == 1);

  const slow_start_options quick{.window = 10s, .aggression = 2, .min_fraction = 0};
  CHECK(slow_start_fraction(0s, quick) == 0);
  CHECK(near(slow_start_fraction(100ms, quick), 0.1));
  CHECK(near(slow_start_fraction(2500ms, quick), 0.5));
  const slow_start_options slow{.window = 10s, .aggression = 0.5, .min_fraction = 0.05};
  CHECK(near(slow_start_fraction(2s, slow), 0.05));
  CHECK(near(slow_start_fraction(5s, slow), 0.25));
  for (const double aggression : {1e-300, 0.1, 1.0, 3.0, 1e300}) {
    const slow_start_options options{.window = 1s, .aggression = aggression};
    double before = 0;
    for (auto age = 0ms; age <= 1s; age += 10ms) {
      const double fraction = slow_start_fraction(age, options);
      REQUIRE(fraction >= before);
      REQUIRE(fraction >= 0.1);
      REQUIRE(fraction <= 1);
      before = fraction;
    }
  }
}

TEST_CASE("without a window there is no slow start, and a clock set back begins it anew") {
  CHECK(slow_start_fraction(0s, {}) == 1);
  CHECK(slow_start_fraction(1ns, {}) == 1);
  const slow_start_options options{.window = 10s};
  CHECK(slow_start_fraction(-1ns, options) == 0.1);
  CHECK(slow_start_fraction(std::chrono::nanoseconds::min(), options) == 0.1);
  CHECK(slow_start_fraction(std::chrono::nanoseconds::max(), {.window = std::chrono::nanoseconds::max()}) == 1);
}

TEST_CASE("bad options of slow start are refused by name") {
  banyan::check(slow_start_options{});
  banyan::check(slow_start_options{.window = 1ns, .aggression = 1e-9, .min_fraction = 1});
  CHECK(refused_field([] { banyan::check(slow_start_options{.window = -1ns}); }) == "slow_start_options.window");
  for (const double bad : {0.0, -1.0, not_a_number, infinity})
    CHECK(refused_field([&] { banyan::check(slow_start_options{.aggression = bad}); }) ==
          "slow_start_options.aggression");
  for (const double bad : {-0.1, 1.1, not_a_number, infinity})
    CHECK(refused_field([&] { banyan::check(slow_start_options{.min_fraction = bad}); }) ==
          "slow_start_options.min_fraction");
}
