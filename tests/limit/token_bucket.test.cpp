#include <banyan/limit/token_bucket.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include "given_time.hpp"
#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::testing::refused_field;

using bucket = banyan::token_bucket<given_clock>;

TEST_CASE("the example of the documentation compiles", "[limit][token_bucket]") {
  banyan::token_bucket api{{.rate = 100.0, .burst = 20}};
  const auto d = api.try_acquire();
  CHECK(d.allowed());
  CHECK(d.remaining() == 19);
  CHECK(api.try_acquire(5, banyan::steady_clock::now()).allowed());
  CHECK(api.reserve(3).allowed());
  CHECK(api.acquire_for(50ms).allowed());
  api.set_rate(200, 40);
  CHECK(api.rate() == 200);
  CHECK(api.burst() == 40);
}

TEST_CASE("a burst, then the rate", "[limit][token_bucket]") {
  bucket api{{.rate = 100, .burst = 20}, start};
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto d = api.try_acquire(1, start);
    REQUIRE(d);
    REQUIRE(d.remaining() == 19 - i);
    REQUIRE(d.retry_after() == 0ns);
    REQUIRE(d.wait() == 0ns);
  }
  const auto refused = api.try_acquire(1, start);
  CHECK(!refused);
  CHECK(!refused.never());
  CHECK(refused.retry_after() == 10ms);
  CHECK(refused.remaining() == 0);
  CHECK(api.try_acquire(3, start).retry_after() == 30ms);
  CHECK(!api.try_acquire(1, after(10ms - 1ns)));
  CHECK(api.try_acquire(1, after(10ms)));
  CHECK(!api.try_acquire(1, after(10ms)));
  CHECK(api.try_acquire(20, after(210ms)));
  CHECK(api.available(after(1h)) == 20);
}

