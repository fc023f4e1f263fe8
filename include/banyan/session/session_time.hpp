#pragma once

#include <chrono>

namespace banyan {

/// A time as it is kept with a session and in a token: milliseconds since the epoch of the clock in use. Servers that
/// share sessions use a clock that they agree on, which `std::chrono::system_clock` is as far as their clocks agree.
using session_time = std::chrono::sys_time<std::chrono::milliseconds>;

namespace detail {

// So far from the ends that no sum here overflows: a hundred thousand years.
inline constexpr std::chrono::milliseconds session_time_end{std::chrono::milliseconds::rep{1} << 52};

/// Rounded down; what is farther off than anybody can mean is `session_time_end`.
template <class TimePoint>
[[nodiscard]] session_time to_session_time(TimePoint t) noexcept {
  const auto since = t.time_since_epoch();
  const double about = std::chrono::duration<double, std::milli>(since).count();
  const auto end = static_cast<double>(session_time_end.count());
  if (about >= end) return session_time{session_time_end};
  if (about <= -end) return session_time{-session_time_end};
  return session_time{std::chrono::floor<std::chrono::milliseconds>(since)};
}

}  // namespace detail

}  // namespace banyan
