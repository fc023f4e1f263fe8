// banyan_lab: studies over one's own traces, and simulations. One subcommand for each study.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "bad_input.hpp"
#include "balance_command.hpp"
#include "cache_command.hpp"
#include "limit_command.hpp"
#include "ring_command.hpp"

namespace {

constexpr int exit_failure = 1;    // the machine's fault: disk full, no memory
constexpr int exit_bad_input = 2;  // what was given cannot be used

int complain(const std::string& what, int code) {
  std::fputs(("banyan_lab: " + what + "\n").c_str(), stderr);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    CLI::App app("The banyan lab: which policy suits your traffic?", "banyan_lab");
    app.require_subcommand(1);
    banyan::lab::add_balance_command(app);
    banyan::lab::add_cache_command(app);
    banyan::lab::add_limit_command(app);
    banyan::lab::add_ring_command(app);
    try {
      auto arguments = banyan::lab::join_capacities(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
      std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app.exit(error);  // --help
      return complain(std::string(error.what()) + "\nRun with --help for more information.", exit_bad_input);
    }
    return 0;
  } catch (const banyan::lab::bad_input& error) {
    return complain(error.what(), exit_bad_input);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", exit_failure);
  } catch (const std::exception& error) {
    return complain(error.what(), exit_failure);
  }
}
