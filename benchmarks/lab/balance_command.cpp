#include "balance_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "bad_input.hpp"
#include "balance_page.hpp"
#include "balance_policies.hpp"
#include "balance_study.hpp"
#include "command_line.hpp"
#include "html_page.hpp"
#include "progress.hpp"
#include "terminal.hpp"

namespace banyan::lab {
namespace {

constexpr std::uint64_t most_servers = 1000;
constexpr std::uint64_t most_workers = 64;
constexpr std::uint64_t fewest_requests = 1000;
constexpr std::uint64_t most_requests = 10'000'000;
constexpr std::uint64_t most_retries = 5;
constexpr double most_load = 2;

simulation_options checked(const balance_command_options& options) {
  check_range("--servers", options.servers, 1, most_servers);
  check_range("--workers", options.workers, 1, most_workers);
  check_range("--requests", options.requests, fewest_requests, most_requests);
  check_range("--retries", options.retries, 0, most_retries);
  if (!(options.load > 0 && options.load <= most_load)) {
    throw bad_input(
        fmt::format("--load {:g}: must be above 0 and at most {:g}; 0.8 is four fifths of what the servers "
                    "can do",
                    options.load, most_load));
  }
  return {.servers = static_cast<std::size_t>(options.servers),
          .workers = static_cast<std::uint32_t>(options.workers),
          .load = options.load,
          .requests = options.requests,
          .retries = static_cast<std::uint32_t>(options.retries),
          .service = service_times_of("--service", options.service),
          .seed = options.seed};
}

std::string result_text(const balance_result& result, bool terminal) {
  return fmt::format("{}: {}\n", result.scenario->name, result.scenario->description) +
         balance_table(result).text(terminal) + result.reading + "\n\n";
}

}  // namespace

void run_balance_command(const balance_command_options& options) {
  const std::vector<std::string> policies = chosen_names("--policy", options.policies, balance_policy_names());
  const std::vector<std::string> scenarios =
      chosen_names("--scenario", options.scenarios, names_of(balance_scenarios()));
  const simulation_options simulated = checked(options);
  check_report_path(options.report);

  progress bar(stderr, is_terminal(stderr));
  const bool terminal = is_terminal(stdout);
  print(describe(simulated) + ".\n\n");
  std::vector<balance_result> results;
  for (const std::string& name : scenarios) {
    results.push_back(study_balance(find_scenario(name), policies, simulated, results, bar));
    print(result_text(results.back(), terminal));
  }
  print("report: " + write_report(options.report, balance_page(results)).string() + "\n");
}

void add_balance_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("balance", "Which balancing policy? A simulation");
  const auto options = std::make_shared<balance_command_options>();
  add_choice(*command, "--policy", options->policies, balance_policy_names());
  add_choice(*command, "--scenario", options->scenarios, names_of(balance_scenarios()));
  command->add_option("--servers", options->servers, "how many there are at the start")->capture_default_str();
  command->add_option("--workers", options->workers, "of each server: requests that it works on at once")
      ->capture_default_str();
  command->add_option("--load", options->load, "arrivals as a share of what the servers can do")->capture_default_str();
  command->add_option("--requests", options->requests, "in each run")->capture_default_str();
  command->add_option("--retries", options->retries, "of a request that failed before its time was up")
      ->capture_default_str();
  command->add_option("--service", options->service, "how long requests take: exponential, lognormal, fixed")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of everything random")->capture_default_str();
  command->add_option("--report", options->report, "HTML file to write")->capture_default_str();
  command->callback([options] { run_balance_command(*options); });
}

}  // namespace banyan::lab
