#include "promise.hpp"
#include "given_time.hpp"

#include <banyan/limit/token_bucket.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::testing::admission;
using banyan::testing::excess;
using banyan::testing::given_clock;
using banyan::testing::start;

using bucket = banyan::token_bucket<given_clock>;

TEST_CASE("the measure of the promise sees one token too many", "[limit][promise]") {
  std::vector<admission> history;
  for (int i = 0; i < 100; ++i) history.push_back({i * 10'000'000, 1});  // 100 a second
  CHECK(excess(history, 100, 1) <= 1e-9);
  CHECK(excess(history, 99, 1) > 0.9);
  history.push_back({500'000'000, 1});
  CHECK(excess(history, 100, 1) > 0.9);
  CHECK(excess(history, 100, 2) <= 1e-9);
  CHECK(excess({{5, 3}, {5, 3}}, 1, 5) > 0.9);
}

TEST_CASE("threads whose clocks differ, stand still and go back never get more than promised", "[limit][promise]") {
  for (std::uint64_t round = 0; round < 12; ++round) {
    const std::uint64_t seed = banyan::testing::derived_seed("crooked clocks", round);
    CAPTURE(seed, round);
    banyan::testing::random_source random{seed};
    const double rate = std::vector<double>{7, 1000, 123'456.7, 3e6}[round % 4];
    const std::uint64_t burst = 1 + random.below(round % 3 == 0 ? 3 : 100);
    bucket api{{.rate = rate, .burst = burst}, start};
    const auto step = static_cast<std::int64_t>(1e9 / rate) + 2;
    const auto history = banyan::testing::recorded_run(
        4, 4000, step, 3, seed, start,
        [&](std::uint64_t n, auto now, std::size_t) { return api.try_acquire(n, now).allowed(); });
    CHECK(history.size() > 100);
    CHECK(excess(history, rate, static_cast<double>(burst)) <= 1e-6);
  }
}

TEST_CASE("with demand enough, threads get all of it", "[limit][promise]") {
  const double rate = 1e6 / 7;
  bucket api{{.rate = rate, .burst = 500}, start};
  std::atomic<std::int64_t> time{0};
  std::atomic<std::uint64_t> admitted{0};
  constexpr std::int64_t end = 200'000'000;
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (;;) {
          const std::int64_t now = time.fetch_add(1000);
          if (now > end) return;
          if (api.try_acquire(1, start + std::chrono::nanoseconds{now})) admitted.fetch_add(1);
        }
      });
    }
  }
  while (api.try_acquire(1, start + std::chrono::nanoseconds{end})) ++admitted;
  const double due = 500 + rate * 0.2;
  CHECK(static_cast<double>(admitted) <= due);
  CHECK(static_cast<double>(admitted) >= due * 0.999 - 1);
}

TEST_CASE("while rate and burst change, nobody goes by a mixture of them", "[limit][promise]") {
  // A second of saving is one token at 1,000 a second with a burst of 1, and one at 1 a second with a burst of 1,000;
  // but a thousand at the rate of one with the burst of the other.
  bucket api{{.rate = 1, .burst = 1000}, start};
  CHECK(api.try_acquire(1000, start));
  std::atomic<bool> stop{false};
  std::atomic<int> mixed{0};
  std::atomic<int> looks{0};
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        while (!stop.load()) {
          if (api.look(2, start + 1s)) ++mixed;
          if (!api.look(1, start + 1s)) ++mixed;
          ++looks;
        }
      });
    }
    for (int i = 0; i < 1'000'000 || looks.load() < 300'000; ++i) {
      if (i % 2 == 0) {
        api.set_rate(1000, 1);
      } else {
        api.set_rate(1, 1000);
      }
    }
    stop.store(true);
  }
  CHECK(mixed.load() == 0);
}

TEST_CASE("a stopped thread holds nobody up", "[limit][promise][stop]") {
  for (const auto mode : {banyan::testing::stop_mode::one, banyan::testing::stop_mode::all_but_one}) {
    banyan::token_bucket api{{.rate = 1e9, .burst = 1'000'000}};
    std::atomic<std::uint64_t> admitted{0};
    const auto result = banyan::testing::stop_a_thread({.workers = 4, .mode = mode, .at_most = 300ms},
                                                       [&](std::size_t worker, std::uint64_t i) {
                                                         if (api.try_acquire(1 + i % 3))
                                                           admitted.fetch_add(1, std::memory_order_relaxed);
                                                         if (i % 5 == 0) static_cast<void>(api.reserve(1));
                                                         if (i % 7 == 0) api.give_back(1, banyan::steady_clock::now());
                                                         if (worker == 0 && i % 11 == 0)
                                                           api.set_rate(1e9, 1'000'000 - i % 2);
                                                       });
    INFO(result.describe());
    CHECK(result.passed());
    CHECK(admitted.load() > 0);
  }
}

}  // namespace
