#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "balance_scenario.hpp"
#include "balance_simulation.hpp"
#include "progress.hpp"
#include "table.hpp"

namespace banyan::lab {

/// One policy in one scenario.
struct balance_run {
  std::string policy{};
  simulation_result result{};

  /// Picks in a second of this machine, everything that the simulation does included.
  [[nodiscard]] double picks_per_second() const noexcept;
};

/// All policies in one scenario.
struct balance_result {
  const balance_scenario* scenario = nullptr;
  simulation_options options{};
  std::vector<balance_run> runs{};
  std::string reading{};  ///< what the table says, in a sentence or two

  /// The server that is different, counted from 0; none in most scenarios.
  [[nodiscard]] std::optional<std::size_t> odd_one() const noexcept { return scenario->odd_one(options.servers); }
};

/// A column of the study's table.
struct balance_column {
  std::string_view name;
  std::string (*text)(const balance_result&, const balance_run&);
  /// What is best when lowest; no function: nothing is.
  double (*value)(const balance_run&);
};

/// The columns for this scenario, without the policy's name.
std::vector<balance_column> balance_columns(const balance_result& result);

/// The text of the lowest value of a column; empty when all have the same or nothing is best there.
std::string best_text(const balance_result& result, const balance_column& column);

/// A row for each policy.
table balance_table(const balance_result& result);

/// Puts the policies (known names, at least one) through the scenario. `before`: what has been studied so far, for
/// comparison.
balance_result study_balance(const balance_scenario& scenario, const std::vector<std::string>& policies,
                             const simulation_options& options, const std::vector<balance_result>& before,
                             progress& bar);

/// What all scenarios have in common: servers, load, how long requests take.
std::string describe(const simulation_options& options);

}  // namespace banyan::lab
