#include <banyan/replica/hybrid_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::hybrid_clock;
using banyan::hybrid_time;
using banyan::testing::random_source;
using banyan::testing::refused_field;
using wall = std::chrono::system_clock::time_point;

constexpr wall at(std::int64_t milliseconds) { return wall{std::chrono::milliseconds{milliseconds}}; }
constexpr hybrid_time stamp(std::uint64_t milliseconds, std::uint64_t logical) {
  return hybrid_time::from_packed((milliseconds << 16) | logical);
}

}  // namespace

TEST_CASE("hybrid_clock: a message goes round four nodes, the first of them ahead", "[replica][hybrid_clock]") {
  // After the example of Kulkarni et al. 2014: node 0's wall time is 10, the others' 1 to 3.
  hybrid_clock<> zero;
  hybrid_clock<> one;
  hybrid_clock<> two;
  hybrid_clock<> three;
  const hybrid_time first = zero.now(at(10));
  CHECK(first == stamp(10, 0));
  const auto received = one.observe(first, at(1));
  CHECK(received == stamp(10, 1));
  CHECK(one.now(at(2)) == stamp(10, 2));
  CHECK(two.observe(stamp(10, 2), at(2)) == stamp(10, 3));
  CHECK(two.now(at(3)) == stamp(10, 4));
  CHECK(three.observe(stamp(10, 4), at(3)) == stamp(10, 5));
  CHECK(three.now(at(13)) == stamp(13, 0));  // wall time has caught up: the counter begins anew
}

TEST_CASE("hybrid_clock: a wall clock that stands still or goes back does not take time back",
          "[replica][hybrid_clock]") {
  hybrid_clock<> clock;
  CHECK(clock.now(at(1000)) == stamp(1000, 0));
  CHECK(clock.now(at(1000)) == stamp(1000, 1));
  CHECK(clock.now(at(200)) == stamp(1000, 2));
  CHECK(clock.ahead(at(200)) == 800ms);
  CHECK(clock.ahead(at(2000)) == 0ms);
  CHECK(clock.now(at(-5)) == stamp(1000, 3));
  hybrid_time last = clock.latest();
  for (int i = 0; i < 70'000; ++i) {  // the counter runs over
    const hybrid_time next = clock.now(at(1000));
    REQUIRE(next > last);
    last = next;
  }
  CHECK(last.milliseconds() == 1001);
  hybrid_clock<> after_restart{last, {}};
  CHECK(after_restart.now(at(0)) > last);
  hybrid_clock<> early;
  CHECK(early.now(at(-1'000'000)).milliseconds() == 0);
}

