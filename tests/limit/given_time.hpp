#pragma once

#include <chrono>

#include <banyan/core/clock.hpp>

namespace banyan::testing {

/// Tests of limits give the time themselves: some time after `start`, which is long after the clock's epoch.
struct given_time;
using given_clock = basic_manual_clock<given_time>;
using time_point = given_clock::time_point;

inline constexpr time_point start{std::chrono::hours{1'000'000}};

[[nodiscard]] constexpr time_point after(std::chrono::nanoseconds elapsed) { return start + elapsed; }

}  // namespace banyan::testing
