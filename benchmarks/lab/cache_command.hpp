#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan::lab {

/// What `banyan_lab cache` was asked for.
struct cache_options {
  std::vector<std::string> traces;  ///< files, "-" for standard input; none: built-in workloads
  std::string format = "auto";
  std::vector<std::string> capacities = {"1%", "5%", "20%"};
  std::vector<std::string> policies = {"all"};
  std::string report = "lab-report.html";
  std::uint64_t seed = 1;  ///< for built-in workloads
};

/// Adds the command to the program. It runs when the command line is parsed.
void add_cache_command(CLI::App& app);

/// Runs the study: prints tables and recommendations to standard output and writes the report. Throws `bad_input`
/// before anything is printed or written.
void run_cache_command(const cache_options& options);

/// Lets `--capacity 100 1000 FILE` mean what it looks like: numbers and shares that follow the option and are not names
/// of files are joined to its value by commas.
std::vector<std::string> join_capacities(std::vector<std::string> arguments);

}  // namespace banyan::lab
