#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace banyan::lab {

/// What happens to the first server in the middle third of the run.
enum class server_fate {
  none,
  refuses,  ///< everything there and everything sent there fails at once
  hangs     ///< takes requests and answers none
};

/// A situation in which balancing policies are compared.
struct balance_scenario {
  std::string_view name;
  std::string_view description;  ///< a sentence without its full stop
  double first_is_slower = 1;    ///< times that the first server takes longer
  server_fate first = server_fate::none;
  bool one_joins = false;   ///< at half of the run, and takes five times as long for ten seconds
  bool slow_start = false;  ///< the cluster warms up new members for 30 seconds
  bool pauses = false;      ///< each server stands still for 200 ms every 5 seconds or so
  bool bursts = false;      ///< for 200 ms of each second 2.6 times the mean rate, else 0.6 times
  bool sizes = false;       ///< servers have 1, 1, 2, 4 times the workers, and weights like that

  /// The server that is different, of `servers` that are there from the start.
  [[nodiscard]] std::optional<std::size_t> odd_one(std::size_t servers) const noexcept {
    if (one_joins) return servers;
    if (first_is_slower != 1 || first != server_fate::none) return 0;
    return std::nullopt;
  }
};

/// The built-in scenarios.
std::span<const balance_scenario> balance_scenarios() noexcept;

/// Throws `bad_input` for an unknown name.
const balance_scenario& find_scenario(std::string_view name);

}  // namespace banyan::lab
