#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan::lab {

/// What `banyan_lab limit` was asked for.
struct limit_command_options {
  std::vector<std::string> policies = {"all"};
  std::vector<std::string> scenarios = {"all"};
  std::uint64_t workers = 10;
  double load = 0.7;
  std::uint64_t seconds = 300;
  std::uint64_t retries = 3;
  double timeout_ms = 300;
  std::string service = "exponential";
  std::uint64_t seed = 1;
  std::string report = "limit-report.html";
};

/// Adds the command to the program. It runs when the command line is parsed.
void add_limit_command(CLI::App& app);

/// Runs the study: prints a table and a reading for each scenario to standard output and writes the report. Throws
/// `bad_input` before anything is printed or written.
void run_limit_command(const limit_command_options& options);

}  // namespace banyan::lab
