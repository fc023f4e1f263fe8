#include <banyan/limit/fixed_window.hpp>
#include <banyan/limit/hierarchical.hpp>
#include <banyan/limit/keyed_limiter.hpp>
#include <banyan/limit/leaky_bucket.hpp>
#include <banyan/limit/sharded_token_bucket.hpp>
#include <banyan/limit/sliding_window_counter.hpp>
#include <banyan/limit/sliding_window_log.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "at_once.hpp"
#include "given_time.hpp"
#include "promise.hpp"
#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::testing::refused_field;

using bucket = banyan::token_bucket<given_clock>;
using sharded = banyan::sharded_token_bucket<given_clock>;

TEST_CASE("all levels or none", "[limit][hierarchical]") {
  banyan::keyed_limiter<std::string, bucket> per_user{{.rate = 1, .burst = 3}, {.max_keys = 100}, start};
  bucket tenant{{.rate = 10, .burst = 5}, start};
  banyan::fixed_window<given_clock> everybody{{.limit = 100, .window = 1h}, start};
  given_clock::set(start);
  const auto ask = [&](const std::string& user, std::uint64_t n) {
    banyan::hierarchical limits{per_user.of(user), tenant, everybody};
    return limits.try_acquire(n, start);
  };
  CHECK(ask("a", 3).remaining() == 0);
  const auto refused = ask("a", 1);
  CHECK(!refused);
  CHECK(refused.retry_after() >= 1s);
  CHECK(tenant.available(start) == 2);
  CHECK(everybody.look(0, start).remaining() == 97);
  CHECK(ask("b", 3).retry_after() == 100ms);  // the tenant's
  CHECK(per_user.look("b", 3, start));
  CHECK(ask("b", 2).remaining() == 0);
  CHECK(ask("c", 4).never());
  CHECK(everybody.look(0, start).remaining() == 95);
}

TEST_CASE("what one level refuses is not lost in the others", "[limit][hierarchical][promise]") {
  // Threads of two users; each user's bucket allows much, the common one little. In the end as much is missing from
  // the users' buckets as was admitted, to the token.
  for (int round = 0; round < 5; ++round) {
    given_clock::set(start);
    bucket first{{.rate = 1e-6, .burst = 60}, start};
    bucket second{{.rate = 1e-6, .burst = 60}, start};
    bucket common{{.rate = 1e-6, .burst = 50}, start};
    std::atomic<std::uint64_t> admitted{0};
    banyan::testing::at_once(4, [&](int t) {
      for (int i = 0; i < 2000; ++i) {
        banyan::hierarchical limits{t % 2 == 0 ? first : second, common};
        if (limits.try_acquire(1, start)) admitted.fetch_add(1);
        if (i % 4 == 0) common.give_back(1, start, start);  // keeps it at its limit, where levels change their mind
        if (i % 4 == 2) static_cast<void>(common.try_acquire(1, start));
      }
    });
    CHECK(first.available(start) + second.available(start) == 120 - admitted.load());
  }
}

TEST_CASE("a level that refuses after all makes the others give back", "[limit][hierarchical]") {
  // Says yes when asked, and no when it comes to it.
  struct fickle {
    using clock = given_clock;
    using time_point = given_clock::time_point;
    banyan::rate_decision look(std::uint64_t, time_point) const { return banyan::rate_decision::admit(9); }
    banyan::rate_decision try_acquire(std::uint64_t, time_point) { return banyan::rate_decision::refuse(7s); }
    void give_back(std::uint64_t, time_point, time_point) {}
  };
  given_clock::set(after(0s));
  bucket a{{.rate = 10, .burst = 10}, start};
  bucket b{{.rate = 10, .burst = 20}, start};
  banyan::hierarchical limits{a, b, fickle{}};
  CHECK(limits.try_acquire(4, start).retry_after() == 7s);
  CHECK(a.available(start) == 10);
  CHECK(b.available(start) == 20);
}

