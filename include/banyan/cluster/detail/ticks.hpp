#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace banyan::detail {

/// Times inside the rooms are nanoseconds since the epoch of the component's clock.
template <class TimePoint>
[[nodiscard]] constexpr std::int64_t nanoseconds_of(TimePoint time) noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

/// The end of time.
inline constexpr std::int64_t end_of_time = std::numeric_limits<std::int64_t>::max();

}  // namespace banyan::detail
