#pragma once

#include <chrono>

#include <banyan/core/clock.hpp>

namespace banyan::testing {

/// Tests of limits give the time themselves: some time after `start`, which is long after the clock's epoch. In the
/// words that such a test needs: `using namespace banyan::testing::given_times;`.
inline namespace given_times {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

struct given_time;
using given_clock = basic_manual_clock<given_time>;
using time_point = given_clock::time_point;

inline constexpr time_point start{1'000'000h};

[[nodiscard]] constexpr time_point after(nanoseconds elapsed) { return start + elapsed; }

}  // namespace given_times

}  // namespace banyan::testing
