#include <banyan/cluster/slow_start.hpp>

#include <chrono>
#include <cstdint>
#include <span>

#include <banyan/balance/balancer.hpp>
#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/health_checker.hpp>
#include <banyan/cluster/outlier_detector.hpp>

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

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;

/// Always the newest, as long as it accepts.
struct newest {
  struct table {};
  table build(std::span<const banyan::candidate>) const { return {}; }
  std::uint32_t choose(const table&, std::span<const banyan::candidate> all, banyan::pick_context& context) noexcept {
    return static_cast<std::uint32_t>(all.size() - 1 - context.attempt() % all.size());
  }
};

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

TEST_CASE("endpoints that a checker or a detector brings back begin slowly") {
  test_clock::set(test_clock::time_point{1000s});
  banyan::cluster<int, test_clock> web{{.slow_start = {.window = 10s}}};
  web.add(0);
  const banyan::endpoint_id one = web.add(1);
  test_clock::advance(10s);
  banyan::balancer<int, newest, test_clock> lb{web};
  const auto share = [&] {
    int there = 0;
    for (std::uint64_t key = 0; key < 2000; ++key) there += lb.pick({.key = key}).id() == one ? 1 : 0;
    return there / 2000.0;
  };
  CHECK(share() == 1);

  bool up = false;
  banyan::health_checker checker{
      web,
      [&](int value) { return value == 0 || up; },
      {.jitter = 0, .unhealthy_after = 1, .executor = banyan::inline_executor{}, .background = false}};
  checker.run_due();
  CHECK(share() == 0);
  up = true;
  test_clock::advance(5s);
  checker.run_due();
  test_clock::advance(5s);
  checker.run_due();
  CHECK(near(share(), 0.1, 0.04));
  test_clock::advance(5s);
  CHECK(near(share(), 0.5, 0.05));
  web.add(2, {.weight = 0});
  checker.run_due();  // somebody joins, and all is well: nothing begins anew
  CHECK(near(share(), 0.5, 0.05));
  test_clock::advance(5s);
  CHECK(share() == 1);

  banyan::outlier_detector detector{web, {.consecutive_failures = 2, .background = false}};
  for (int i = 0; i < 2; ++i) web.acquire(one).failed();
  detector.evaluate();
  CHECK(share() == 0);
  test_clock::advance(30s);
  detector.evaluate();
  CHECK(near(share(), 0.1, 0.04));
  test_clock::advance(10s);
  CHECK(share() == 1);
}
