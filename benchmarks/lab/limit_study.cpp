#include "limit_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "table.hpp"

namespace banyan::lab {
namespace {

constexpr double refuses_without_need = 0.01;
constexpr double does_badly = 0.8;  // of what is possible
constexpr double differs = 0.005;
constexpr double nearly = 0.05;
constexpr double slow_recovery = 10;  // seconds

template <class Figure>
std::string for_each_phase(const limit_run& run, Figure figure) {
  std::string text;
  for (const limit_phase_result& each : run.result.phases) text += (text.empty() ? "" : " / ") + figure(each);
  return text;
}

std::string percent(double ratio) { return fmt::format("{:.0f}", ratio * 100); }

std::string milliseconds(const limit_phase_result& phase, double value) {
  return phase.sums.answered > 0 ? fmt::format("{:.0f}", value) : std::string{"-"};
}

double total(const limit_run& run, double limit_sums::*member) {
  double sum = 0;
  for (const limit_phase_result& each : run.result.phases) sum += each.sums.*member;
  return sum;
}

constexpr limit_column columns[] = {
    {"goodput %", "requests answered in time, of those that the workers could have done",
     [](const limit_run& run) {
       return for_each_phase(run, [](const auto& each) { return percent(each.sums.goodput()); });
     },
     [](const limit_run& run) { return -run.goodput(); }},
    {"recovers", "seconds after the trouble until nine tenths of what arrives are answered, and it stays so",
     [](const limit_run& run) {
       return run.result.recovered_after ? fmt::format("{:.0f} s", *run.result.recovered_after) : std::string{"never"};
     },
     [](const limit_run& run) { return run.result.recovered_after.value_or(1e9); }},
    {"p50 ms", "half of the answers took no longer, from the arrival over all attempts",
     [](const limit_run& run) {
       return for_each_phase(run, [](const auto& each) { return milliseconds(each, each.p50_ms); });
     },
     nullptr},
    {"p99 ms", "99 of 100 answers took no longer",
     [](const limit_run& run) {
       return for_each_phase(run, [](const auto& each) { return milliseconds(each, each.p99_ms); });
     },
     nullptr},
    {"refused %", "attempts that were turned away",
     [](const limit_run& run) {
       return for_each_phase(run, [](const auto& each) { return percent(each.sums.refused_ratio()); });
     },
     nullptr},
    {"wasted %", "work on what nobody waited for any more, or what failed, of all work",
     [](const limit_run& run) {
       return for_each_phase(run, [](const auto& each) { return percent(each.sums.wasted_ratio()); });
     },
     [](const limit_run& run) { return total(run, &limit_sums::wasted); }},
    {"critical %", "critical requests answered in time, of all critical ones",
     [](const limit_run& run) {
       return for_each_phase(run, [](const auto& each) { return percent(each.sums.critical_ratio()); });
     },
     [](const limit_run& run) { return -total(run, &limit_sums::critical_answered); }},
    {"limit", "the mean concurrency limit",
     [](const limit_run& run) {
       if (!run.policy->has_limit) return std::string{"-"};
       return for_each_phase(run, [](const auto& each) { return fmt::format("{:.0f}", each.sums.limit); });
     },
     nullptr},
};

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  return text;
}

std::string with_percent(const limit_run& run, double ratio) {
  return fmt::format("{} ({}%)", run.policy->name, percent(ratio));
}

std::string name(const limit_run& run) { return std::string{run.policy->name}; }

bool has_trouble(const limit_result& result) { return result.scenario->to > result.scenario->from; }

double worst_goodput(const limit_run& run) {
  double worst = 1;
  for (const limit_phase_result& each : run.result.phases) worst = std::min(worst, each.sums.goodput());
  return worst;
}

double worst_p99(const limit_run& run) {
  double worst = 0;
  for (const limit_phase_result& each : run.result.phases) worst = std::max(worst, each.p99_ms);
  return worst;
}

// `runs`: by falling goodput.
std::string best_and_worst(const std::vector<const limit_run*>& runs) {
  const limit_run& best = *runs.front();
  const limit_run& worst = *runs.back();
  if (best.goodput() - worst.goodput() < differs) {
    return fmt::format("No policy answers less than {}% of what was possible over the whole run.",
                       percent(worst.goodput()));
  }
  return fmt::format("{} answers most of what was possible over the whole run, {}%; {} least, {}%.", name(best),
                     percent(best.goodput()), name(worst), percent(worst.goodput()));
}

std::vector<std::string> recovery(const limit_result& result) {
  std::vector<std::string> never;
  std::vector<std::string> slow;
  for (const limit_run& run : result.runs) {
    if (!run.result.recovered_after) {
      never.push_back(with_percent(run, run.result.phases.back().sums.goodput()));
    } else if (*run.result.recovered_after > slow_recovery) {
      slow.push_back(fmt::format("{} ({:.0f} s)", name(run), *run.result.recovered_after));
    }
  }
  std::vector<std::string> sentences;
  if (!never.empty()) {
    sentences.push_back(
        fmt::format("Within the run the trouble does not end with its cause: {}; in brackets what is answered "
                    "afterwards, of what is possible.",
                    listed(never)));
  }
  if (!slow.empty()) sentences.push_back(fmt::format("Slow to recover: {}.", listed(slow)));
  if (sentences.empty()) sentences.emplace_back(result.runs.size() == 1 ? "It recovers." : "All recover.");
  return sentences;
}

std::vector<std::string> read(const limit_result& result) {
  std::vector<const limit_run*> runs;
  for (const limit_run& run : result.runs) runs.push_back(&run);
  std::stable_sort(runs.begin(), runs.end(),
                   [](const limit_run* a, const limit_run* b) { return a->goodput() > b->goodput(); });
  std::vector<std::string> sentences = {best_and_worst(runs)};
  if (has_trouble(result)) {
    for (std::string& each : recovery(result)) sentences.push_back(std::move(each));
  }

  const std::size_t phases = runs.front()->result.phases.size();
  std::vector<std::string> names;
  for (const limit_run* run : runs) {
    if (has_trouble(result) && !run->result.recovered_after) continue;  // said before
    if (worst_goodput(*run) < does_badly) names.push_back(with_percent(*run, worst_goodput(*run)));
  }
  if (!names.empty()) {
    sentences.push_back(fmt::format("Less than {}% of what is possible{}: {}.", percent(does_badly),
                                    phases == 1 ? "" : " in the worst phase", listed(names)));
  }

  // Of those that answer nearly as much as the best: who keeps people waiting?
  std::erase_if(runs, [&](const limit_run* run) { return run->goodput() < runs.front()->goodput() - nearly; });
  const auto [quick, slow] = std::minmax_element(
      runs.begin(), runs.end(), [](const limit_run* a, const limit_run* b) { return worst_p99(*a) < worst_p99(*b); });
  if (worst_p99(**slow) > 1.25 * worst_p99(**quick)) {
    sentences.push_back(fmt::format(
        "Of those that answer nearly as much as the best, {} is the quickest (p99{} {:.0f} "
        "ms) and {} the slowest ({:.0f} ms).",
        name(**quick), phases == 1 ? "" : " in the worst phase", worst_p99(**quick), name(**slow), worst_p99(**slow)));
  }

  names.clear();
  const limit_sums& quiet = result.runs.front().result.phases.front().sums;
  if (quiet.possible > 0.999 * quiet.arrived) {
    for (const limit_run& run : result.runs) {
      const double refused = run.result.phases.front().sums.refused_ratio();
      if (refused > refuses_without_need) names.push_back(with_percent(run, refused));
    }
  }
  if (!names.empty()) {
    sentences.push_back(fmt::format("Attempts refused{} although there were workers for all: {}.",
                                    phases == 1 ? "" : " before the trouble", listed(names)));
  }
  return sentences;
}

}  // namespace

