#include <banyan/limit/backoff.hpp>
#include <banyan/limit/retry_budget.hpp>
#include <banyan/limit/retry_throttle.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "at_once.hpp"
#include "given_time.hpp"
#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::testing::refused_field;

using budget = banyan::basic_retry_budget<given_clock>;

std::vector<nanoseconds> waits(banyan::backoff_options options, std::size_t count) {
  std::vector<nanoseconds> all;
  for (const auto wait : banyan::backoff{options}) {
    all.push_back(wait);
    if (all.size() == count) break;
  }
  return all;
}

static_assert(std::input_iterator<banyan::backoff::iterator>);

TEST_CASE("backoff doubles up to the cap", "[limit][backoff]") {
  using banyan::jitter;
  CHECK(waits({.base = 10ms, .cap = 100ms, .jitter = jitter::none}, 6) ==
        std::vector<nanoseconds>{10ms, 20ms, 40ms, 80ms, 100ms, 100ms});
  CHECK(waits({.base = 1s, .cap = 3s, .multiplier = 1.5, .jitter = jitter::none, .max_retries = 4}, 99) ==
        std::vector<nanoseconds>{1s, 1500ms, 2250ms, 3s});
  CHECK(waits({.base = 5ms, .cap = 5ms, .jitter = jitter::none}, 2) == std::vector<nanoseconds>{5ms, 5ms});
  const auto longest = waits({.base = 1h, .cap = nanoseconds::max(), .jitter = jitter::none}, 100);
  CHECK(longest.back() == nanoseconds::max());
  CHECK(std::is_sorted(longest.begin(), longest.end()));
}

TEST_CASE("jitter keeps to its range and uses all of it", "[limit][backoff]") {
  using banyan::jitter;
  for (const auto how : {jitter::full, jitter::equal, jitter::decorrelated}) {
    double sum = 0;
    nanoseconds least = nanoseconds::max();
    nanoseconds most{0};
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
      nanoseconds exact = 100ms;
      nanoseconds before = 100ms;
      for (const auto wait : waits({.base = 100ms, .cap = 500ms, .jitter = how, .seed = seed}, 6)) {
        const nanoseconds low = how == jitter::full ? 0ms : how == jitter::equal ? exact / 2 : 100ms;
        REQUIRE(wait >= low);
        REQUIRE(wait <= (how == jitter::decorrelated ? std::min<nanoseconds>(500ms, before * 3 + 1ns) : exact));
        before = wait;
        exact = std::min<nanoseconds>(exact * 2, 500ms);
      }
      least = std::min(least, before);
      most = std::max(most, before);
      sum += static_cast<double>(before.count()) * 1e-6;
    }
    // The sixth waits: of the whole range, and in the middle of it on average.
    const double mean = sum / 2000;
    if (how == jitter::full) CHECK((least < 5ms && most > 495ms && mean > 240 && mean < 260));
    if (how == jitter::equal) CHECK((least < 255ms && most > 495ms && mean > 370 && mean < 380));
    if (how == jitter::decorrelated) CHECK((least < 110ms && most == 500ms && mean > 300 && mean < 450));
  }
  CHECK(waits({.seed = 7}, 5) == waits({.seed = 7}, 5));
  CHECK(waits({}, 5) != waits({}, 5));
}

TEST_CASE("backoff begins anew, and refuses nonsense", "[limit][backoff]") {
  banyan::backoff pause{{.base = 10ms, .cap = 1s, .jitter = banyan::jitter::none, .max_retries = 2}};
  CHECK(pause.next() == 10ms);
  CHECK(pause.next() == 20ms);
  CHECK(pause.exhausted());
  CHECK(pause.next() == 40ms);
  pause.restart();
  CHECK(!pause.exhausted());
  CHECK(pause.next() == 10ms);
  const auto field = [](banyan::backoff_options options) { return refused_field([&] { banyan::backoff{options}; }); };
  CHECK(field({.base = 0ms}) == "backoff_options.base");
  CHECK(field({.base = -1ms}) == "backoff_options.base");
  CHECK(field({.base = 10ms, .cap = 9ms}) == "backoff_options.cap");
  for (const double multiplier : {0.99, -1.0, banyan::testing::not_a_number, banyan::testing::infinity})
    CHECK(field({.multiplier = multiplier}) == "backoff_options.multiplier");
}

