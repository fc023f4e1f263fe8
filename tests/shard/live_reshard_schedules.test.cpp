// Thousands of schedules, each a world of its own: whatever fails or dies wherever, no value is lost, stale or undead.
#include <cstdint>
#include <string>

#include "live_reshard_world.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::reshard_phase;
using banyan::testing::reshard_faults;
using banyan::testing::reshard_world;

struct tally {
  int done = 0;
  int rolled_back = 0;
  std::uint64_t restarts = 0;
  std::uint64_t repaired = 0;
  std::string trouble{};
};

tally run_schedules(const char* name, reshard_faults faults, int count) {
  tally all;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t seed = banyan::testing::derived_seed(name, static_cast<std::uint64_t>(i));
    reshard_world world{seed, faults};
    world.roll_back_wanted = world.random.chance(1, 2);
    world.roll_back_at = static_cast<reshard_phase>(world.random.below(5));
    const reshard_phase end = world.run();
    ++(end == reshard_phase::done ? all.done : all.rolled_back);
    all.restarts += world.restarts;
    all.repaired += world.repaired;
    std::string trouble = world.complaint;
    if (trouble.empty()) {
      const auto report = world.judge();
      if (!report.linearizable()) trouble = report.explanation;
    }
    if (!trouble.empty()) {
      all.trouble = "schedule " + std::to_string(i) + " (seed " + std::to_string(seed) + ") ends in " +
                    std::string{to_string(end)} + ": " + trouble;
      return all;
    }
  }
  return all;
}

#if defined(BANYAN_FIBERS_UNDER_ASAN) || defined(BANYAN_FIBERS_UNDER_TSAN)
constexpr int schedules = 150;
#else
constexpr int schedules = 1500;
#endif

void check(const tally& all) {
  INFO(all.trouble);
  REQUIRE(all.trouble.empty());
  CHECK(all.done > schedules / 4);
  CHECK(all.rolled_back > schedules / 8);
}

TEST_CASE("keys move while writers run, and nothing fails") {
  const tally all = run_schedules("peace", {}, schedules);
  check(all);
  CHECK(all.restarts == 0);
}

TEST_CASE("keys move while calls fail before their effect, after it, or have it later") {
  check(run_schedules("errors", {.errors_in_1000 = 25}, schedules));
}

TEST_CASE("keys move while processes and the driver die and come back") {
  const tally all = run_schedules("deaths", {.deaths_in_1000 = 10}, schedules);
  check(all);
  CHECK(all.restarts > static_cast<std::uint64_t>(schedules));
}

TEST_CASE("keys move while the driver dies at every other batch") {
  const tally all = run_schedules("driver", {.driver_deaths_in_1000 = 80}, schedules);
  check(all);
  CHECK(all.restarts > static_cast<std::uint64_t>(schedules));
}

TEST_CASE("keys move while everything goes wrong") {
  const tally all = run_schedules("both", {.errors_in_1000 = 15, .deaths_in_1000 = 6}, schedules);
  check(all);
  CHECK(all.repaired > 0);
}

}  // namespace
