#pragma once

/// \file
/// How stale a replica is, where a monitor sees no lag but times: as MongoDB's drivers do it. And which replicas are
/// near enough.

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// What a monitor has seen of a member at its last look.
struct write_times {
  std::chrono::nanoseconds seen{0};     ///< when it looked, by the monitor's clock
  std::chrono::nanoseconds written{0};  ///< the time of the last write there, by the clock of whoever was primary
};

/// How far a replica was behind the primary when both were last looked at, plus the time until the next look: the most
/// it can be behind until then. The two clocks may differ by any constant: it cancels out. O(1), wait-free.
///
/// Source: MongoDB's specification "Max Staleness": (S.lastUpdateTime - S.lastWriteDate) - (P.lastUpdateTime -
/// P.lastWriteDate) + heartbeatFrequencyMS.
[[nodiscard]] constexpr std::chrono::nanoseconds staleness_behind_primary(write_times replica, write_times primary,
                                                                          std::chrono::nanoseconds interval) noexcept {
  return (replica.seen - replica.written) - (primary.seen - primary.written) + interval;
}

/// The same where no primary is known: behind the replica with the latest write. Too little by what that one lacks.
///
/// Source: as above: SMax.lastWriteDate - S.lastWriteDate + heartbeatFrequencyMS.
[[nodiscard]] constexpr std::chrono::nanoseconds staleness_behind_freshest(std::chrono::nanoseconds written,
                                                                           std::chrono::nanoseconds latest_written,
                                                                           std::chrono::nanoseconds interval) noexcept {
  return latest_written - written + interval;
}

/// Refuses a bound on staleness that such estimates cannot keep: less than the time between two looks and between two
/// writes of an idle primary, or less than `floor`. Throws `std::invalid_argument`.
///
/// Source: as above: heartbeatFrequencyMS + idleWritePeriodMS (10 s), and 90 s at least.
inline void check_max_staleness(std::chrono::nanoseconds bound, std::chrono::nanoseconds interval,
                                std::chrono::nanoseconds idle_write_period = std::chrono::seconds{10},
                                std::chrono::nanoseconds floor = std::chrono::seconds{90}) {
  if (bound < floor)
    invalid_option("max_staleness", bound.count(), "must be at least the floor, 90 s by default (nanoseconds)");
  if (bound < interval + idle_write_period)
    invalid_option("max_staleness", bound.count(),
                   "must be at least the interval and the idle write period together (nanoseconds)");
}

/// A moving average of round trips: the first one, then a fifth of each further. O(1), wait-free.
///
/// Source: MongoDB's specification "Server Selection": alpha 0.2.
[[nodiscard]] constexpr std::chrono::nanoseconds average_round_trip(std::optional<std::chrono::nanoseconds> average,
                                                                    std::chrono::nanoseconds sample) noexcept {
  return average ? *average + (sample - *average) / 5 : sample;
}

/// The longest round trip that is near enough: of the nearest, and `window` more; 15 ms are usual. None of them: the
/// window. O(n), wait-free.
///
/// Source: as `average_round_trip`: localThresholdMS.
[[nodiscard]] inline std::chrono::nanoseconds farthest_in_window(std::span<const std::chrono::nanoseconds> round_trips,
                                                                 std::chrono::nanoseconds window) noexcept {
  const auto nearest = std::min_element(round_trips.begin(), round_trips.end());
  return (nearest != round_trips.end() ? *nearest : std::chrono::nanoseconds{0}) + window;
}

}  // namespace banyan
