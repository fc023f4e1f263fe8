// Figures of other libraries' own tests, as far as they say the same thing in other words.

#include <banyan/limit/token_bucket.hpp>

#include <chrono>
#include <cstdint>
#include <tuple>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

struct published_tests;
using clock_t = banyan::basic_manual_clock<published_tests>;
using bucket = banyan::token_bucket<clock_t>;

constexpr clock_t::time_point start{1'000'000h};

struct step {
  nanoseconds at;
  std::uint64_t n;
  bool admitted;
};

void follow(double rate, std::uint64_t burst, const std::vector<step>& steps) {
  bucket api{{.rate = rate, .burst = burst}, start};
  for (const step& each : steps) {
    CAPTURE(rate, burst, each.at.count(), each.n);
    CHECK(api.try_acquire(each.n, start + each.at).allowed() == each.admitted);
  }
}

// test/common/common/token_bucket_impl_test.cc
TEST_CASE("Envoy's token bucket", "[limit][token_bucket][published]") {
  follow(1, 3, {{0s, 3, true}, {10s, 4, false}, {10s, 3, true}});
  follow(1, 10,
         {{0s, 20, false},
          {0s, 9, true},
          {0s, 1, true},
          {999ms, 1, false},
          {5999ms, 6, false},
          {6000ms, 6, true},
          {6000ms, 1, false}});
  follow(0.5, 1, {{0s, 1, true}, {500ms, 1, false}, {1500ms, 1, false}, {2000ms, 1, true}});
  bucket five{{.rate = 5, .burst = 10}, start};
  CHECK(five.try_acquire(9, start));
  CHECK(five.look(1, start).retry_after() == 0ms);
  CHECK(five.try_acquire(1, start));
  CHECK(five.look(1, start).retry_after() == 200ms);
  bucket sixteen{{.rate = 16, .burst = 16}, start};
  CHECK(sixteen.available(start) == 16);
  CHECK(sixteen.try_acquire(16, start));
  CHECK(sixteen.look(1, start).retry_after() == 62500us);  // Envoy rounds up to 63 ms
  CHECK(sixteen.available(start + 62ms) == 0);
  CHECK(sixteen.available(start + 63ms) == 1);
  // 1 in two years, which Envoy raises to one a year.
  bucket slow{{.rate = 1.0 / (365.0 * 24 * 3600 * 2), .burst = 1}, start};
  CHECK(slow.try_acquire(1, start));
  CHECK(!slow.try_acquire(1, start + 24h * 730 - 1s));
  CHECK(slow.try_acquire(1, start + 24h * 730 + 1s));
}

// governor/tests/direct.rs
TEST_CASE("governor's limiter", "[limit][token_bucket][published]") {
  follow(2, 2,
         {{0ms, 1, true}, {1ms, 1, true}, {2ms, 1, false}, {1002ms, 1, true}, {1003ms, 1, true}, {1004ms, 1, false}});
  follow(4, 4,
         {{0ms, 2, true}, {0ms, 2, true}, {1ms, 2, false}, {1001ms, 2, true}, {1002ms, 2, true}, {1003ms, 2, false}});
  // One more than the quota after a long pause was a fault there once (issues 107 and 249).
  std::vector<step> long_pause(5, {0s, 1, true});
  long_pause.push_back({0s, 1, false});
  long_pause.insert(long_pause.end(), 5, {2s, 1, true});
  long_pause.push_back({2s, 1, false});
  follow(5, 5, long_pause);

  bucket five{{.rate = 5, .burst = 5}, start};
  for (const std::uint64_t n : {15U, 7U, 6U}) CHECK(five.try_acquire(n, start).never());
  CHECK(five.try_acquire(5, start));

  // Who waits as long as told conforms.
  bucket patient{{.rate = 5, .burst = 5}, start};
  auto now = start;
  for (int i = 0; i < 20; ++i) {
    now += 1ms;
    if (const auto d = patient.try_acquire(1, now); !d) {
      now += d.retry_after();
      CHECK(patient.try_acquire(1, now));
    }
  }

  // Debt: two taken, two more borrowed, at two a second.
  bucket debtor{{.rate = 2, .burst = 2}, start};
  CHECK(debtor.reserve(2, start).wait() == 0s);
  CHECK(debtor.reserve(2, start).wait() == 1s);
  CHECK(!debtor.look(2, start + 1s));
  CHECK(debtor.look(2, start + 2s));

  bucket large{{.rate = 1'000'000'001, .burst = 1'000'000'001}, start};
  for (int i = 1; i <= 100'000; ++i) REQUIRE(large.try_acquire(1, start + nanoseconds{i * 10}));
}

// RateLimiterTest.java. Guava lets the next request pay for the one before; with requests of one token and a burst of
// what it has stored and one more, that is the same.
TEST_CASE("Guava's bursty limiter", "[limit][token_bucket][published]") {
  bucket simple{{.rate = 5, .burst = 1}, start};
  auto now = start;
  for (const auto waited : {0ms, 200ms, 200ms}) {
    const auto d = simple.reserve(1, now);
    CHECK(d.wait() == waited);
    now += d.wait();
  }
  bucket burst{{.rate = 5, .burst = 6}, start};
  for (const auto& [n, waited] :
       std::vector<std::tuple<std::uint64_t, nanoseconds>>{{1, 0ms}, {1, 0ms}, {3, 0ms}, {1, 0ms}, {1, 200ms}}) {
    CHECK(burst.reserve(n, start + 2s).wait() == waited);
  }
  follow(5, 1, {{0ms, 1, true}, {0ms, 1, false}, {0ms, 1, false}, {100ms, 1, false}});
}

}  // namespace
