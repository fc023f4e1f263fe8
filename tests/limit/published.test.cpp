// Figures of other libraries' own tests, as far as they say the same thing in other words.

#include <banyan/limit/token_bucket.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <vector>

#include "given_time.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::testing::given_clock;
using banyan::testing::start;
using std::chrono::nanoseconds;

using bucket = banyan::token_bucket<given_clock>;

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
  CHECK(five.try_acquire(2, start + 400ms));
  CHECK(five.look(1, start + 400ms).retry_after() == 200ms);
  // 1 in two years, which Envoy raises to one a year.
  bucket slow{{.rate = 1.0 / (365.0 * 24 * 3600 * 2), .burst = 1}, start};
  CHECK(slow.try_acquire(1, start));
  CHECK(!slow.try_acquire(1, start + 24h * 730 - 1s));
  CHECK(slow.try_acquire(1, start + 24h * 730 + 1s));
}

// The same: threads that take while time goes on get what flows in, to the token.
TEST_CASE("Envoy's token bucket, four threads", "[limit][token_bucket][published]") {
  bucket api{{.rate = 1, .burst = 1200}, start};
  CHECK(api.try_acquire(1200, start));
  CHECK(!api.try_acquire(1, start));
  std::atomic<std::int64_t> second{0};
  std::atomic<std::uint64_t> taken{0};
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, most = t < 2 ? 1 : t] {
        for (std::uint64_t mine = 0; mine < 300;) {
          const std::uint64_t n = std::min<std::uint64_t>(most, 300 - mine);
          // Two tokens may never come together when others take every single one: then one.
          for (const std::uint64_t each : {n, std::uint64_t{1}}) {
            if (!api.try_acquire(each, start + std::chrono::seconds{second.load()})) continue;
            mine += each;
            taken += each;
            break;
          }
          std::this_thread::yield();
        }
      });
    }
    for (int i = 0; i < 200; ++i) second += 1;
    for (int i = 0; i < 100; ++i) second += 10;
  }
  CHECK(taken == 1200);
  CHECK(!api.try_acquire(1, start + 1200s));
}

// governor/tests/direct.rs
TEST_CASE("governor's limiter", "[limit][token_bucket][published]") {
  follow(2, 2,
         {{0ms, 1, true}, {1ms, 1, true}, {2ms, 1, false}, {1002ms, 1, true}, {1003ms, 1, true}, {1004ms, 1, false}});
  follow(4, 4,
         {{0ms, 2, true}, {0ms, 2, true}, {1ms, 2, false}, {1001ms, 2, true}, {1002ms, 2, true}, {1003ms, 2, false}});
  // One more than the quota after a long pause was a fault there once.
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

  bucket single{{.rate = 1, .burst = 1}, start};
  CHECK(single.reserve(1, start).wait() == 0s);
  CHECK(single.reserve(1, start).wait() == 1s);
  CHECK(!single.look(1, start + 1s));
  CHECK(single.look(1, start + 2s));

  // Asking only takes nothing.
  bucket asked{{.rate = 3, .burst = 3}, start};
  for (int i = 0; i < 2; ++i) CHECK(asked.look(3, start));
  CHECK(!asked.look(4, start + 20s));

  // All of the burst for threads at once, then one a twentieth of a second later.
  bucket twenty{{.rate = 20, .burst = 20}, start};
  std::atomic<int> admitted{0};
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (int t = 0; t < 20; ++t) threads.emplace_back([&] { admitted += twenty.try_acquire(1, start) ? 1 : 0; });
  }
  CHECK(admitted == 20);
  CHECK(!twenty.try_acquire(1, start + 2ms));
  CHECK(twenty.try_acquire(1, start + 1s));

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
  // What is left of 400 ms is one that was saved and one that is due.
  bucket past{{.rate = 5, .burst = 6}, start};
  CHECK(past.try_acquire(6, start));
  for (const auto waited : {0ms, 0ms, 200ms}) CHECK(past.reserve(1, start + 400ms).wait() == waited);
  // Patience without end, and less than none.
  bucket patient{{.rate = 5, .burst = 5}, start};
  CHECK(patient.try_acquire(5, start));
  CHECK(!patient.reserve_within(nanoseconds::min(), 1, start + 199ms));
  CHECK(patient.reserve_within(-1s, 1, start + 200ms));
  CHECK(patient.reserve_within(nanoseconds::max(), 1, start + 300ms).wait() == 100ms);
  // The least rate there is gives one and no more; here such rates are refused, and the least that is not does so.
  CHECK_THROWS_AS((bucket{{.rate = 4.9e-324, .burst = 1}, start}), std::invalid_argument);
  follow(1.5e-8, 1, {{0s, 1, true}, {0s, 1, false}, {2'147'483'647ms, 1, false}});
}

}  // namespace
