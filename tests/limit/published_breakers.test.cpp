// Figures of other libraries' own tests of circuit breakers, as far as they say the same thing in other words. More of
// resilience4j's are in circuit_breaker.test.cpp.

#include <banyan/limit/circuit_breaker.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "breaker_calls.hpp"
#include "given_time.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::circuit_state;
using banyan::testing::breaker;
using banyan::testing::call;

constexpr banyan::detail::call_outcome good{false, false};
constexpr banyan::detail::call_outcome bad{true, false};

void check(const banyan::detail::outcome_counts& counts, std::uint32_t calls, std::uint32_t failed,
           std::uint32_t slow = 0) {
  CHECK(counts.calls == calls);
  CHECK(counts.failed == failed);
  CHECK(counts.slow == slow);
}

}  // namespace

// FixedSizeSlidingWindowMetricsTest, CircuitBreakerMetricsTest
TEST_CASE("resilience4j's window of calls", "[limit][circuit_breaker][published]") {
  std::vector<std::atomic<std::uint32_t>> four(4);
  banyan::detail::last_outcomes last{four};
  check(last.record(1, bad), 1, 1);
  check(last.record(1, good), 2, 1);
  check(last.record(1, good), 3, 1);
  check(last.record(1, good), 4, 1);
  check(last.record(1, good), 4, 0);

  std::vector<std::atomic<std::uint32_t>> two(2);
  banyan::detail::last_outcomes slow{two};
  check(slow.record(1, {true, true}), 1, 1, 1);
  check(slow.record(1, {false, true}), 2, 1, 2);
  check(slow.record(1, good), 2, 0, 1);
  check(slow.record(1, good), 2, 0, 0);
  check(slow.record(1, good), 2, 0, 0);

  std::vector<std::atomic<std::uint32_t>> ten(10);
  banyan::detail::last_outcomes twelve{ten};
  for (int i = 0; i < 2; ++i) twelve.record(1, good);
  for (int i = 0; i < 2; ++i) twelve.record(1, bad);
  check(twelve.look(1), 4, 2);
  for (int i = 0; i < 4; ++i) twelve.record(1, bad);
  for (int i = 0; i < 4; ++i) twelve.record(1, good);
  check(twelve.look(1), 10, 6);
  for (int i = 0; i < 3; ++i) twelve.record(1, good);
  check(twelve.look(1), 10, 3);
}

// SlidingTimeWindowMetricsTest: five seconds. Theirs forgets by the second, this one by half of one.
TEST_CASE("resilience4j's window of time", "[limit][circuit_breaker][published]") {
  const auto slot = [](nanoseconds at) { return static_cast<std::uint64_t>(at / 500ms) + 1; };
  banyan::detail::recent_outcomes first;
  check(first.record(slot(0s), 1, bad), 1, 1);
  check(first.record(slot(100ms), 1, good), 2, 1);
  check(first.record(slot(800ms), 1, good), 3, 1);
  check(first.look(slot(4800ms), 1), 3, 1);
  check(first.look(slot(5800ms), 1), 0, 0);
  check(first.record(slot(5900ms), 1, good), 1, 0);

  banyan::detail::recent_outcomes second;
  const std::vector<std::pair<nanoseconds, bool>> calls{{0s, false},    {100ms, true},   {200ms, true},  {1200ms, true},
                                                        {2200ms, true}, {3200ms, false}, {4200ms, true}, {5200ms, true},
                                                        {6200ms, true}, {11200ms, true}};
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> told{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1},
                                                                  {6, 2}, {7, 2}, {5, 1}, {5, 1}, {1, 0}};
  for (std::size_t i = 0; i < calls.size(); ++i) {
    CAPTURE(i);
    check(second.record(slot(calls[i].first), 1, calls[i].second ? good : bad), told[i].first, told[i].second);
  }
}

