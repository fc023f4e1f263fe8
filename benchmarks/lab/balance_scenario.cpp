#include "balance_scenario.hpp"

#include <fmt/format.h>

#include <array>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

constexpr std::array<balance_scenario, 9> scenarios = {{
    {.name = "equal", .description = "servers that are all alike"},
    {.name = "bursts", .description = "a fifth of each second brings 2.6 times the mean rate", .bursts = true},
    {.name = "slow", .description = "one server takes three times as long", .first_is_slower = 3},
    {.name = "dying",
     .description = "one server fails everything at once in the middle third of the run",
     .first = server_fate::refuses},
    {.name = "hanging",
     .description = "one server takes requests and answers none in the middle third of the run",
     .first = server_fate::hangs},
    {.name = "cold",
     .description = "one server more joins at half of the run and takes five times as long for its first ten seconds",
     .one_joins = true},
    {.name = "slow_start",
     .description = "the same as cold, but the cluster warms new members up for 30 seconds",
     .one_joins = true,
     .slow_start = true},
    {.name = "pauses",
     .description = "each server stands still for 200 ms every five seconds or so, as for garbage collection",
     .pauses = true},
    {.name = "weights",
     .description = "servers have 1, 1, 2, 4 times the workers, and weights to match",
     .sizes = true},
}};

}  // namespace

std::span<const balance_scenario> balance_scenarios() noexcept { return scenarios; }

const balance_scenario& find_scenario(std::string_view name) {
  for (const balance_scenario& each : scenarios) {
    if (each.name == name) return each;
  }
  throw bad_input(fmt::format("{}: unknown scenario", name));
}

}  // namespace banyan::lab