TEST_CASE("a sharded bucket gives the burst, then the rate", "[limit][sharded_token_bucket]") {
  sharded api{{.rate = 1000, .burst = 64, .shards = 4, .lease = 8}, start};
  std::uint64_t given = 0;
  while (api.try_acquire(1, start)) ++given;
  CHECK(given == 64);
  CHECK(api.try_acquire(33, start).never());
  CHECK(api.try_acquire(1, start).retry_after() == 1ms);
  CHECK(api.try_acquire(1, after(1ms)));
  CHECK(!api.try_acquire(1, after(1ms)));
  std::uint64_t more = 0;
  for (int i = 2; i <= 10'000; ++i) {
    while (api.try_acquire(1, after(1ms * i))) ++more;
  }
  CHECK(more == 9'999);
  CHECK(api.try_acquire(32, after(1h)));
  CHECK(api.try_acquire(0, after(1h)));
}

TEST_CASE("options of sharded buckets are refused by name", "[limit][sharded_token_bucket]") {
  const auto make = [](banyan::sharded_token_bucket_options options) {
    return refused_field([&] { sharded{options}; });
  };
  CHECK(make({.rate = 0, .burst = 100}) == "token_bucket_options.rate");
  CHECK(make({.rate = 1, .burst = 0}) == "token_bucket_options.burst");
  CHECK(make({.rate = 1, .burst = 100, .shards = 0}) == "sharded_token_bucket_options.shards");
  CHECK(make({.rate = 1, .burst = 100, .shards = 1025}) == "sharded_token_bucket_options.shards");
  CHECK(make({.rate = 1, .burst = 15, .shards = 8}) == "sharded_token_bucket_options.burst");
  CHECK(make({.rate = 1, .burst = 16, .shards = 8}) == "");
  CHECK(make({.rate = 1, .burst = 100, .shards = 8, .lease = 7}) == "sharded_token_bucket_options.burst");
  CHECK(make({.rate = 1, .burst = 100, .shards = 8, .lease = ~std::uint64_t{0}}) ==
        "sharded_token_bucket_options.burst");
}

TEST_CASE("threads on a sharded bucket: never more than promised, and all of it",
          "[limit][sharded_token_bucket][promise]") {
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::uint64_t seed = banyan::testing::derived_seed("sharded", round);
    CAPTURE(seed);
    const double rate = 1e6;
    const std::uint64_t burst = 64 + round * 100;
    sharded api{{.rate = rate, .burst = burst, .shards = 1 + static_cast<std::uint32_t>(round) * 2}, start};
    std::atomic<std::int64_t> time{0};
    struct spell {
      std::int64_t from;
      std::int64_t to;
    };
    std::vector<std::vector<spell>> lanes(4);
    constexpr std::int64_t end = 10'000'000;
    {
      std::vector<banyan::testing::joining_thread> threads;
      for (std::size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          for (;;) {
            const std::int64_t now = time.fetch_add(97);
            if (now >= end) break;
            if (api.try_acquire(1, after(nanoseconds{now}))) lanes[t].push_back({now, time.load()});
          }
        });
      }
    }
    std::vector<spell> all;
    for (const auto& lane : lanes) all.insert(all.end(), lane.begin(), lane.end());
    auto total = static_cast<std::uint64_t>(all.size());
    while (api.try_acquire(1, after(nanoseconds{end}))) ++total;
    const double due = rate * 1e-9 * static_cast<double>(end);
    CHECK(static_cast<double>(total) <= due + static_cast<double>(burst));
    CHECK(static_cast<double>(total) >= due * 0.999);
    // A thread reads the time before it asks, and may be held up in between: what counts for an interval lies in it
    // from the reading to the answer.
    for (std::int64_t from = 0; from < end; from += 500'000) {
      for (std::int64_t length = 100'000; from + length <= end; length *= 2) {
        std::uint64_t given = 0;
        for (const spell& each : all) given += each.from >= from && each.to <= from + length ? 1U : 0U;
        REQUIRE(static_cast<double>(given) <= rate * 1e-9 * static_cast<double>(length) + static_cast<double>(burst));
      }
    }
  }
}

