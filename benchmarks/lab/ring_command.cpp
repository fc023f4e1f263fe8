#include "ring_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>

#include <banyan/hashing/detail/primes.hpp>

#include "bad_input.hpp"
#include "command_line.hpp"
#include "html_page.hpp"
#include "progress.hpp"
#include "ring_algorithms.hpp"
#include "ring_page.hpp"
#include "ring_study.hpp"
#include "table.hpp"
#include "terminal.hpp"

namespace banyan::lab {
namespace {

constexpr std::uint64_t most_nodes = 10'000;
constexpr std::uint64_t most_weight = 16;
constexpr std::uint64_t most_keys = 100'000;
constexpr std::uint64_t most_keys_in_all = 20'000'000;
constexpr std::uint64_t most_sets = 100;
constexpr std::uint64_t most_points = 1000;

ring_options checked(const ring_command_options& options) {
  check_range("--keys", options.keys, 1, most_keys);
  check_range("--sets", options.sets, 1, most_sets);
  check_range("--points", options.points, 1, most_points);
  check_range("--table", options.table_size, most_nodes, 5'000'011);
  ring_options result{.weights = {},
                      .keys_per_node = static_cast<std::size_t>(options.keys),
                      .sets = static_cast<std::size_t>(options.sets),
                      .seed = options.seed,
                      .times = !options.no_times};
  result.tuning.points = static_cast<std::uint32_t>(options.points);
  result.tuning.table_size = static_cast<std::uint32_t>(options.table_size);
  if (!banyan::detail::is_prime(result.tuning.table_size)) {
    throw bad_input(fmt::format("--table {}: must be a prime number, such as 65537 or 655373", options.table_size));
  }
  for (const std::uint64_t weight : listed_numbers("--weights", options.weights)) {
    check_range("--weights", weight, 1, most_weight);
    result.weights.push_back(static_cast<double>(weight));
  }
  return result;
}

std::vector<std::size_t> checked_nodes(const ring_command_options& options,
                                       const std::vector<std::string>& algorithms) {
  std::vector<std::size_t> sizes;
  for (const std::uint64_t nodes : listed_numbers("--nodes", options.nodes)) {
    check_range("--nodes", nodes, 2, most_nodes);
    if (nodes * options.keys > most_keys_in_all) {
      throw bad_input(fmt::format("--nodes {}: times --keys {}: must be at most {}", nodes, options.keys,
                                  with_commas(most_keys_in_all)));
    }
    const bool one_at_least =
        std::any_of(ring_algorithms().begin(), ring_algorithms().end(), [&](const ring_algorithm& each) {
          return nodes <= each.most_nodes &&
                 std::find(algorithms.begin(), algorithms.end(), each.name) != algorithms.end();
        });
    if (!one_at_least) throw bad_input(fmt::format("--nodes {}: too many for {}", nodes, algorithms.front()));
    sizes.push_back(static_cast<std::size_t>(nodes));
  }
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

std::string result_text(const ring_result& result, bool terminal) {
  return ring_table(fmt::format("{} nodes", with_commas(result.nodes)), result).text(terminal) + result.reading +
         "\n\n";
}

}  // namespace

void run_ring_command(const ring_command_options& options) {
  const std::vector<std::string> algorithms = chosen_names("--algorithm", options.algorithms, ring_algorithm_names());
  const ring_options studied = checked(options);
  const std::vector<std::size_t> sizes = checked_nodes(options, algorithms);
  check_report_path(options.report);

  progress bar(stderr, is_terminal(stderr));
  const bool terminal = is_terminal(stdout);
  print(describe(studied) +
        ".\nmax/share: the fullest node for its share; added, removed: keys moved against those that had to; needless: "
        "between nodes that stayed.\n\n");
  std::vector<ring_result> results;
  for (const std::size_t nodes : sizes) {
    results.push_back(study_rings(nodes, algorithms, studied, bar));
    print(result_text(results.back(), terminal));
  }
  print("report: " + write_report(options.report, ring_page(results)).string() + "\n");
}

void add_ring_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("ring", "Which placement of keys on nodes?");
  const auto options = std::make_shared<ring_command_options>();
  add_choice(*command, "--algorithm", options->algorithms, ring_algorithm_names());
  add_list(*command, "--nodes", options->nodes, "how many there are; several numbers, separated by commas");
  add_list(*command, "--weights", options->weights, "whole numbers that the nodes have in turn, separated by commas");
  command->add_option("--keys", options->keys, "for each node")->capture_default_str();
  command->add_option("--sets", options->sets, "of nodes and keys; balance and movement are means over them")
      ->capture_default_str();
  command->add_option("--points", options->points, "of a ring, for each node of weight 1")->capture_default_str();
  command->add_option("--table", options->table_size, "slots of the Maglev tables, a prime number")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of the keys")->capture_default_str();
  command->add_flag("--no-times", options->no_times, "only what is the same on every machine");
  command->add_option("--report", options->report, "HTML file to write")->capture_default_str();
  command->callback([options] { run_ring_command(*options); });
}

}  // namespace banyan::lab
