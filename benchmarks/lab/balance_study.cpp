#include "balance_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "table.hpp"

namespace banyan::lab {
namespace {

std::string milliseconds(double value) { return fmt::format("{:.1f}", value); }

std::string percent(double ratio) { return fmt::format("{:.2f}%", ratio * 100); }

double p99(const balance_run& run) { return run.result.p99_ms; }
double errors(const balance_run& run) { return run.result.error_ratio(); }
double retried(const balance_run& run) { return run.result.retried_ratio(); }

constexpr balance_column columns[] = {
    {"p50 ms", [](const balance_result&, const balance_run& run) { return milliseconds(run.result.p50_ms); },
     [](const balance_run& run) { return run.result.p50_ms; }},
    {"p99 ms", [](const balance_result&, const balance_run& run) { return milliseconds(p99(run)); }, p99},
    {"p99.9 ms", [](const balance_result&, const balance_run& run) { return milliseconds(run.result.p999_ms); },
     [](const balance_run& run) { return run.result.p999_ms; }},
    {"errors", [](const balance_result&, const balance_run& run) { return percent(errors(run)); }, errors},
    {"retried", [](const balance_result&, const balance_run& run) { return percent(run.result.retried_ratio()); },
     [](const balance_run& run) { return run.result.retried_ratio(); }},
    {"to the odd one",
     [](const balance_result& result, const balance_run& run) {
       return percent(run.result.share_of(result.odd_one().value_or(0)));
     },
     nullptr},
    {"load spread", [](const balance_result&, const balance_run& run) { return percent(run.result.load_spread()); },
     [](const balance_run& run) { return run.result.load_spread(); }},
    {"M picks/s",
     [](const balance_result&, const balance_run& run) { return fmt::format("{:.2f}", run.picks_per_second() / 1e6); },
     nullptr},
};

const balance_run* find(const balance_result& result, std::string_view policy) {
  for (const balance_run& run : result.runs) {
    if (run.policy == policy) return &run;
  }
  return nullptr;
}

// Where errors differ they come first: a quick failure is no good answer.
constexpr double as_few_errors = 0.0005;

const balance_run& best_of(const balance_result& result) {
  double fewest = 1;
  for (const balance_run& run : result.runs) fewest = std::min(fewest, errors(run));
  const balance_run* best = nullptr;
  for (const balance_run& run : result.runs) {
    if (errors(run) > fewest + as_few_errors) continue;
    if (best == nullptr || p99(run) < p99(*best)) best = &run;
  }
  return *best;
}

std::string in_general(const balance_result& result) {
  const balance_run& best = best_of(result);
  std::string text = fmt::format("{} answers 99% of the requests within {:.0f} ms", best.policy, p99(best));
  if (result.runs.size() == 1) {
    text += fmt::format("; {} fail", percent(errors(best)));
    return text;
  }
  const balance_run& slowest = *std::max_element(result.runs.begin(), result.runs.end(),
                                                 [](const auto& a, const auto& b) { return p99(a) < p99(b); });
  if (p99(slowest) > p99(best) * 1.05) {
    text += fmt::format(", {} needs {:.0f}", slowest.policy, p99(slowest));
  } else {
    text += ", and no policy differs much";
  }
  const balance_run& worst = *std::max_element(result.runs.begin(), result.runs.end(),
                                               [](const auto& a, const auto& b) { return errors(a) < errors(b); });
  if (errors(worst) > errors(best) + as_few_errors) {
    text += best.result.errors == 0 ? std::string("; none of them fails with it")
                                    : fmt::format("; {} of them fail with it", percent(errors(best)));
    text += fmt::format(", {} with {}", percent(errors(worst)), worst.policy);
  }
  return text;
}

std::string share_of_odd_one(const balance_result& result, std::string_view what) {
  const std::size_t odd = *result.odd_one();
  const auto [least, most] = std::minmax_element(
      result.runs.begin(), result.runs.end(),
      [odd](const auto& a, const auto& b) { return a.result.share_of(odd) < b.result.share_of(odd); });
  if (result.runs.size() == 1) {
    return fmt::format("The {} server gets {} of the requests.", what, percent(least->result.share_of(odd)));
  }
  return fmt::format("The {} server gets {} of the requests with {}, {} with {}.", what,
                     percent(least->result.share_of(odd)), least->policy, percent(most->result.share_of(odd)),
                     most->policy);
}

std::string retries(const balance_result& result) {
  const auto [least, most] = std::minmax_element(
      result.runs.begin(), result.runs.end(),
      [](const auto& a, const auto& b) { return a.result.retried_ratio() < b.result.retried_ratio(); });
  if (most->result.retried == 0) return {};
  if (result.runs.size() == 1) return fmt::format("{} are retried.", percent(least->result.retried_ratio()));
  return fmt::format(
      "{} of the requests are retried with {}, {} with {}: an idle server that fails at once looks free.",
      percent(least->result.retried_ratio()), least->policy, percent(most->result.retried_ratio()), most->policy);
}

// What it does to the policy that suffers most without it.
std::string against(const balance_result& result, const std::vector<balance_result>& before, std::string_view without,
                    std::string_view what, std::string_view suffers, double (*value)(const balance_run&)) {
  for (const balance_result& base : before) {
    if (base.scenario->name != without) continue;
    const balance_run* most = nullptr;
    for (const balance_run& run : base.runs) {
      if (find(result, run.policy) != nullptr && (most == nullptr || value(run) > value(*most))) most = &run;
    }
    if (most == nullptr || value(*most) == 0) return {};
    return fmt::format("Without {} {} {} {} of its requests, with it {}.", what, most->policy, suffers,
                       percent(value(*most)), percent(value(*find(result, most->policy))));
  }
  return {};
}

std::string read(const balance_result& result, const std::vector<balance_result>& before) {
  std::string text = in_general(result) + ".";
  std::string more;
  const std::string_view name = result.scenario->name;
  if (name == "slow") more = share_of_odd_one(result, "slow");
  if (name == "hanging") more = share_of_odd_one(result, "hanging");
  if (name == "dying") more = retries(result);
  if (name == "cold") more = share_of_odd_one(result, "new");
  if (name == "slow_start") more = against(result, before, "cold", "slow start", "fails", errors);
  if (name == "hanging_watched") more = against(result, before, "hanging", "a detector", "fails", errors);
  if (name == "dying_watched") more = against(result, before, "dying", "a detector", "retries", retried);
  if (!more.empty()) text += " " + more;
  return text;
}

}  // namespace

double balance_run::picks_per_second() const noexcept {
  return result.seconds > 0 ? static_cast<double>(result.picks) / result.seconds : 0;
}

std::vector<balance_column> balance_columns(const balance_result& result) {
  const bool any_retried =
      std::any_of(result.runs.begin(), result.runs.end(), [](const auto& run) { return run.result.retried != 0; });
  std::vector<balance_column> chosen;
  for (const balance_column& column : columns) {
    if (column.name == "to the odd one" && !result.odd_one()) continue;
    if (column.name == "retried" && !any_retried) continue;
    chosen.push_back(column);
  }
  return chosen;
}

std::string best_text(const balance_result& result, const balance_column& column) {
  if (column.value == nullptr || result.runs.empty()) return {};
  const auto [lowest, highest] = std::minmax_element(
      result.runs.begin(), result.runs.end(),
      [&](const balance_run& a, const balance_run& b) { return column.value(a) < column.value(b); });
  std::string best = column.text(result, *lowest);
  return best == column.text(result, *highest) ? std::string{} : best;
}

table balance_table(const balance_result& result) {
  return table_of_runs(
      "policy", result, balance_columns(result), [](const balance_run& run) { return table::cell{run.policy}; },
      [&](const balance_column& column, const balance_run& run) { return column.text(result, run); });
}

balance_result study_balance(const balance_scenario& scenario, const std::vector<std::string>& policies,
                             const simulation_options& options, const std::vector<balance_result>& before,
                             progress& bar) {
  balance_result result{.scenario = &scenario, .options = options};
  bar.begin(std::string(scenario.name), options.requests * policies.size());
  for (const std::string& policy : policies) {
    bar.step(policy);
    result.runs.push_back(
        {policy, simulate(scenario, policy, options, [&](std::uint64_t count) { bar.advance(count); })});
  }
  bar.end();
  result.reading = read(result, before);
  return result;
}

std::string describe(const simulation_options& options) {
  const auto count = [](std::uint64_t number, std::string_view what) {
    return fmt::format("{} {}{}", with_commas(number), what, number == 1 ? "" : "s");
  };
  return fmt::format(
      "{} of {} each, {} in Poisson arrivals at {:g} of what they can do; each takes {:g} ms on average ({}) and is "
      "given up after {:g} ms; one that fails earlier is tried {}; seed {}",
      count(options.servers, "server"), count(options.workers, "worker"), count(options.requests, "request"),
      options.load, simulation_options::mean_service_ms, name_of(options.service), simulation_options::timeout_ms,
      options.retries == 0   ? "no second time"
      : options.retries == 1 ? "once more elsewhere"
                             : fmt::format("{} times more elsewhere", options.retries),
      options.seed);
}

}  // namespace banyan::lab
