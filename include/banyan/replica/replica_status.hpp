#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <banyan/cluster/endpoint_id.hpp>

namespace banyan {

/// What a set knows of one member at one moment.
struct replica_status {
  endpoint_id id{};
  bool primary = false;
  bool lagging = false;                                  ///< over `max_lag`, and not yet well below it
  std::uint64_t position = 0;                            ///< as reported in this epoch; 0: not
  std::optional<std::chrono::nanoseconds> staleness{};   ///< the reported lag plus the age of the report
  std::optional<std::chrono::nanoseconds> silence{};     ///< since the last report
  std::optional<std::chrono::nanoseconds> round_trip{};  ///< moving average
};

}  // namespace banyan