// CircuitBreakerStateMachineTest: half open.
TEST_CASE("resilience4j's four probes", "[limit][circuit_breaker][published]") {
  const banyan::circuit_breaker_options five{.failure_rate = 0.5,
                                             .slow_rate = 0.5,
                                             .slow_after = 4s,
                                             .window = 5,
                                             .min_calls = 5,
                                             .open_for = 5s,
                                             .probes = 4};
  const auto probed = [&](const std::vector<std::pair<bool, nanoseconds>>& probes) {
    breaker b{five, start};
    b.open(start);
    for (const auto& [ok, latency] : probes) {
      // Theirs waits for all four; this one opens as soon as it is clear.
      if (auto permit = b.try_acquire(after(6s))) {
        ok ? permit.succeeded(latency, after(6s)) : permit.failed(latency, after(6s));
      }
    }
    return b.state();
  };
  CHECK(probed({{false, 0s}, {false, 0s}, {true, 0s}, {false, 0s}}) == circuit_state::open);
  CHECK(probed({{true, 5s}, {true, 5s}, {true, 5s}, {true, 1s}}) == circuit_state::open);
  CHECK(probed({{false, 0s}, {true, 0s}, {true, 0s}, {true, 0s}}) == circuit_state::closed);
  CHECK(probed({{true, 0s}, {true, 0s}, {true, 0s}, {false, 0s}}) == circuit_state::closed);

  // What is ignored there is cancelled here: it counts for nothing and lets another through.
  breaker b{five, start};
  b.open(start);
  for (int i = 0; i < 4; ++i) CHECK(b.try_acquire(after(6s)));
  for (int i = 0; i < 3; ++i) call(b, true, 6s);
  CHECK(b.try_acquire(after(6s)));
  CHECK(b.state() == circuit_state::half_open);
  call(b, true, 6s);
  CHECK(b.state() == circuit_state::closed);
}

// The same, shouldTransitionToHalfOpenAfterWaitInterval: theirs grows by half each time, this one doubles.
TEST_CASE("resilience4j's growing wait", "[limit][circuit_breaker][published]") {
  breaker b{{.failure_rate = 0.5, .window = 5, .min_calls = 5, .open_for = 5s, .open_for_max = 60s, .probes = 4},
            start};
  b.open(start);
  CHECK(!b.try_acquire(after(3s)));
  for (int i = 0; i < 2; ++i) call(b, false, 6s);
  CHECK(b.state() == circuit_state::open);
  CHECK(!b.try_acquire(after(12s)));
  CHECK(b.try_acquire(after(17s)));
}

namespace {

void fail_until_open(breaker& b, nanoseconds at, int& through) {
  through = 0;
  while (b.state() == circuit_state::closed) {
    call(b, false, at);
    ++through;
  }
}

}  // namespace

// brpc_circuit_breaker_unittest: windows of 1,000 calls with 5 % and of 500 with 10 % failures, isolation from 10 to
// 200 ms. One of its windows is one breaker here.
TEST_CASE("brpc's error rates", "[limit][circuit_breaker][published]") {
  const std::uint64_t seed = banyan::testing::derived_seed("brpc's error rates");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  // Whether 6,000 calls of which so many in a hundred fail open it.
  const auto isolates = [&](double rate, std::uint32_t window, std::size_t percent) {
    breaker b{{.failure_rate = rate, .window = window, .min_calls = window}, start};
    for (int hundred = 0; hundred < 60; ++hundred) {
      std::size_t failures = percent;
      for (std::size_t left = 100; left > 0; --left) {
        const bool fails = random.below(left) < failures;
        failures -= fails ? 1 : 0;
        if (auto permit = b.try_acquire(start)) fails ? permit.failed(0ns, start) : permit.succeeded(0ns, start);
      }
    }
    return b.state() == circuit_state::open;
  };
  CHECK(!isolates(0.05, 1000, 3));
  CHECK(!isolates(0.10, 500, 3));
  CHECK(isolates(0.05, 1000, 50));
  CHECK(isolates(0.10, 500, 50));
}

TEST_CASE("brpc's isolation grows and is reset", "[limit][circuit_breaker][published]") {
  breaker b{
      {.failure_rate = 0.1, .window = 500, .min_calls = 500, .open_for = 10ms, .open_for_max = 200ms, .probes = 1},
      start};
  nanoseconds now{0};
  for (const auto expected : {10ms, 20ms, 40ms, 80ms, 160ms, 200ms, 200ms}) {
    int through = 0;
    fail_until_open(b, now, through);
    CHECK(through <= 500);
    CAPTURE(expected.count());
    CHECK(!b.try_acquire(after(now + expected - 1ns)));
    call(b, true, now + expected + 1ms);
    CHECK(b.state() == circuit_state::closed);
    now += expected + 2ms;
  }
  now += 210ms;  // the longest and the shortest, as there
  int through = 0;
  fail_until_open(b, now, through);
  CHECK(!b.try_acquire(after(now + 10ms - 1ns)));
  CHECK(b.try_acquire(after(now + 11ms)));

  // The longest less than twice the shortest.
  breaker tight{
      {.failure_rate = 0.1, .window = 500, .min_calls = 500, .open_for = 10ms, .open_for_max = 11ms, .probes = 1},
      start};
  now = 0ms;
  for (const auto expected : {10ms, 11ms, 11ms}) {
    fail_until_open(tight, now, through);
    CHECK(!tight.try_acquire(after(now + expected - 1ns)));
    call(tight, true, now + expected + 1ms);
    now += expected + 2ms;
  }
}
