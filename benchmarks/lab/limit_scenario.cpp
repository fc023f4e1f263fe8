#include "limit_scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

constexpr double third = 1.0 / 3;

constexpr std::array<limit_scenario, 7> scenarios = {{
    {.name = "calm", .description = "nothing happens: who refuses without need?"},
    {.name = "pulse",
     .description = "for a ninth of the run twice as much arrives as the workers can do, then it is as before",
     .from = third,
     .to = 4.0 / 9,
     .trouble_load = 2},
    {.name = "fewer_workers",
     .description = "for two ninths of the run only a third of the workers is there",
     .from = third,
     .to = 5.0 / 9,
     .workers = third},
    {.name = "slower",
     .description = "for two ninths of the run all work takes three times as long",
     .from = third,
     .to = 5.0 / 9,
     .slower = 3},
    {.name = "timeouts",
     .description = "for two ninths of the run four fifths of the calls hang in something behind the service, until it "
                    "gives them up, always after the same time",
     .from = third,
     .to = 5.0 / 9,
     .timeouts = 0.8},
    {.name = "drift",
     .description = "the load grows from half of what the workers can do to half as much again, and falls back",
     .load = 0.5,
     .peak = 1.5},
    {.name = "mild", .description = "always a seventh more arrives than the workers can do", .load = 8.0 / 7},
}};

}  // namespace

double limit_scenario::load_at(double part, double usual) const noexcept {
  const double base = load > 0 ? load : usual;
  if (peak > 0) return base + (peak - base) * (1 - std::abs(2 * part - 1));
  return trouble_load > 0 && troubled(part) ? trouble_load : base;
}

double limit_scenario::highest_load(double usual) const noexcept {
  return std::max({load > 0 ? load : usual, peak, trouble_load});
}

std::uint32_t limit_scenario::workers_at(double part, std::uint32_t all) const noexcept {
  if (!troubled(part)) return all;
  return std::max(1U, static_cast<std::uint32_t>(std::lround(all * workers)));
}

double limit_scenario::capacity_at(double part, std::uint32_t all, double mean_ms, double hang_ms) const noexcept {
  const double hanging = troubled(part) ? timeouts : 0;
  const double took = mean_ms * (troubled(part) ? slower : 1) * (1 - hanging) + hang_ms * hanging;
  return workers_at(part, all) * 1000 / took * (1 - hanging);
}

std::vector<limit_phase> limit_scenario::phases() const {
  if (peak > 0) return {{"rising", 0, third}, {"high", third, 2 * third}, {"falling", 2 * third, 1}};
  if (to > from) return {{"before", 0, from}, {"in trouble", from, to}, {"after", to, 1}};
  return {{"run", 0, 1}};
}

std::span<const limit_scenario> limit_scenarios() noexcept { return scenarios; }

const limit_scenario& find_limit_scenario(std::string_view name) {
  for (const limit_scenario& each : scenarios) {
    if (each.name == name) return each;
  }
  throw bad_input(fmt::format("{}: unknown scenario", name));
}

}  // namespace banyan::lab
