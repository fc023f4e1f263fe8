#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace banyan {

/// What a monitor or a reply says of one member of a set. What is missing stays as it was.
struct replica_report {
  /// What it has applied; of the primary, what it has written. 0 counts as nothing.
  std::optional<std::uint64_t> position{};
  /// How far it is behind the primary; less than 0 counts as 0. Of the primary it does not matter.
  std::optional<std::chrono::nanoseconds> lag{};
  /// Of a probe or request; goes into a moving average. Not positive: ignored.
  std::optional<std::chrono::nanoseconds> round_trip{};
  /// `replica_set::epoch()` from before this was measured: if there is another primary since, the report is dropped. 0:
  /// the report is of the present epoch.
  std::uint32_t epoch = 0;
};

}  // namespace banyan