double limit_run::goodput() const noexcept {
  const double possible = total(*this, &limit_sums::possible);
  return possible > 0 ? total(*this, &limit_sums::answered) / possible : 1;
}

std::vector<limit_column> limit_columns(const limit_result& result) {
  std::vector<limit_column> chosen;
  for (const limit_column& column : columns) {
    if (column.name == "recovers" && result.scenario->to <= result.scenario->from) continue;
    chosen.push_back(column);
  }
  return chosen;
}

std::string best_text(const limit_result& result, const limit_column& column) {
  if (column.value == nullptr || result.runs.empty()) return {};
  const auto [lowest, highest] =
      std::minmax_element(result.runs.begin(), result.runs.end(),
                          [&](const limit_run& a, const limit_run& b) { return column.value(a) < column.value(b); });
  std::string best = column.text(*lowest);
  return best == column.text(*highest) ? std::string{} : best;
}

table limit_table(const limit_result& result) {
  return table_of_runs(
      "policy", result, limit_columns(result),
      [](const limit_run& run) { return table::cell{std::string(run.policy->name)}; },
      [](const limit_column& column, const limit_run& run) { return column.text(run); });
}

limit_result study_limits(const limit_scenario& scenario, const std::vector<std::string>& policies,
                          const limit_simulation_options& options, progress& bar) {
  limit_result result{.scenario = &scenario, .options = options};
  bar.begin(std::string(scenario.name), std::uint64_t{options.seconds} * policies.size());
  for (const std::string& policy : policies) {
    bar.step(policy);
    result.runs.push_back(
        {&find_limit_policy(policy),
         simulate_overload(scenario, policy, options, [&](std::uint64_t count) { bar.advance(count); })});
  }
  bar.end();
  result.reading = read(result);
  return result;
}

std::string describe(const limit_simulation_options& options) {
  return fmt::format(
      "one service with {} workers and {} clients; a request takes {:g} ms on average ({}), so {} a second "
      "can "
      "be answered; Poisson arrivals, {:g} of that in good times, for {} s; a client waits {:g} ms for each attempt "
      "and "
      "tries {} more, also when it was refused; nobody tells the service that a client has gone; a refusal costs the "
      "workers {:g} ms; a fifth of the requests is critical, a fifth can be shed; seed {}",
      options.workers, limit_simulation_options::clients, limit_simulation_options::mean_service_ms,
      name_of(options.service), with_commas(static_cast<std::uint64_t>(options.capacity())), options.load,
      options.seconds, options.timeout_ms,
      options.retries == 1 ? std::string{"once"} : fmt::format("{} times", options.retries),
      limit_simulation_options::refusal_work_ms, options.seed);
}

std::string phase_names(const limit_scenario& scenario) {
  std::string text;
  for (const limit_phase& each : scenario.phases()) text += (text.empty() ? "" : " / ") + std::string{each.name};
  return text;
}

}  // namespace banyan::lab
