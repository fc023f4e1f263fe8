#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "limit_scenario.hpp"
#include "limit_simulation.hpp"
#include "progress.hpp"
#include "table.hpp"

namespace banyan::lab {

/// One policy in one scenario.
struct limit_run {
  const limit_policy_entry* policy = nullptr;
  limit_simulation_result result{};

  /// Of all that was possible in the run, the part that was answered in time.
  [[nodiscard]] double goodput() const noexcept;
};

/// All policies in one scenario.
struct limit_result {
  const limit_scenario* scenario = nullptr;
  limit_simulation_options options{};
  std::vector<limit_run> runs{};
  std::vector<std::string> reading{};  ///< what the table says, in sentences
};

/// A column of the study's table: a figure for each phase, or one for the run.
struct limit_column {
  std::string_view name;
  std::string_view meaning;
  std::string (*text)(const limit_run&);
  double (*value)(const limit_run&);  ///< what is best when lowest; no function: nothing is
};

/// The columns for this scenario, without the policy's name.
std::vector<limit_column> limit_columns(const limit_result& result);

/// The text of the best value of a column; empty when all have the same or nothing is best there.
std::string best_text(const limit_result& result, const limit_column& column);

/// A row for each policy.
table limit_table(const limit_result& result);

/// Puts the policies (known names, at least one) through the scenario.
limit_result study_limits(const limit_scenario& scenario, const std::vector<std::string>& policies,
                          const limit_simulation_options& options, progress& bar);

/// What all scenarios have in common: workers, clients, how long requests take.
std::string describe(const limit_simulation_options& options);

/// The names of a scenario's phases, as its columns give them: "before / in trouble / after".
std::string phase_names(const limit_scenario& scenario);

}  // namespace banyan::lab