TEST_CASE("hybrid_clock: times too far ahead are refused and change nothing", "[replica][hybrid_clock]") {
  hybrid_clock<> clock{{.max_drift = 500ms}};
  const hybrid_time before = clock.now(at(10'000));
  CHECK_FALSE(clock.observe(stamp(10'501, 0), at(10'000)));
  CHECK_FALSE(clock.observe(hybrid_time::from_packed(std::numeric_limits<std::uint64_t>::max()), at(10'000)));
  CHECK(clock.latest() == before);
  CHECK(clock.observe(stamp(10'500, 9), at(10'000)) == stamp(10'500, 10));
  CHECK(clock.observe(stamp(3, 0), at(10'000)) == stamp(10'500, 11));
  CHECK(clock.latest().wall_time().time_since_epoch() == 10'500ms);
  // The end of time: it stands still, and does not begin again.
  hybrid_clock<> last{hybrid_time::from_packed(std::numeric_limits<std::uint64_t>::max() - 1), {}};
  CHECK(last.now(at(0)).packed() == std::numeric_limits<std::uint64_t>::max());
  CHECK(last.now(at(0)).packed() == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("hybrid_clock: bad options", "[replica][hybrid_clock]") {
  for (const auto drift : {0ms, -1ms, std::chrono::milliseconds{400h * 24}, std::chrono::milliseconds::max()}) {
    CHECK(refused_field([&] { return hybrid_clock<>{{.max_drift = drift}}.latest(); }) ==
          "hybrid_clock_options.max_drift");
  }
}

TEST_CASE("hybrid_clock: what an event knows of is earlier, and nobody gets far from wall time",
          "[replica][hybrid_clock]") {
  const std::uint64_t seed = banyan::testing::derived_seed("hybrid clocks that send messages");
  CAPTURE(seed);
  random_source random{seed};
  for (int round = 0; round < 50; ++round) {
    constexpr std::size_t nodes = 4;
    std::vector<hybrid_clock<>> clocks(nodes);
    std::int64_t skew[nodes];
    for (auto& each : skew) each = static_cast<std::int64_t>(random.below(200));
    std::int64_t time = 100'000;
    for (int i = 0; i < 400; ++i) {
      time += static_cast<std::int64_t>(random.below(3));
      const std::size_t from = random.below(nodes);
      const std::size_t to = random.below(nodes);
      const hybrid_time before = clocks[to].latest();
      const hybrid_time sent = clocks[from].now(at(time + skew[from]));
      const auto received = clocks[to].observe(sent, at(time + skew[to]));
      REQUIRE(received);
      REQUIRE(*received > sent);
      REQUIRE(*received > before);
      // The paper's bound: never ahead of the fastest wall clock.
      REQUIRE(static_cast<std::int64_t>(received->milliseconds()) <= time + 200);
      REQUIRE(static_cast<std::int64_t>(received->milliseconds()) >= time + skew[to]);
    }
  }
}

TEST_CASE("hybrid_clock: no stamp is given twice to threads at once", "[replica][hybrid_clock]") {
  hybrid_clock<> clock;
  std::vector<std::vector<hybrid_time>> got(3);
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (auto& mine : got) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5'000; ++i)
          mine.push_back(i % 2 == 0 ? clock.now(at(7)) : *clock.observe(stamp(8, 0), at(7)));
      });
    }
  }
  std::vector<hybrid_time> all;
  for (const auto& mine : got) {
    CHECK(std::is_sorted(mine.begin(), mine.end()));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("stamp_counter: no stamp is given twice and none goes back, in every order", "[replica][hybrid_clock]") {
  struct state {
    banyan::detail::stamp_counter<banyan::testing::scheduled_atomic> stamps{10};
    std::vector<std::uint64_t> got[3];
  };
  const auto report = banyan::testing::explore({.preemptions = 3}, [] {
    auto s = std::make_shared<state>();
    const auto ask = [s](std::size_t thread, std::uint64_t received, std::uint64_t wall) {
      s->got[thread].push_back(s->stamps.next(received, wall));
    };
    return banyan::testing::scenario{
        {[=] { ask(0, 0, 3), ask(0, 0, 3); }, [=] { ask(1, 12, 3), ask(1, 0, 3); }, [=] { ask(2, 0, 12); }}, [s] {
          std::vector<std::uint64_t> all;
          for (const auto& mine : s->got) {
            if (!std::is_sorted(mine.begin(), mine.end())) return false;
            all.insert(all.end(), mine.begin(), mine.end());
          }
          std::sort(all.begin(), all.end());
          const bool once = std::adjacent_find(all.begin(), all.end()) == all.end();
          return once && s->got[1].front() > 12 && s->got[2].front() >= 12 && s->stamps.latest() == all.back();
        }};
  });
  INFO("schedule " << report.schedule << ", runs " << report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}

TEST_CASE("hybrid_clock: a thread that is stopped keeps no other from its stamps", "[replica][hybrid_clock]") {
  hybrid_clock<> clock;
  const banyan::testing::stop_options options{
      .workers = 3, .rounds = 20, .seed = banyan::testing::derived_seed("hybrid clock, a thread stopped")};
  const auto result = banyan::testing::stop_a_thread(options, [&] { return clock.now(at(1)); });
  INFO(result.describe());
  CHECK(result.passed());
}