TEST_CASE("a retry budget follows the requests", "[limit][retry_budget]") {
  budget tenth{{.ratio = 0.1, .min_per_second = 0}, start};
  CHECK(!tenth.try_retry(start));
  for (int i = 0; i < 9; ++i) tenth.request(start);
  CHECK(!tenth.try_retry(start));
  tenth.request(start);
  CHECK(tenth.balance(start) == 1);
  CHECK(tenth.try_retry(start));
  CHECK(!tenth.try_retry(start));
  for (int i = 0; i < 100; ++i) tenth.request(after(5s));
  CHECK(tenth.balance(after(14s)) == 10);
  CHECK(tenth.balance(after(15s)) == 0);  // forgotten
  CHECK(!tenth.try_retry(after(15s)));

  budget twice{{.ratio = 2, .min_per_second = 0}, start};
  twice.request(start);
  CHECK(twice.try_retry(start));
  CHECK(twice.try_retry(start));
  CHECK(!twice.try_retry(start));

  budget reserve{{.ratio = 0, .min_per_second = 10}, start};
  reserve.request(start);
  CHECK(reserve.balance(start) == 100);
  for (int i = 0; i < 100; ++i) CHECK(reserve.try_retry(start));
  CHECK(!reserve.try_retry(after(9s)));
  CHECK(reserve.balance(after(10s)) == 100);

  budget never{{.ratio = 0, .min_per_second = 0}, start};
  never.request(start);
  CHECK(!never.try_retry(start));
}

