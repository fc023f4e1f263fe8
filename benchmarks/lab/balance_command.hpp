#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan::lab {

/// What `banyan_lab balance` was asked for.
struct balance_command_options {
  std::vector<std::string> policies = {"all"};
  std::vector<std::string> scenarios = {"all"};
  std::uint64_t servers = 10;
  std::uint64_t workers = 1;
  double load = 0.8;
  std::uint64_t requests = 100'000;
  std::uint64_t retries = 1;
  std::string service = "exponential";
  std::uint64_t seed = 1;
  std::string report = "balance-report.html";
};

/// Adds the command to the program. It runs when the command line is parsed.
void add_balance_command(CLI::App& app);

/// Runs the study: prints a table and a reading for each scenario to standard output and writes the report. Throws
/// `bad_input` before anything is printed or written.
void run_balance_command(const balance_command_options& options);

}  // namespace banyan::lab
