#pragma once

#include <chrono>
#include <cstdint>

namespace banyan::detail {

/// The clock of a pick, whatever clock the balancer has: its times are always given.
struct pick_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<pick_clock>;
  static constexpr bool is_steady = false;

  /// Not asked for.
  static time_point now() noexcept { return time_point{}; }
};

}  // namespace banyan::detail
