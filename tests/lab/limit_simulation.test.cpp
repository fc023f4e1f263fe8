#include "limit_simulation.hpp"

#include <string>
#include <string_view>

#include "bad_input.hpp"
#include "limit_policies.hpp"
#include "limit_scenario.hpp"
#include "support/catch.hpp"

namespace {

using namespace banyan::lab;

limit_simulation_result simulated(std::string_view scenario, std::string_view policy,
                                  limit_simulation_options options = {}) {
  return simulate_overload(find_limit_scenario(scenario), policy, options);
}

double goodput(const limit_simulation_result& of, std::size_t phase) { return of.phases.at(phase).sums.goodput(); }

double total(const limit_simulation_result& of, double limit_sums::*member) {
  double sum = 0;
  for (const limit_sums& each : of.seconds) sum += each.*member;
  return sum;
}

constexpr std::string_view adaptive[] = {"aimd", "vegas", "gradient2_plain", "gradient2", "priorities", "together"};

}  // namespace

TEST_CASE("the same seed gives the same figures, another one others") {
  const limit_simulation_options options{.seconds = 30};
  for (const std::string_view policy : {"none", "circuit_breaker", "together"}) {
    CAPTURE(policy);
    const auto once = simulated("pulse", policy, options);
    const auto again = simulated("pulse", policy, options);
    REQUIRE(once.seconds.size() == 30);
    for (std::size_t i = 0; i < once.seconds.size(); ++i) {
      CHECK(once.seconds[i].answered == again.seconds[i].answered);
      CHECK(once.seconds[i].limit == again.seconds[i].limit);
    }
    CHECK(once.phases[1].p99_ms == again.phases[1].p99_ms);
    const auto other = simulated("pulse", policy, {.seconds = 30, .seed = 2});
    CHECK(total(once, &limit_sums::arrived) != total(other, &limit_sums::arrived));
  }
}

TEST_CASE("every policy gets the same requests, and all permits come back") {
  const limit_simulation_options options{.seconds = 18};
  for (const limit_scenario& scenario : limit_scenarios()) {
    const auto without = simulate_overload(scenario, "none", options);
    const double critical = total(without, &limit_sums::critical);
    for (const limit_policy_entry& policy : limit_policies()) {
      CAPTURE(scenario.name, policy.name);
      const auto of = simulate_overload(scenario, policy.name, options);
      CHECK(of.left_in_flight == 0);
      CHECK(total(of, &limit_sums::critical) == critical);
      for (std::size_t i = 0; i < of.seconds.size(); ++i) {
        CHECK(of.seconds[i].arrived == without.seconds[i].arrived);
        CHECK(of.seconds[i].answered <= of.seconds[i].arrived);
        CHECK(of.seconds[i].critical_answered <= of.seconds[i].critical);
      }
      CHECK(total(of, &limit_sums::wasted) <= total(of, &limit_sums::worked));
      // No more work than there are workers, but for what was begun in one second and ended in another.
      CHECK(total(of, &limit_sums::worked) <= options.workers * (options.seconds + 0.5));
    }
  }
}

TEST_CASE("without limits a pulse of load collapses the service for good") {
  for (const std::string_view policy : {"none", "backoff", "deadline", "fixed_large", "token_bucket"}) {
    CAPTURE(policy);
    const auto of = simulated("pulse", policy);
    CHECK(goodput(of, 0) > 0.99);
    CHECK(goodput(of, 2) < 0.2);
    CHECK_FALSE(of.recovered_after.has_value());
    CHECK(of.phases[2].sums.wasted_ratio() > 0.9);  // the workers are as busy as ever
  }
}

TEST_CASE("without retries the service recovers by itself") {
  const auto of = simulated("pulse", "none", {.retries = 0});
  CHECK(of.recovered_after.has_value());
}

TEST_CASE("with each limiter that adapts the service recovers from a pulse of load") {
  for (const std::string_view policy : adaptive) {
    CAPTURE(policy);
    const auto of = simulated("pulse", policy);
    CHECK(goodput(of, 0) > 0.99);
    CHECK(goodput(of, 1) > 0.9);
    CHECK(goodput(of, 2) > 0.98);
    REQUIRE(of.recovered_after.has_value());
    CHECK(*of.recovered_after <= 5);
    CHECK(of.phases[1].sums.wasted_ratio() < 0.05);
  }
}

TEST_CASE("with each limiter that adapts the service bears the loss of workers") {
  for (const std::string_view policy : adaptive) {
    CAPTURE(policy);
    const auto of = simulated("fewer_workers", policy);
    CHECK(goodput(of, 1) > 0.75);
    CHECK(goodput(of, 2) > 0.95);
    CHECK(of.phases[1].sums.limit < of.phases[0].sums.limit);
  }
}

TEST_CASE("a rate limit that was right becomes wrong with the capacity") {
  CHECK(goodput(simulated("fewer_workers", "token_bucket"), 2) < 0.2);
}

TEST_CASE("under lasting mild overload gradient2 stays where the published rule drifts away") {
  const limit_simulation_options small_and_long{.workers = 3, .seconds = 2000};
  const auto plain = simulated("mild", "gradient2_plain", small_and_long);
  const auto ours = simulated("mild", "gradient2", small_and_long);
  CHECK(goodput(plain, 0) < 0.7);
  CHECK(plain.seconds.back().limit > 100);
  CHECK(goodput(ours, 0) > 0.85);
  CHECK(ours.seconds.back().limit < 30);
}

TEST_CASE("by importance, critical requests are served through what sheds the others") {
  for (const std::string_view scenario : {"pulse", "fewer_workers", "mild"}) {
    CAPTURE(scenario);
    const std::size_t trouble = scenario == "mild" ? 0 : 1;
    const auto without = simulated(scenario, "gradient2").phases.at(trouble);
    const auto with = simulated(scenario, "priorities").phases.at(trouble);
    CHECK(with.sums.critical_ratio() > 0.8);
    CHECK(with.sums.critical_ratio() > without.sums.critical_ratio() + 0.1);
  }
}

TEST_CASE("capacity and load over time") {
  const auto between = [](double value, double low, double high) { return value > low && value < high; };
  const limit_scenario& slower = find_limit_scenario("slower");
  CHECK(slower.capacity_at(0.2, 10, 10, 250) == 1000);
  CHECK(between(slower.capacity_at(0.4, 10, 10, 250), 333, 334));
  const limit_scenario& fewer = find_limit_scenario("fewer_workers");
  CHECK(fewer.workers_at(0.2, 10) == 10);
  CHECK(fewer.workers_at(0.4, 10) == 3);
  CHECK(fewer.workers_at(0.4, 3) == 1);
  CHECK(between(fewer.capacity_at(0.4, 10, 10, 250), 299.9, 300.1));
  CHECK(between(find_limit_scenario("timeouts").capacity_at(0.4, 10, 10, 250), 9.9, 10));  // 0.2 in 202 ms, ten times
  const limit_scenario& drift = find_limit_scenario("drift");
  CHECK(drift.load_at(0, 0.7) == 0.5);
  CHECK(drift.load_at(0.5, 0.7) == 1.5);
  CHECK(drift.load_at(0.25, 0.7) == 1);
  const limit_scenario& pulse = find_limit_scenario("pulse");
  CHECK(pulse.load_at(0.3, 0.7) == 0.7);
  CHECK(pulse.load_at(0.4, 0.7) == 2);
  CHECK(pulse.highest_load(0.7) == 2);
  CHECK_THROWS_AS(find_limit_scenario("quiet"), bad_input);
  CHECK_THROWS_AS(find_limit_policy("lru"), bad_input);
}
