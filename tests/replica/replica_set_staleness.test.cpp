#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <banyan/replica/staleness.hpp>

#include "support/catch.hpp"
#include "support/refused_field.hpp"

using namespace std::chrono_literals;
using banyan::testing::refused_field;

// Figures of the tests of MongoDB's specifications: source/server-selection/tests/rtt and source/max-staleness/tests of
// github.com/mongodb/specifications.

namespace {

using banyan::write_times;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

}  // namespace

TEST_CASE("staleness: the average of round trips, rtt/*", "[replica][staleness]") {
  CHECK(banyan::average_round_trip(std::nullopt, 10ms) == 10ms);  // first_value
  CHECK(banyan::average_round_trip(std::nullopt, 0ms) == 0ms);    // first_value_zero
  CHECK(banyan::average_round_trip(0ms, 5ms) == 1ms);             // value_test_1
  CHECK(banyan::average_round_trip(3100us, 36ms) == 9680us);      // value_test_2
  CHECK(banyan::average_round_trip(9120us, 9120us) == 9120us);    // value_test_3
  CHECK(banyan::average_round_trip(1ms, 1000ms) == 200800us);     // value_test_4
  CHECK(banyan::average_round_trip(0ms, 250us) == 50us);          // value_test_5
}

TEST_CASE("staleness: behind a known primary", "[replica][staleness]") {
  const auto behind = [](write_times replica, write_times primary) {
    return banyan::staleness_behind_primary(replica, primary, 25s);
  };
  // ReplicaSetWithPrimary/Nearest, and Secondary_tags2: heartbeats of 25 s, at most 50 s
  const write_times primary{0ms, 25002ms};
  CHECK(behind({0ms, 2ms}, primary) == 50s);      // suitable
  CHECK(behind({0ms, 1ms}, primary) == 50001ms);  // too stale
  // ReplicaSetWithPrimary/LastUpdateTime
  const write_times seen_earlier{1ms, 2ms};
  CHECK(behind({25001ms, 2ms}, seen_earlier) == 50s);
  CHECK(behind({25001ms, 1ms}, seen_earlier) == 50001ms);
  // The servers' clock may differ from ours by any constant.
  for (const nanoseconds skew : {-1000s, 0s, 1000s}) CHECK(behind({25001ms, 2ms + skew}, {1ms, 2ms + skew}) == 50s);
}

TEST_CASE("staleness: behind the freshest replica", "[replica][staleness]") {
  // ReplicaSetNoPrimary/Secondary, Nearest2, LastUpdateTime: when they were looked at does not matter
  CHECK(banyan::staleness_behind_freshest(25002ms, 25002ms, 25s) == 25s);
  CHECK(banyan::staleness_behind_freshest(2ms, 25002ms, 25s) == 50s);
  CHECK(banyan::staleness_behind_freshest(1ms, 25002ms, 25s) == 50001ms);
}

TEST_CASE("staleness: bounds that cannot be kept", "[replica][staleness]") {
  const auto refused = [](auto... arguments) {
    return refused_field([=] {
             banyan::check_max_staleness(arguments...);
             return true;
           }) == "max_staleness";
  };
  CHECK(refused(nanoseconds{1s}, nanoseconds{500ms}));  // MaxStalenessTooSmall
  CHECK(refused(nanoseconds{89s}, nanoseconds{10s}));
  CHECK_FALSE(refused(nanoseconds{90s}, nanoseconds{500ms}));
  CHECK(refused(nanoseconds{129s}, nanoseconds{120s}));  // IdleWriteFrequency2 and LongHeartbeat: 120 s + 10 s
  CHECK_FALSE(refused(nanoseconds{130s}, nanoseconds{120s}));
}

TEST_CASE("staleness: the latency window", "[replica][staleness]") {
  const std::vector<nanoseconds> nearest{5ms, 50ms};  // Nearest: the second is too far
  const nanoseconds farthest = banyan::farthest_in_window(nearest, 15ms);
  CHECK(farthest == 20ms);
  CHECK(nearest[0] <= farthest);
  CHECK(nearest[1] > farthest);
  const std::vector<nanoseconds> both{20ms, 5ms};
  CHECK(both[0] <= banyan::farthest_in_window(both, 15ms));
  CHECK(banyan::farthest_in_window({}, 15ms) == 15ms);
}