TEST_CASE("no token of a sharded bucket is made or lost when all come at once",
          "[limit][sharded_token_bucket][promise]") {
  sharded api{{.rate = 1, .burst = 9'000'000, .shards = 2, .lease = 100}, start};
  std::atomic<std::uint64_t> given{0};
  banyan::testing::at_once(3, [&](int) {
    std::uint64_t mine = 0;
    for (int i = 0; i < 4'000'000; ++i)
      mine += api.try_acquire(1 + static_cast<std::uint64_t>(i) % 2, start) ? 1U + static_cast<unsigned>(i) % 2 : 0U;
    given.fetch_add(mine);
  });
  while (api.try_acquire(1, start)) ++given;
  CHECK(given.load() == 9'000'000);
}

TEST_CASE("a stopped thread holds nobody up in composed limiters", "[limit][stop]") {
  banyan::sharded_token_bucket api{{.rate = 1e9, .burst = 100'000, .shards = 2, .lease = 4}};
  bucket a{{.rate = 1e6, .burst = 10}, start};
  bucket b{{.rate = 1e6, .burst = 10}, start};
  std::atomic<std::int64_t> time{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .mode = banyan::testing::stop_mode::several, .at_most = 400ms}, [&] {
        static_cast<void>(api.try_acquire());
        banyan::hierarchical limits{a, b};
        static_cast<void>(limits.try_acquire(1, after(nanoseconds{time.fetch_add(100)})));
      });
  INFO(result.describe());
  CHECK(result.passed());
}

// Constructed at one end of the clock's 2^63 nanoseconds or in the middle, asked at both ends, with waits as long as
// there are: never more than the limit of 3 at a time, and nothing wraps.
template <class Make>
void check_ends_of_time(const char* limiter_name, Make make) {
  const auto given = [](auto& limiter, time_point now) {
    int count = 0;
    while (count < 10 && limiter.try_acquire(1, now)) ++count;
    return count;
  };
  for (const auto constructed : {time_point::min(), time_point{}, time_point::max()}) {
    CAPTURE(limiter_name, constructed.time_since_epoch().count());
    auto limiter = make(constructed);
    CHECK(given(*limiter, constructed) == 3);
    CHECK(given(*limiter, time_point::min()) == 0);
    CHECK(given(*limiter, constructed) == 0);
    CHECK(given(*limiter, time_point::max()) == (constructed == time_point::max() ? 0 : 3));
    CHECK(given(*limiter, time_point::max()) == 0);
    CHECK(given(*limiter, time_point::min()) == 0);
    CHECK(given(*limiter, constructed) == 0);
    const auto refused = limiter->try_acquire(1, time_point::min());
    CHECK(!refused);
    CHECK(refused.retry_after() > 0ns);
  }
}

TEST_CASE("overflow at 2^63 ns: the ends of time", "[limit][windows][token_bucket]") {
  check_ends_of_time("token_bucket", [](time_point now) {
    return std::make_unique<bucket>(banyan::token_bucket_options{.rate = 1, .burst = 3}, now);
  });
  check_ends_of_time("leaky_bucket", [](time_point now) {
    return std::make_unique<banyan::leaky_bucket<given_clock>>(banyan::leaky_bucket_options{.rate = 1, .queue = 3},
                                                               now);
  });
  check_ends_of_time("fixed_window", [](time_point now) {
    return std::make_unique<banyan::fixed_window<given_clock>>(banyan::fixed_window_options{.limit = 3, .window = 1s},
                                                               now);
  });
  check_ends_of_time("sliding_window_counter", [](time_point now) {
    return std::make_unique<banyan::sliding_window_counter<given_clock>>(
        banyan::sliding_window_counter_options{.limit = 3, .window = 1s}, now);
  });
  check_ends_of_time("sliding_window_log", [](time_point now) {
    return std::make_unique<banyan::sliding_window_log<given_clock>>(
        banyan::sliding_window_log_options{.limit = 3, .window = 1s}, now);
  });
}

}  // namespace
