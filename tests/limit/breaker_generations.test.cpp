// A breaker that changes its state very often: generations go round after 65,535 of them.

#include <banyan/limit/circuit_breaker.hpp>

#include <chrono>

#include "breaker_calls.hpp"
#include "given_time.hpp"
#include "support/catch.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::circuit_state;
using banyan::testing::breaker;
void fail(breaker& b, int calls, std::chrono::nanoseconds at) {
  for (int i = 0; i < calls; ++i) {
    if (auto permit = b.try_acquire(after(at))) permit.failed(0ns, after(at));
  }
}

// Half a round and a bit more, in which no call was counted.
void half_a_round(breaker& b) {
  for (int i = 0; i < 40'000; ++i) b.disable(start);
}

}  // namespace

TEST_CASE("a breaker still counts after half a round of generations", "[limit][circuit_breaker]") {
  breaker b{{.window = 4, .min_calls = 4, .open_for = 1s, .probes = 1}, start};
  fail(b, 3, 0s);
  half_a_round(b);
  b.reset(start);
  fail(b, 3, 0s);
  CHECK(b.state() == circuit_state::closed);
  CHECK(b.failure_rate(start) == 1.0);
  fail(b, 1, 0s);
  CHECK(b.state() == circuit_state::open);
}

TEST_CASE("a breaker still lets probes through after half a round of generations", "[limit][circuit_breaker]") {
  breaker b{{.window = 4, .min_calls = 4, .open_for = 1s, .probes = 1}, start};
  b.open(start);
  { const auto probe = b.try_acquire(after(2s)); }
  half_a_round(b);
  b.open(after(2s));
  auto probe = b.try_acquire(after(4s));
  REQUIRE(probe);
  probe.succeeded(0ns, after(4s));
  CHECK(b.state() == circuit_state::closed);
}

// The probes fail for four hours: two generations a second, none of which counts calls.
TEST_CASE("a breaker counts after a long outage", "[limit][circuit_breaker]") {
  breaker b{{.window = 4, .min_calls = 4, .open_for = 1s, .probes = 1}, start};
  fail(b, 4, 0s);
  REQUIRE(b.state() == circuit_state::open);
  auto time = 2s;
  for (int round = 0; round < 17'000; ++round, time += 2s) fail(b, 1, time);
  auto probe = b.try_acquire(after(time));
  REQUIRE(probe);
  probe.succeeded(0ns, after(time));
  REQUIRE(b.state() == circuit_state::closed);
  fail(b, 4, time);
  CHECK(b.state() == circuit_state::open);
}

TEST_CASE("a call with an older time does not take away what was counted since", "[limit][circuit_breaker]") {
  breaker b{{.window_time = 1s, .min_calls = 10, .open_for = 1s}, start};
  fail(b, 9, 5s);
  fail(b, 1, 4s);  // the same slot, a window earlier
  CHECK(b.failure_rate(after(5s)) == 1.0);
  fail(b, 1, 5s);
  CHECK(b.state() == circuit_state::open);
}
