#include "limit_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "bad_input.hpp"
#include "command_line.hpp"
#include "html_page.hpp"
#include "limit_page.hpp"
#include "limit_study.hpp"
#include "progress.hpp"
#include "terminal.hpp"

namespace banyan::lab {
namespace {

constexpr std::uint64_t fewest_workers = 3;
constexpr std::uint64_t most_workers = 1000;
constexpr std::uint64_t fewest_seconds = 9;
constexpr std::uint64_t most_seconds = 3600;
constexpr std::uint64_t most_work = 100'000;  // workers times seconds: ten million requests
constexpr std::uint64_t most_retries = 10;
constexpr double most_load = 2;
constexpr double most_timeout_ms = 60'000;

void check_positive(std::string_view option, double value, double most, std::string_view meaning) {
  if (!(value > 0 && value <= most)) {
    throw bad_input(fmt::format("{} {:g}: must be above 0 and at most {:g}; {}", option, value, most, meaning));
  }
}

limit_simulation_options checked(const limit_command_options& options) {
  check_range("--workers", options.workers, fewest_workers, most_workers);
  check_range("--seconds", options.seconds, fewest_seconds, most_seconds);
  if (options.workers * options.seconds > most_work) {
    throw bad_input(fmt::format("--workers {} for --seconds {}: their product must be at most {}", options.workers,
                                options.seconds, most_work));
  }
  check_range("--retries", options.retries, 0, most_retries);
  check_positive("--load", options.load, most_load, "0.7 is seven tenths of what the workers can do");
  check_positive("--timeout", options.timeout_ms, most_timeout_ms, "it is in ms");
  return {.workers = static_cast<std::uint32_t>(options.workers),
          .load = options.load,
          .seconds = static_cast<std::uint32_t>(options.seconds),
          .retries = static_cast<std::uint32_t>(options.retries),
          .timeout_ms = options.timeout_ms,
          .service = service_times_of("--service", options.service),
          .seed = options.seed};
}

std::string result_text(const limit_result& result, bool terminal) {
  std::string text = fmt::format("{}: {}\n", result.scenario->name, result.scenario->description);
  if (result.scenario->phases().size() > 1) text += fmt::format("figures: {}\n", phase_names(*result.scenario));
  text += limit_table(result).text(terminal);
  for (const std::string& sentence : result.reading) text += sentence + "\n";
  return text + "\n";
}

}  // namespace

void run_limit_command(const limit_command_options& options) {
  const std::vector<std::string> policies = chosen_names("--policy", options.policies, names_of(limit_policies()));
  const std::vector<std::string> scenarios = chosen_names("--scenario", options.scenarios, names_of(limit_scenarios()));
  const limit_simulation_options simulated = checked(options);
  check_report_path(options.report);

  progress bar(stderr, is_terminal(stderr));
  const bool terminal = is_terminal(stdout);
  print(describe(simulated) + ".\n\n");
  std::vector<limit_result> results;
  for (const std::string& name : scenarios) {
    results.push_back(study_limits(find_limit_scenario(name), policies, simulated, bar));
    print(result_text(results.back(), terminal));
  }
  print("report: " + write_report(options.report, limit_page(results)).string() + "\n");
}

void add_limit_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("limit", "What helps against overload? A simulation");
  const auto options = std::make_shared<limit_command_options>();
  add_choice(*command, "--policy", options->policies, names_of(limit_policies()));
  add_choice(*command, "--scenario", options->scenarios, names_of(limit_scenarios()));
  command->add_option("--workers", options->workers, "of the service: requests that it works on at once")
      ->capture_default_str();
  command->add_option("--load", options->load, "usual arrivals as a share of what the workers can do")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "simulated time of each run")->capture_default_str();
  command->add_option("--retries", options->retries, "of a request that was refused or got no answer in time")
      ->capture_default_str();
  command->add_option("--timeout", options->timeout_ms, "ms that a client waits for each attempt")
      ->capture_default_str();
  command->add_option("--service", options->service, "how long requests take: exponential, lognormal, fixed")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of everything random")->capture_default_str();
  command->add_option("--report", options->report, "HTML file to write")->capture_default_str();
  command->callback([options] { run_limit_command(*options); });
}

}  // namespace banyan::lab
