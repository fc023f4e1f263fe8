#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace banyan::lab {

/// A stretch of a run, as parts of its length.
struct limit_phase {
  std::string_view name;
  double from = 0;
  double to = 1;
};

/// A situation in which ways to bear overload are compared. Loads are arrivals as a share of what all workers can do
/// in good times; "part" is a moment of the run, from 0 to 1.
struct limit_scenario {
  std::string_view name;
  std::string_view description;  ///< a sentence without its full stop
  double load = 0;               ///< outside the trouble; 0: what the study is asked for
  double peak = 0;               ///< in the middle of the run, reached and left evenly; 0: the load stays
  double from = 0;               ///< trouble begins
  double to = 0;                 ///< ... and is over; at `from`: there is none
  double trouble_load = 0;       ///< load in it; 0: the same
  double workers = 1;            ///< share of the workers that is left in it
  double slower = 1;             ///< times that work takes longer in it
  double timeouts = 0;           ///< share of the work that hangs in it until the service gives it up

  [[nodiscard]] bool troubled(double part) const noexcept { return part >= from && part < to; }
  [[nodiscard]] double load_at(double part, double usual) const noexcept;
  [[nodiscard]] double highest_load(double usual) const noexcept;
  /// How many of `all` workers are there, at least one.
  [[nodiscard]] std::uint32_t workers_at(double part, std::uint32_t all) const noexcept;
  /// Requests a second that these can answer.
  [[nodiscard]] double capacity_at(double part, std::uint32_t all, double mean_ms, double hang_ms) const noexcept;
  /// What figures are given for: before, in and after the trouble; the thirds of a run with a peak; else the run.
  [[nodiscard]] std::vector<limit_phase> phases() const;
};

/// The built-in scenarios.
std::span<const limit_scenario> limit_scenarios() noexcept;

/// Throws `bad_input` for an unknown name.
const limit_scenario& find_limit_scenario(std::string_view name);

}  // namespace banyan::lab
