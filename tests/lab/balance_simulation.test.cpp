#include "balance_simulation.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bad_input.hpp"
#include "balance_policies.hpp"
#include "balance_scenario.hpp"
#include "support/catch.hpp"

// The seed is fixed: what is checked is what these very runs give, with wide margins.

namespace {

using namespace banyan::lab;

simulation_result run(std::string_view scenario, std::string_view policy, simulation_options options) {
  return simulate(find_scenario(scenario), policy, options);
}

simulation_result run(std::string_view scenario, std::string_view policy) {
  return run(scenario, policy, {.requests = 50'000});
}

}  // namespace

TEST_CASE("a simulated server is the queue of the textbook") {
  // One server, so the policy does not matter. Half load keeps the runs' own noise small.
  simulation_options options{.servers = 1, .load = 0.5, .requests = 200'000};
  const simulation_result exponential = run("equal", "round_robin", options);
  CHECK(std::abs(exponential.mean_ms - 20) < 0.6);                 // M/M/1: S / (1 - load)
  CHECK(std::abs(exponential.p50_ms - 20 * std::log(2.0)) < 0.6);  // and that is exponential
  CHECK(std::abs(exponential.p99_ms - 20 * std::log(100.0)) < 6);
  CHECK(std::abs(exponential.servers[0].busy - 0.5) < 0.01);
  options.service = service_times::fixed;
  CHECK(std::abs(run("equal", "round_robin", options).mean_ms - 15) < 0.3);  // M/D/1: half the waiting
  options.service = service_times::lognormal;
  const double variance = std::exp(1.0) - 1;         // relative to the square of the mean
  const double mean = 10 + 10 * (1 + variance) / 2;  // Pollaczek and Khinchine
  CHECK(std::abs(run("equal", "round_robin", options).mean_ms - mean) < 2);
  options.service = service_times::exponential;
  options.workers = 2;
  CHECK(std::abs(run("equal", "round_robin", options).mean_ms - 10 / (1 - 0.25)) < 0.4);  // M/M/2
}

TEST_CASE("requests in flight follow Little's law") {
  const simulation_result result = run("equal", "random_choice", {.load = 0.6, .requests = 100'000});
  double in_flight = 0;
  for (const server_result& server : result.servers) {
    REQUIRE(!server.in_flight.empty());
    for (const float part : server.in_flight) in_flight += part / static_cast<double>(server.in_flight.size());
  }
  const double expected = result.mean_ms / 1000 * static_cast<double>(result.requests) / result.run_seconds;
  CHECK(std::abs(in_flight / expected - 1) < 0.02);
}

TEST_CASE("every policy in every scenario accounts for all requests") {
  for (const balance_scenario& scenario : balance_scenarios()) {
    for (const std::string_view policy : balance_policy_names()) {
      CAPTURE(scenario.name, policy);
      std::uint64_t advanced = 0;
      const simulation_result result =
          simulate(scenario, policy, {.requests = 3000}, [&](std::uint64_t count) { advanced += count; });
      CHECK(advanced == 3000);
      CHECK(result.requests == 3000);
      CHECK(result.errors <= 3000);
      CHECK(result.left_in_flight == 0);
      CHECK(result.servers.size() == (scenario.one_joins ? 11U : 10U));
      std::uint64_t picks = 0;
      for (const server_result& server : result.servers) {
        picks += server.picks;
        CHECK(server.busy >= 0);
        CHECK(server.busy <= 1 + 1e-9);
      }
      CHECK(picks == result.picks);
      CHECK(result.picks == 3000 + result.retried);
      CHECK(result.p50_ms <= result.p99_ms);
      CHECK(result.p99_ms <= result.p999_ms);
      CHECK(result.p999_ms <= simulation_options::timeout_ms);
      CHECK(!result.curve.empty());
    }
  }
}

TEST_CASE("the same seed gives the same run, another seed another") {
  for (const std::string_view policy : balance_policy_names()) {
    CAPTURE(policy);
    simulation_options options{.requests = 5000, .seed = 7};
    const simulation_result once = run("pauses", policy, options);
    const simulation_result again = run("pauses", policy, options);
    CHECK(once.mean_ms == again.mean_ms);
    CHECK(once.p999_ms == again.p999_ms);
    CHECK(once.servers[3].picks == again.servers[3].picks);
    options.seed = 8;
    CHECK(run("pauses", policy, options).mean_ms != once.mean_ms);
  }
  CHECK_THROWS_AS(run("equal", "fastest"), bad_input);
  CHECK_THROWS_AS(find_scenario("unequal"), bad_input);
}

TEST_CASE("two choices beat random by far, all of them a little more") {
  const simulation_result random = run("equal", "random_choice");
  const simulation_result two = run("equal", "power_of_two");
  const simulation_result least = run("equal", "least_connections");
  CHECK(two.p99_ms * 1.8 < random.p99_ms);
  CHECK(two.p999_ms * 1.8 < random.p999_ms);
  CHECK(least.p99_ms < two.p99_ms);
  CHECK(run("equal", "round_robin").p99_ms * 1.2 < random.p99_ms);
  CHECK(run("bursts", "power_of_two").p99_ms < run("bursts", "random_choice").p99_ms);
}

TEST_CASE("round robin runs into the slow server, policies that look at load or latency do not") {
  for (const std::string_view policy : {"round_robin", "random_choice"}) {
    CAPTURE(policy);
    const simulation_result result = run("slow", policy);
    CHECK(result.share_of(0) > 0.09);
    CHECK(result.error_ratio() > 0.04);
    CHECK(result.p99_ms > 400);
  }
  for (const std::string_view policy : {"least_connections", "power_of_two", "peak_ewma", "maglev_bounded"}) {
    CAPTURE(policy);
    const simulation_result result = run("slow", policy);
    CHECK(result.share_of(0) < 0.06);
    CHECK(result.error_ratio() < 0.002);
    CHECK(result.p99_ms < 250);
  }
}

TEST_CASE("a server that fails at once attracts who counts requests and not who counts failures") {
  const simulation_result robin = run("dying", "round_robin");
  const simulation_result least = run("dying", "least_connections");
  const simulation_result ewma = run("dying", "peak_ewma");
  CHECK(std::abs(robin.retried_ratio() - 1 / 30.0) < 0.01);
  CHECK(least.retried_ratio() > 2 * robin.retried_ratio());
  CHECK(ewma.retried_ratio() < robin.retried_ratio() / 4);
  // The retry goes elsewhere; without it all of this is errors.
  CHECK(least.error_ratio() < 0.001);
  const simulation_result once = run("dying", "least_connections", {.requests = 50'000, .retries = 0});
  CHECK(once.retried == 0);
  CHECK(once.error_ratio() > 0.08);
}

TEST_CASE("a server that hangs costs round robin its share of the requests") {
  CHECK(run("hanging", "round_robin").error_ratio() > 0.025);
  for (const std::string_view policy : {"least_connections", "power_of_two", "peak_ewma"}) {
    CAPTURE(policy);
    CHECK(run("hanging", policy).error_ratio() < 0.012);
  }
}

TEST_CASE("slow start saves the errors of a server that joins cold") {
  for (const std::string_view policy : {"round_robin", "random_choice", "maglev_affinity"}) {
    CAPTURE(policy);
    const simulation_options options{.requests = 80'000};
    const simulation_result cold = run("cold", policy, options);
    const simulation_result warmed = run("slow_start", policy, options);
    CHECK(cold.error_ratio() > 0.004);
    CHECK(warmed.errors * 3 < cold.errors);
    CHECK(warmed.servers[10].picks < cold.servers[10].picks);
    CHECK(warmed.servers[10].picks > 0);
  }
}

TEST_CASE("who looks at load goes round servers that pause") {
  const simulation_result robin = run("pauses", "round_robin");
  CHECK(run("pauses", "least_connections").p99_ms * 1.5 < robin.p99_ms);
  CHECK(run("pauses", "power_of_two").p99_ms < robin.p99_ms);
  CHECK(robin.p99_ms > run("equal", "round_robin").p99_ms + 50);
}

TEST_CASE("weights give servers of different size the same load") {
  CHECK(run("weights", "round_robin").load_spread() > 0.2);
  CHECK(run("weights", "round_robin").error_ratio() > 0.1);
  const simulation_result weighted = run("weights", "smooth_weighted_round_robin");
  CHECK(weighted.load_spread() < 0.05);
  CHECK(weighted.errors == 0);
  CHECK(run("weights", "power_of_two").error_ratio() < 0.001);
}