TEST_CASE("more than the burst is never there, and is refused without waiting", "[limit][token_bucket]") {
  bucket api{{.rate = 5, .burst = 5}, start};
  for (const std::uint64_t n : {std::uint64_t{6}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    CHECK(api.try_acquire(n, start).never());
    CHECK(api.reserve(n, start).never());
    CHECK(api.look(n, start).never());
    CHECK(!api.try_acquire(n, start));
    CHECK(api.try_acquire(n, start).retry_after() == nanoseconds::max());
  }
  CHECK(api.try_acquire(0, start));
  CHECK(api.try_acquire(5, start));
  CHECK(api.try_acquire(0, start));
}

TEST_CASE("reservations go into debt and are paid back", "[limit][token_bucket]") {
  bucket api{{.rate = 10, .burst = 2}, start};
  CHECK(api.reserve(2, start).wait() == 0ns);
  CHECK(api.reserve(1, start).wait() == 100ms);
  CHECK(api.reserve(2, start).wait() == 300ms);
  CHECK(!api.try_acquire(1, after(300ms)));
  CHECK(!api.try_acquire(0, after(299ms)));
  CHECK(api.try_acquire(1, after(399ms)).retry_after() == 1ms);
  CHECK(api.try_acquire(1, after(400ms)));
  const auto late = api.reserve_within(99ms, 1, after(400ms));
  CHECK(!late);
  CHECK(late.retry_after() == 1ms);
  CHECK(api.look(1, after(400ms)).retry_after() == 100ms);
  CHECK(api.reserve_within(100ms, 1, after(400ms)).wait() == 100ms);
  CHECK(!api.reserve_within(-1s, 1, after(400ms)));
  CHECK(!api.reserve_within(nanoseconds::min(), 1, after(400ms)));
  CHECK(api.reserve_within(nanoseconds::max(), 1, after(400ms)).wait() == 200ms);
}

TEST_CASE("a reservation that would end after the end of time is refused", "[limit][token_bucket]") {
  bucket api{{.rate = 1e-7, .burst = 1}, start};
  int reserved = 0;
  while (reserved < 1000 && api.reserve(1, start)) ++reserved;
  CHECK(reserved > 10);
  CHECK(reserved < 100);
}

TEST_CASE("acquire_for waits, or does not begin to", "[limit][token_bucket]") {
  banyan::token_bucket api{{.rate = 100, .burst = 1}};
  CHECK(api.acquire_for(0ms));
  const auto before = banyan::steady_clock::now();
  const auto d = api.acquire_for(5s);
  CHECK(d);
  CHECK(banyan::steady_clock::now() - before >= d.wait());
  // The next token is there in 17 minutes, however long this thread was kept from running.
  banyan::token_bucket slow{{.rate = 0.001, .burst = 1}};
  CHECK(slow.acquire_for(0ms));
  CHECK(!slow.acquire_for(1us));
}

TEST_CASE("an older now refuses and does no harm", "[limit][token_bucket]") {
  bucket api{{.rate = 10, .burst = 10}, start};
  CHECK(api.try_acquire(10, after(10s)));
  for (const auto when : {start, time_point{}, time_point::min(), after(9s)}) CHECK(!api.try_acquire(1, when));
  CHECK(!api.try_acquire(1, after(10s)));
  CHECK(api.available(after(10s + 300ms)) == 3);
  CHECK(api.try_acquire(3, after(10s + 300ms)));
  CHECK(!api.try_acquire(1, after(10s + 300ms)));
}

TEST_CASE("the ends of the clock", "[limit][token_bucket]") {
  for (const auto constructed : {time_point::min(), time_point{}, time_point::max()}) {
    bucket api{{.rate = 10, .burst = 10}, constructed};
    CHECK(api.try_acquire(10, constructed));
    CHECK(!api.try_acquire(1, constructed));
    const auto end = api.try_acquire(10, time_point::max());
    CHECK(end.allowed() == (constructed != time_point::max()));
    CHECK(!api.try_acquire(1, time_point::max()));
    CHECK(!api.try_acquire(1, time_point::min()));
  }
  // Years later it still counts.
  bucket api{{.rate = 3, .burst = 1}, start};
  const auto later = start + 24h * 365 * 13;
  CHECK(api.try_acquire(1, later));
  CHECK(!api.try_acquire(1, later + 333'333'333ns));
  CHECK(api.try_acquire(1, later + 333'333'334ns));
}

TEST_CASE("a new rate: what was saved stays as time, what is empty stays empty", "[limit][token_bucket]") {
  bucket api{{.rate = 100, .burst = 20}, start};
  CHECK(api.try_acquire(20, start));
  api.set_rate(1, 20);
  CHECK(!api.try_acquire(1, after(999ms)));
  CHECK(api.try_acquire(1, after(1s)));
  api.set_rate(1000, 5);
  CHECK(!api.try_acquire(1, after(1s)));  // no debt from the slow time, no gift either
  CHECK(api.try_acquire(1, after(1001ms)));
  CHECK(api.available(after(2s)) == 5);
  api.set_rate(1, 100);
  CHECK(api.available(after(2s)) == 0);  // 0.999 s of saving
  CHECK(api.available(after(11001ms)) == 10);
  for (int i = 0; i < 1000; ++i) api.set_rate(i % 2 == 0 ? 100 : 1, 20);
  CHECK(api.available(after(11001ms)) == 10);
}

TEST_CASE("tokens given back are there again, but none that would not have been", "[limit][token_bucket]") {
  bucket api{{.rate = 10, .burst = 10}, start};
  CHECK(api.try_acquire(4, start));
  api.give_back(4, start, start);
  CHECK(api.available(start) == 10);
  CHECK(api.try_acquire(10, start));
  CHECK(api.try_acquire(10, after(1s)));
  api.give_back(10, start, after(1s));  // had they not been taken, the bucket would have been full all the time
  CHECK(api.available(after(1s)) == 0);
  api.give_back(10, after(1s), after(1300ms));
  CHECK(api.available(after(1300ms)) == 10);
  api.give_back(11, start, start);
  CHECK(api.available(after(1300ms)) == 10);
}

TEST_CASE("bad options are refused by name and change nothing", "[limit][token_bucket]") {
  using banyan::testing::infinity;
  using banyan::testing::not_a_number;
  const double smallest = std::numeric_limits<double>::denorm_min();
  bucket api{{.rate = 10, .burst = 10}, start};
  for (const double rate : {0.0, -1.0, not_a_number, infinity, -infinity, 1.01e15, smallest, 1e-9}) {
    CHECK(refused_field([&] { bucket{{.rate = rate, .burst = 1}, start}; }) == "token_bucket_options.rate");
    CHECK(refused_field([&] { api.set_rate(rate, 1); }) == "token_bucket_options.rate");
  }
  for (const std::uint64_t burst : {std::uint64_t{0}, (std::uint64_t{1} << 51) + 1, ~std::uint64_t{0}}) {
    CHECK(refused_field([&] { bucket{{.rate = 1e14, .burst = burst}, start}; }) == "token_bucket_options.burst");
    CHECK(refused_field([&] { api.set_rate(1, burst); }) == "token_bucket_options.burst");
  }
  CHECK(refused_field([&] { api.set_rate(1, std::uint64_t{1} << 30); }) == "token_bucket_options.rate");
  CHECK(refused_field([] { banyan::token_bucket{{}}; }) == "token_bucket_options.rate");
  CHECK(api.rate() == 10);
  CHECK(api.burst() == 10);
}

// The promise and its other side, for one rate under demand enough: never more, at least 99.9 %.
void check_rate(double rate, std::uint64_t burst, std::uint64_t n, nanoseconds step, int steps) {
  CAPTURE(rate, burst, n);
  bucket api{{.rate = rate, .burst = burst}, start};
  while (api.available(start) > 0) api.try_acquire(api.available(start), start);
  double admitted = 0;
  for (int i = 1; i <= steps; ++i) {
    while (api.try_acquire(n, after(step * i))) admitted += static_cast<double>(n);
  }
  const double due = rate * std::chrono::duration<double>(step * steps).count();
  CHECK(admitted <= due + 1);
  CHECK(admitted + static_cast<double>(n) >= due * 0.999);
}

TEST_CASE("slow, odd and very high rates are kept to one in a thousand", "[limit][token_bucket]") {
  check_rate(1e-5, 3, 1, 3h, 10'000);
  check_rate(1.0 / 3, 1, 1, 100ms, 200'000);
  check_rate(7.7, 100, 1, 1ms, 1'000'000);
  check_rate(1e6 / 7, 100, 3, 10us, 50'000);
  check_rate(3e6, 10, 1, 1us, 100'000);
  check_rate(31e6, 100, 1, 100ns, 100'000);
  check_rate(1e9 + 1, 1000, 1, 100ns, 1'000);
  check_rate(1e9, 1000, 1, 100ns, 1'000);
  check_rate(7e8, 100'000, 200, 10us, 1'000);
  check_rate(1.1e10, 1'000'000, 1'500, 10us, 1'000);
  check_rate(1e12, 1'000'000'000, 100'000, 100us, 100);
  check_rate(1e15, std::uint64_t{1} << 50, 100'000'000, 1us, 100);
}

TEST_CASE("above 31 million a second single tokens may cost up to a 32nd of a nanosecond more",
          "[limit][token_bucket]") {
  for (const double rate : {3.3e7, 1.7e8, 7e8, 9.3e8}) {
    CAPTURE(rate);
    bucket api{{.rate = rate, .burst = 1000}, start};
    while (api.try_acquire(1, start)) {
    }
    std::uint64_t admitted = 0;
    for (int i = 1; i <= 1000; ++i) {
      while (api.try_acquire(1, after(1us * i))) ++admitted;
    }
    const double due = rate * 1e-3;
    const double interval = 1e9 / rate;
    CHECK(static_cast<double>(admitted) <= due + 1);
    CHECK(static_cast<double>(admitted) >= due * interval / (interval + 1.0 / 32) * 0.999 - 1);
  }
}

TEST_CASE("bursts beyond 21 bits are rounded down by a millionth at most", "[limit][token_bucket]") {
  for (std::uint64_t burst = 1; burst <= (std::uint64_t{1} << 51); burst = burst * 2 + burst / 7 + 1) {
    bucket api{{.rate = 1e15, .burst = burst}, start};
    REQUIRE(api.burst() <= burst);
    REQUIRE(static_cast<double>(api.burst()) >= static_cast<double>(burst) * (1 - 1e-6));
    if (burst < (1U << 21)) REQUIRE(api.burst() == burst);
    REQUIRE(api.available(start) == api.burst());
    REQUIRE(api.try_acquire(api.burst(), start));
  }
}

TEST_CASE("a bucket against a plain one, by the same calls", "[limit][token_bucket]") {
  const std::uint64_t seed = banyan::testing::derived_seed("token bucket against a model");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 200; ++round) {
    // Rates of a whole number of nanoseconds a token: the model is exact.
    const std::int64_t interval = 1 + static_cast<std::int64_t>(random.below(round % 2 == 0 ? 100 : 100'000'000));
    const std::uint64_t burst = 1 + random.below(50);
    bucket api{{.rate = 1e9 / static_cast<double>(interval), .burst = burst}, start};
    const auto capacity = static_cast<std::int64_t>(burst) * interval;
    std::int64_t level = capacity;  // in nanoseconds' worth
    std::int64_t latest = 0;
    std::int64_t now = 0;
    for (int i = 0; i < 500; ++i) {
      now += static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(interval) * 3));
      level = std::min(capacity, level + now - latest);
      latest = now;
      const std::uint64_t n = random.below(burst + 3);
      const std::int64_t cost = static_cast<std::int64_t>(n) * interval;
      const bool reserves = random.chance(1, 10);
      const bool expected = n <= burst && (level >= cost || (reserves && cost - level <= 3 * interval));
      const auto d = reserves ? api.reserve_within(nanoseconds{3 * interval}, n, after(nanoseconds{now}))
                              : api.try_acquire(n, after(nanoseconds{now}));
      REQUIRE(d.allowed() == expected);
      REQUIRE(d.never() == (n > burst));
      if (expected) {
        level -= cost;
        REQUIRE(d.wait() == nanoseconds{std::max<std::int64_t>(0, -level)});
      } else if (n <= burst) {
        REQUIRE(d.retry_after() == nanoseconds{cost - level - (reserves ? 3 * interval : 0)});
      }
      if (n <= burst) REQUIRE(d.remaining() == static_cast<std::uint64_t>(std::max<std::int64_t>(0, level) / interval));
    }
  }
}

struct seconds_clock {
  using duration = std::chrono::seconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<seconds_clock>;
  static time_point now() noexcept { return time_point{}; }
};

TEST_CASE("clocks of any period", "[limit][token_bucket]") {
  using seconds_point = seconds_clock::time_point;
  banyan::token_bucket<seconds_clock> api{{.rate = 2, .burst = 2}};
  CHECK(api.try_acquire(2));
  CHECK(!api.try_acquire(1));
  CHECK(!api.try_acquire(1, seconds_point::min()));
  CHECK(api.try_acquire(2, seconds_point{1s}));
  CHECK(api.try_acquire(2, seconds_point::max()));
  banyan::token_bucket<std::chrono::system_clock> wall{{.rate = 1, .burst = 1}};
  CHECK(wall.try_acquire());
  CHECK(!wall.try_acquire());
}

}  // namespace
