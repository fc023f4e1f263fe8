#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan::lab {

/// What `banyan_lab ring` was asked for.
struct ring_command_options {
  std::vector<std::string> algorithms = {"all"};
  std::vector<std::string> nodes = {"10,100,1000"};
  std::vector<std::string> weights = {"1"};
  std::uint64_t keys = 1000;
  std::uint64_t sets = 3;
  std::uint64_t points = 160;
  std::uint64_t table_size = 65'537;
  std::uint64_t seed = 1;
  bool no_times = false;
  std::string report = "ring-report.html";
};

/// Adds the command to the program. It runs when the command line is parsed.
void add_ring_command(CLI::App& app);

/// Runs the study: prints a table and a reading for each number of nodes to standard output and writes the report.
/// Throws `bad_input` before anything is printed or written.
void run_ring_command(const ring_command_options& options);

}  // namespace banyan::lab