// finagle-core's RetryBudgetTest.
TEST_CASE("Finagle's figures", "[limit][retry_budget][published]") {
  struct row {
    nanoseconds window;
    double min_per_second;
    double ratio;
  };
  for (const row& each : std::vector<row>{{60s, 0, 0.1},
                                          {60s, 0, 0.5},
                                          {60s, 0, 0.25},
                                          {60s, 0, 0.75},
                                          {60s, 0, 0.99},
                                          {60s, 0, 0.999},
                                          {60s, 0, 0.9999},
                                          {60s, 0, 0.01},
                                          {60s, 0, 0.001},
                                          {60s, 0, 0.0001},
                                          {1s, 10, 0},
                                          {2s, 5, 0},
                                          {1s, 10, 0.1},
                                          {2s, 5, 0.5}}) {
    CAPTURE(each.ratio, each.min_per_second);
    budget b{{.ratio = each.ratio, .min_per_second = each.min_per_second, .window = each.window}, start};
    const auto reserve = static_cast<int>(each.min_per_second * std::chrono::duration<double>(each.window).count());
    CHECK(b.balance(start) == reserve);
    int retried = 0;
    for (int i = 0; i < 10'000; ++i) {
      b.request(start);
      retried += b.try_retry(start) ? 1 : 0;
    }
    const int expected = static_cast<int>(10'000 * each.ratio) + reserve;
    CHECK(retried <= expected);
    CHECK(retried >= expected - 1);
  }
  budget twice{{.ratio = 2, .min_per_second = 0, .window = 60s}, start};
  for (int i = 0; i < 10'000; ++i) twice.request(start);
  CHECK(twice.balance(start) == 20'000);
}

TEST_CASE("odd ratios are rounded down by a thousandth at most", "[limit][retry_budget]") {
  const std::uint64_t seed = banyan::testing::derived_seed("ratios");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int i = 0; i < 100; ++i) {
    const double ratio = 0.001 + static_cast<double>(random.below(1'000'000)) * 1.1e-6;
    CAPTURE(ratio);
    budget b{{.ratio = ratio, .min_per_second = 0}, start};
    for (int request = 0; request < 20'000; ++request) b.request(start);
    CHECK(static_cast<double>(b.balance(start)) <= 20'000 * ratio + 1e-3);
    CHECK(static_cast<double>(b.balance(start)) >= 20'000 * ratio * 0.999 - 1);
  }
}

TEST_CASE("a retry budget and time that goes back", "[limit][retry_budget]") {
  budget tenth{{.ratio = 0.1, .min_per_second = 1}, start};
  for (int i = 0; i < 100; ++i) tenth.request(after(100s));
  for (int i = 0; i < 20; ++i) CHECK(tenth.try_retry(after(100s)));
  CHECK(!tenth.try_retry(after(100s)));
  for (const auto when : {start, after(99s), time_point{}, time_point::min()}) {
    tenth.request(when);
    CHECK(!tenth.try_retry(when));
  }
  CHECK(!tenth.try_retry(after(101s)));
  CHECK(tenth.balance(time_point::max()) == 10);
}

TEST_CASE("options of retry budgets and throttles are refused by name", "[limit][retry_budget]") {
  using banyan::testing::infinity;
  using banyan::testing::not_a_number;
  for (const double bad : {-0.1, not_a_number, infinity, 1e7}) {
    CHECK(refused_field([&] { budget{{.ratio = bad}}; }) == "retry_budget_options.ratio");
    CHECK(refused_field([&] { budget{{.min_per_second = bad}}; }) == "retry_budget_options.min_per_second");
    CHECK(refused_field([&] { banyan::retry_throttle{{.token_ratio = bad}}; }) == "retry_throttle_options.token_ratio");
  }
  for (const nanoseconds bad : {nanoseconds{0}, nanoseconds{999ms}, nanoseconds{61s}, nanoseconds::min()})
    CHECK(refused_field([&] { budget{{.window = bad}}; }) == "retry_budget_options.window");
  for (const std::uint32_t bad : {0U, 1001U})
    CHECK(refused_field([&] { banyan::retry_throttle{{.max_tokens = bad}}; }) == "retry_throttle_options.max_tokens");
}

TEST_CASE("threads never get more retries than the budget", "[limit][retry_budget][promise]") {
  budget equal{{.ratio = 1, .min_per_second = 0}, start};
  std::atomic<std::int64_t> requests{0};
  std::atomic<std::int64_t> retries{0};
  std::atomic<std::int64_t> worst{std::numeric_limits<std::int64_t>::min()};
  banyan::testing::at_once(3, [&](int t) {
    for (int i = 0; i < 3'000'000; ++i) {
      if (t == 0) {
        requests.fetch_add(1);
        equal.request(start);
      } else if (equal.try_retry(start)) {
        const std::int64_t mine = retries.fetch_add(1) + 1;
        if (mine > requests.load()) worst.store(mine);
      }
    }
  });
  while (equal.try_retry(start)) retries.fetch_add(1);
  CHECK(worst.load() == std::numeric_limits<std::int64_t>::min());
  CHECK(retries.load() == requests.load());
}

TEST_CASE("a throttle follows gRPC's rules", "[limit][retry_throttle]") {
  banyan::retry_throttle throttle{{.max_tokens = 10, .token_ratio = 0.1}};
  CHECK(throttle.may_retry());
  for (int i = 0; i < 4; ++i) CHECK(throttle.failed());
  CHECK(!throttle.failed());  // 5 of 10: half is not enough
  CHECK(throttle.tokens() == 5);
  CHECK(!throttle.may_retry());
  throttle.succeeded();
  CHECK(throttle.may_retry());  // 5.1
  for (int i = 0; i < 20; ++i) throttle.failed();
  CHECK(throttle.tokens() == 0);
  for (int i = 0; i < 50; ++i) throttle.succeeded();
  CHECK(!throttle.may_retry());
  throttle.succeeded();
  CHECK(throttle.may_retry());
  for (int i = 0; i < 1000; ++i) throttle.succeeded();
  CHECK(throttle.tokens() == 10);
}

// gRPC's retry_throttle_test: a failure and whether it may be retried, or a success.
TEST_CASE("gRPC's figures", "[limit][retry_throttle][published]") {
  banyan::retry_throttle throttle{{.max_tokens = 4, .token_ratio = 1.6}};
  for (const char step : std::string_view{"Y+YNNNN++YN+N+Y"}) {
    if (step == '+') {
      throttle.succeeded();
    } else {
      CHECK(throttle.failed() == (step == 'Y'));
    }
  }
}

TEST_CASE("a stopped thread holds no retry up", "[limit][retry_budget][stop]") {
  budget tenth{{.ratio = 0.1}, start};
  banyan::retry_throttle throttle;
  std::atomic<std::int64_t> time{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .mode = banyan::testing::stop_mode::several, .at_most = 300ms}, [&](std::size_t, std::uint64_t i) {
        const auto now = after(nanoseconds{time.fetch_add(1'000'000)});
        tenth.request(now);
        static_cast<void>(tenth.try_retry(now));
        if (i % 2 == 0) throttle.succeeded();
        if (i % 9 == 0) throttle.failed();
      });
  INFO(result.describe());
  CHECK(result.passed());
}

}  // namespace
