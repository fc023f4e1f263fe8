#include "cache_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

#include "bad_input.hpp"
#include "cache_page.hpp"
#include "cache_study.hpp"
#include "command_line.hpp"
#include "html_page.hpp"
#include "policies.hpp"
#include "progress.hpp"
#include "table.hpp"
#include "terminal.hpp"
#include "trace_reader.hpp"
#include "workloads.hpp"

namespace banyan::lab {
namespace {

constexpr std::uint32_t workload_requests = 250'000;

std::string percent(double ratio) { return fmt::format("{:.2f}%", ratio * 100); }

std::string result_text(const cache_result& result, bool terminal) {
  std::string text =
      fmt::format("{}: {} requests for {} keys", result.name, with_commas(result.requests), with_commas(result.keys));
  if (!result.description.empty()) text += " (" + result.description + ")";
  if (result.skipped > 0) text += fmt::format(", {} lines without a key left out", with_commas(result.skipped));
  text += "\n";
  table::row heading = {{"hit ratio"}};
  for (const std::size_t i : result.asked()) {
    const studied_size& size = result.sizes[i];
    const bool share = size.asked_as.find('%') != std::string::npos;
    heading.push_back(
        {share ? fmt::format("{} ({})", size.asked_as, with_commas(size.entries)) : with_commas(size.entries)});
  }
  heading.push_back({"M requests/s"});
  table rows(std::move(heading));
  const auto add = [&](const policy_result& policy, bool optimum) {
    table::row cells = {{policy.name}};
    for (const std::size_t i : result.asked()) {
      const std::string shown = percent(policy.hit_ratios[i]);
      cells.push_back({shown, !optimum && shown == percent(result.best_at(i))});
    }
    if (!optimum) cells.push_back({fmt::format("{:.1f}", policy.million_requests_per_second)});
    rows.add(std::move(cells));
  };
  for (const policy_result& policy : result.policies) add(policy, false);
  add(result.optimum, true);
  return text + rows.text(terminal) + result.recommendation + "\n\n";
}

bool is_size(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.%,") == std::string::npos &&
         text.find_first_of("0123456789") != std::string::npos;
}

}  // namespace

std::vector<std::string> join_capacities(std::vector<std::string> arguments) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") {
      result.insert(result.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
      break;
    }
    if (arguments[i] != "--capacity" || i + 1 == arguments.size()) {
      result.push_back(arguments[i]);
      continue;
    }
    std::string value = arguments[++i];
    while (i + 1 < arguments.size() && is_size(value) && is_size(arguments[i + 1]) &&
           !std::filesystem::exists(arguments[i + 1])) {
      value += "," + arguments[++i];
    }
    // With the equals sign a negative number reaches us too, instead of passing for an option.
    result.push_back("--capacity=" + value);
  }
  return result;
}

void run_cache_command(const cache_options& options) {
  const trace_format format = parse_trace_format(options.format);
  const std::vector<std::string> policies = chosen_names("--policy", options.policies, policy_names());
  std::vector<capacity_request> capacities;
  for (const std::string& list : options.capacities) {
    for (capacity_request& each : parse_capacities(list)) capacities.push_back(std::move(each));
  }
  check_report_path(options.report);
  if (options.traces.empty() && format.kind != trace_kind::automatic) {
    throw bad_input(
        fmt::format("--format {}: there is no TRACE to read; give a file, or - for standard input", options.format));
  }
  if (std::count(options.traces.begin(), options.traces.end(), "-") > 1) {
    throw bad_input("-: standard input can be read only once");
  }

  progress bar(stderr, is_terminal(stderr));
  // All traces are read before the first is studied: a mistake in the last one should not cost the time of the others.
  std::vector<trace> traces;
  for (const std::string& path : options.traces) traces.push_back(read_trace(path, format, bar));
  if (options.traces.empty()) {
    for (const std::string_view name : workload_names()) {
      traces.push_back(generate_workload(name, workload_requests, options.seed));
    }
    print(fmt::format("No TRACE given: built-in workloads, seed {}.\n\n", options.seed));
  }
  const bool terminal = is_terminal(stdout);
  std::vector<cache_result> results;
  for (trace& each : traces) {
    results.push_back(study_caches(each, policies, capacities, bar));
    print(result_text(results.back(), terminal));
    each = {};  // a long trace's memory is not needed any more
  }
  if (results.size() > 1) print(recommend_overall(results) + "\n\n");
  print("report: " + write_report(options.report, cache_page(results)).string() + "\n");
}

void add_cache_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("cache", "Which cache policy, and how large?");
  const auto options = std::make_shared<cache_options>();
  command->add_option("TRACE", options->traces,
                      "traces to study; - is standard input; without any, built-in workloads");
  command
      ->add_option("--format", options->format,
                   "auto, keys (one per line), csv:COLUMN (number from 1 or name), clf (web server log), u32")
      ->capture_default_str();
  add_list(*command, "--capacity", options->capacities,
           "cache sizes, separated by commas: entries (1000) or share of the trace's keys (5%)");
  add_choice(*command, "--policy", options->policies, policy_names());
  command->add_option("--report", options->report, "HTML file to write")->capture_default_str();
  command->add_option("--seed", options->seed, "for the built-in workloads")->capture_default_str();
  command->callback([options] { run_cache_command(*options); });
}

}  // namespace banyan::lab
