#include <banyan/limit/fixed_window.hpp>
#include <banyan/limit/leaky_bucket.hpp>
#include <banyan/limit/sliding_window_counter.hpp>
#include <banyan/limit/sliding_window_log.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

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

using fixed = banyan::fixed_window<given_clock>;
using counter = banyan::sliding_window_counter<given_clock>;
using exact = banyan::sliding_window_log<given_clock>;
using leaky = banyan::leaky_bucket<given_clock>;

TEST_CASE("a leaky bucket paces", "[limit][leaky_bucket]") {
  leaky pacer{{.rate = 10, .queue = 3}, start};
  CHECK(pacer.try_acquire(1, start).wait() == 0ns);
  CHECK(pacer.try_acquire(1, start).wait() == 100ms);
  const auto third = pacer.try_acquire(1, start);
  CHECK(third.wait() == 200ms);
  CHECK(third.remaining() == 0);
  const auto refused = pacer.try_acquire(1, start);
  CHECK(!refused);
  CHECK(refused.retry_after() == 100ms);
  CHECK(pacer.try_acquire(2, start).retry_after() == 200ms);
  CHECK(pacer.try_acquire(4, start).never());
  CHECK(pacer.try_acquire(1, after(100ms)).wait() == 200ms);
  CHECK(!pacer.try_acquire(1, start - 1h));
  CHECK(pacer.try_acquire(1, after(1h)).wait() == 0ns);  // nothing is saved up
  CHECK(pacer.try_acquire(1, after(1h)).wait() == 100ms);
  CHECK(!pacer.reserve_within(199ms, 1, after(1h)));
  CHECK(pacer.reserve_within(199ms, 1, after(1h)).retry_after() == 1ms);
  CHECK(pacer.reserve_within(200ms, 1, after(1h)).wait() == 200ms);
  CHECK(refused_field([] { leaky{{.rate = 0, .queue = 1}}; }) == "leaky_bucket_options.rate");
  CHECK(refused_field([] { leaky{{.rate = 1, .queue = 0}}; }) == "leaky_bucket_options.queue");
  CHECK(refused_field([] { leaky{{.rate = 1e-8, .queue = 1}}; }) == "leaky_bucket_options.rate");
  banyan::leaky_bucket real{{.rate = 1000, .queue = 10}};
  CHECK(real.acquire_for(1s).wait() == 0ns);
  CHECK(real.acquire_for(1s));
}

// Figures of Guava's RateLimiterTest (SmoothBursty, without stored permits).
TEST_CASE("Guava's figures", "[limit][leaky_bucket][published]") {
  auto now = start;
  const auto acquire = [&](leaky& limiter, std::uint64_t n) {
    const auto d = limiter.try_acquire(n, now);
    REQUIRE(d);
    now += d.wait();
    return d.wait();
  };
  leaky weights{{.rate = 1, .queue = 1000}, now};
  for (const auto& [n, waited] :
       std::vector<std::pair<std::uint64_t, nanoseconds>>{{1, 0s}, {1, 1s}, {2, 1s}, {4, 2s}, {8, 4s}, {1, 8s}}) {
    CHECK(acquire(weights, n) == waited);
  }
  leaky update{{.rate = 1, .queue = 1000}, now};
  CHECK(acquire(update, 1) == 0s);
  CHECK(acquire(update, 1) == 1s);
  update.set_rate(2, 1000);
  for (const auto& [n, waited] :
       std::vector<std::pair<std::uint64_t, nanoseconds>>{{1, 1s}, {2, 500ms}, {4, 1s}, {1, 2s}}) {
    CHECK(acquire(update, n) == waited);
  }
  leaky some_wait{{.rate = 5, .queue = 1000}, now};
  CHECK(some_wait.reserve_within(0s, 1, now));
  const auto second = some_wait.reserve_within(200ms, 1, now);
  CHECK(second.wait() == 200ms);
  now += second.wait();
  CHECK(!some_wait.reserve_within(100ms, 1, now));
  now += 100ms;
  CHECK(some_wait.reserve_within(100ms, 1, now).wait() == 100ms);
}

TEST_CASE("paced requests never go ahead more often than the rate", "[limit][leaky_bucket][promise]") {
  leaky pacer{{.rate = 1000, .queue = 50}, start};
  const std::uint64_t seed = banyan::testing::derived_seed("pacing");
  CAPTURE(seed);
  std::atomic<std::int64_t> time{0};
  std::vector<std::vector<banyan::testing::admission>> lanes(3);
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (std::size_t t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 3000; ++i) {
          const std::int64_t now = time.fetch_add(200'000);
          if (const auto d = pacer.try_acquire(1, after(nanoseconds{now})))
            lanes[t].push_back({now + d.wait().count(), 1});
        }
      });
    }
  }
  std::vector<banyan::testing::admission> all;
  for (const auto& lane : lanes) all.insert(all.end(), lane.begin(), lane.end());
  CHECK(all.size() >= 1798);
  CHECK(banyan::testing::excess(all, 1000, 1) <= 1e-6);
}

TEST_CASE("a fixed window counts by the clock's windows", "[limit][fixed_window]") {
  fixed quota{{.limit = 5, .window = 1s}, after(300ms)};
  for (std::uint64_t i = 0; i < 5; ++i) CHECK(quota.try_acquire(1, after(900ms)).remaining() == 4 - i);
  const auto refused = quota.try_acquire(1, after(900ms));
  CHECK(!refused);
  CHECK(refused.retry_after() == 100ms);
  CHECK(quota.try_acquire(6, after(900ms)).never());
  CHECK(quota.try_acquire(5, after(1s)));
  CHECK(!quota.try_acquire(1, after(1999999999ns)));
  CHECK(quota.try_acquire(3, after(2s)));
  CHECK(!quota.try_acquire(3, start));  // counts in the window that the others are in
  CHECK(quota.try_acquire(3, start).retry_after() == 3s);
  CHECK(quota.try_acquire(2, start));
  quota.give_back(2, after(2s));
  quota.give_back(2, after(1s));
  CHECK(quota.look(0, after(2s)).remaining() == 2);
  CHECK(quota.try_acquire(5, time_point::max()));
  CHECK(!quota.try_acquire(1, time_point::max()));
  CHECK(!quota.try_acquire(1, time_point::min()));
}

TEST_CASE("windows before the epoch begin at multiples, too", "[limit][fixed_window]") {
  fixed quota{{.limit = 1, .window = 10s}, time_point{-15s}};
  CHECK(quota.try_acquire(1, time_point{-11s}));
  CHECK(!quota.try_acquire(1, time_point{-10s - 1ns}));
  CHECK(quota.try_acquire(1, time_point{-10s}));
  CHECK(!quota.try_acquire(1, time_point{-1ns}));
  CHECK(quota.try_acquire(1, time_point{}));
  fixed earliest{{.limit = 1, .window = 10s}, time_point::min()};
  CHECK(earliest.try_acquire(1, time_point::min()));
  CHECK(!earliest.try_acquire(1, time_point::min()));
}

TEST_CASE("options of windows are refused by name", "[limit][windows]") {
  for (const auto window : {0ns, -1ns, nanoseconds::min(), nanoseconds::max()}) {
    CHECK(refused_field([&] { fixed{{.limit = 1, .window = window}}; }) == "fixed_window_options.window");
    CHECK(refused_field([&] { counter{{.limit = 1, .window = window}}; }) == "sliding_window_counter_options.window");
    CHECK(refused_field([&] { exact{{.limit = 1, .window = window}}; }) == "sliding_window_log_options.window");
  }
  for (const std::uint64_t limit : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    CHECK(refused_field([&] { fixed{{.limit = limit, .window = 1s}}; }) == "fixed_window_options.limit");
    CHECK(refused_field([&] { counter{{.limit = limit, .window = 1s}}; }) == "sliding_window_counter_options.limit");
    CHECK(refused_field([&] { exact{{.limit = limit, .window = 1s}}; }) == "sliding_window_log_options.limit");
  }
  fixed{{.limit = 10'000'000'000, .window = 1s}};
  counter{{.limit = 33'000'000, .window = 1s}};
  fixed tiny{{.limit = 8, .window = 1ns}, start};
  CHECK(tiny.try_acquire(8, start));
  CHECK(!tiny.try_acquire(1, start));
  CHECK(tiny.try_acquire(8, after(1ns)));
}

TEST_CASE("a sliding counter weighs the window before", "[limit][sliding_window_counter]") {
  counter gate{{.limit = 100, .window = 60s}, start};
  CHECK(gate.try_acquire(42, after(30s)));
  // Cloudflare's example: 42 in the window before, 18 in this one, a quarter of it over: 42 * 0.75 + 18 = 49.5.
  CHECK(gate.try_acquire(18, after(75s)).remaining() == 50);
  CHECK(gate.try_acquire(51, after(75s)).retry_after() == 714285715ns);
  CHECK(!gate.try_acquire(51, after(75s + 714285714ns)));
  CHECK(gate.try_acquire(51, after(75s + 714285715ns)));
  CHECK(gate.try_acquire(101, after(75s)).never());
  gate.give_back(51, after(75s), after(75s));
  CHECK(gate.look(0, after(75s)).remaining() == 50);
  CHECK(gate.try_acquire(50, after(75s)));
  gate.give_back(50, after(30s), after(75s));  // that window is over
  CHECK(gate.look(0, after(75s)).remaining() == 0);
  CHECK(gate.look(0, after(10h)).remaining() == 100);
  CHECK(gate.try_acquire(100, after(120s)).retry_after() == 60s);
  CHECK(gate.look(0, after(120s)).remaining() == 32);
  CHECK(!gate.try_acquire(100, time_point::min()));
  CHECK(gate.try_acquire(100, after(10h)));
  CHECK(!gate.try_acquire(1, after(10h)));
  CHECK(!gate.try_acquire(1, after(9h)));
}

TEST_CASE("a sliding counter: whoever waits as told is admitted, and not before", "[limit][sliding_window_counter]") {
  const std::uint64_t seed = banyan::testing::derived_seed("sliding counter");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 300; ++round) {
    const std::uint64_t limit = 1 + random.below(round % 2 == 0 ? 20 : 30'000'000);
    counter gate{{.limit = limit, .window = 1s}, start};
    nanoseconds now{0};
    for (int i = 0; i < 50; ++i) {
      now += nanoseconds{static_cast<std::int64_t>(random.below(400'000'000))};
      const std::uint64_t n = 1 + random.below(limit);
      const auto d = gate.try_acquire(n, after(now));
      if (d) continue;
      REQUIRE(d.remaining() < n);
      REQUIRE(!gate.look(n, after(now + d.retry_after() - 1ns)));
      REQUIRE(gate.look(n, after(now + d.retry_after())));
      // No tokens at all may be refused, too: the window before is rounded up, and may weigh more than is left.
      REQUIRE((d.remaining() == 0 || gate.look(d.remaining(), after(now))));
      REQUIRE(!gate.look(d.remaining() + 1, after(now)));
    }
  }
}

TEST_CASE("a sliding counter never admits twice its limit within a window", "[limit][sliding_window_counter]") {
  const std::uint64_t seed = banyan::testing::derived_seed("sliding counter bound");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  double worst = 0;
  for (int round = 0; round < 100; ++round) {
    constexpr std::uint64_t limit = 50;
    counter gate{{.limit = limit, .window = 1s}, start};
    std::deque<std::pair<nanoseconds, std::uint64_t>> recent;
    std::uint64_t sum = 0;
    nanoseconds now{0};
    for (int i = 0; i < 1000; ++i) {
      // Quiet for a while, then as much as is let through.
      now += nanoseconds{
          static_cast<std::int64_t>(random.chance(1, 50) ? random.below(2'000'000'000) : random.below(20'000'000))};
      if (!gate.try_acquire(1, after(now))) continue;
      recent.emplace_back(now, 1);
      ++sum;
      while (recent.front().first <= now - 1s) {
        sum -= recent.front().second;
        recent.pop_front();
      }
      REQUIRE(sum < 2 * limit);
      worst = std::max(worst, static_cast<double>(sum) / limit);
    }
  }
  CHECK(worst > 1);  // it is an estimate
}

TEST_CASE("a sliding log against a plain one", "[limit][sliding_window_log]") {
  const std::uint64_t seed = banyan::testing::derived_seed("sliding log");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 100; ++round) {
    const std::uint64_t limit = 1 + random.below(20);
    exact gate{{.limit = limit, .window = 1s}, start};
    std::deque<nanoseconds> model;
    nanoseconds now{0};
    for (int i = 0; i < 300; ++i) {
      now += nanoseconds{static_cast<std::int64_t>(random.below(200'000'000))};
      while (!model.empty() && model.front() <= now - 1s) model.pop_front();
      const std::uint64_t n = 1 + random.below(round % 2 == 0 ? 1 : limit + 1);
      const auto d = gate.try_acquire(n, after(now));
      REQUIRE(d.never() == (n > limit));
      if (d.never()) continue;
      REQUIRE(d.allowed() == (model.size() + n <= limit));
      if (d) {
        model.insert(model.end(), n, now);
      } else {
        REQUIRE(d.retry_after() == model[model.size() + n - limit - 1] + 1s - now);
      }
      REQUIRE(d.remaining() == limit - model.size());
    }
  }
  exact edge{{.limit = 2, .window = 1s}, start};
  CHECK(edge.try_acquire(0, start));
  CHECK(edge.try_acquire(2, start));
  CHECK(!edge.try_acquire(1, start - 5s));
  CHECK(!edge.try_acquire(1, time_point::min()));
  CHECK(!edge.try_acquire(1, after(999999999ns)));
  CHECK(edge.try_acquire(2, after(1s)));
  CHECK(edge.try_acquire(2, time_point::max()));
  CHECK(!edge.try_acquire(1, time_point::max()));
}

TEST_CASE("entries that were claimed and not written count all the same", "[limit][sliding_window_log]") {
  std::array<std::atomic<std::uint64_t>, 3> slots{};
  banyan::detail::log_ring ring{slots, 1000};
  std::uint64_t now = 2000;
  for (int lap = 0; lap < 5; ++lap, now += 2000) {
    std::array<std::uint64_t, 3> before{};
    for (std::size_t i = 0; i < 3; ++i) before[i] = slots[i].load();
    REQUIRE(ring.take(3, now).admitted);
    for (std::size_t i = 0; i < 3; ++i) slots[i].store(before[i]);  // as if its thread had stopped after the claim
    REQUIRE(!ring.take(1, now + 10).admitted);
    REQUIRE(ring.take(1, now + 20).wait == 990);  // the first entry is as of now + 10
    REQUIRE(!ring.take(3, now + 999).admitted);
    REQUIRE(!ring.take(1, now + 1009).admitted);
    REQUIRE(ring.take(1, now + 1010).admitted);
    REQUIRE(!ring.take(1, now + 1011).admitted);
    now += 2000;
    REQUIRE(ring.take(2, now).admitted);  // those left, so that each lap begins in the first slot
  }
}

struct spell {
  std::int64_t from;
  std::int64_t to;
  std::uint64_t tokens;
};

// What threads were given, each within [from, to] of a true time that goes on with every call.
template <class Limiter>
std::vector<spell> spells(Limiter& limiter, std::int64_t step, int attempts, std::uint64_t most, std::uint64_t seed) {
  std::vector<std::vector<spell>> lanes(3);
  std::atomic<std::int64_t> time{0};
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (std::size_t t = 0; t < lanes.size(); ++t) {
      threads.emplace_back([&, t] {
        banyan::testing::random_source random{seed + t};
        for (int i = 0; i < attempts; ++i) {
          const std::int64_t now = time.fetch_add(step);
          const std::uint64_t n = 1 + random.below(most);
          if (limiter.try_acquire(n, after(nanoseconds{now}))) lanes[t].push_back({now, time.load(), n});
        }
      });
    }
  }
  std::vector<spell> all;
  for (const auto& lane : lanes) all.insert(all.end(), lane.begin(), lane.end());
  return all;
}

std::uint64_t most_within(const std::vector<spell>& all, std::int64_t length) {
  std::uint64_t worst = 0;
  for (const spell& first : all) {
    std::uint64_t sum = 0;
    for (const spell& each : all) {
      if (each.from >= first.from && each.to < first.from + length) sum += each.tokens;
    }
    worst = std::max(worst, sum);
  }
  return worst;
}

TEST_CASE("threads never get more than each window promises", "[limit][windows][promise]") {
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::uint64_t seed = banyan::testing::derived_seed("windows", round);
    CAPTURE(seed);
    exact log{{.limit = 40, .window = 1ms}, start};
    const auto logged = spells(log, 5'000, 1500, 3, seed);
    CHECK(logged.size() > 200);
    CHECK(most_within(logged, 1'000'000) <= 40);
    counter sliding{{.limit = 40, .window = 1ms}, start};
    CHECK(most_within(spells(sliding, 5'000, 1500, 3, seed), 1'000'000) < 80);
    fixed quota{{.limit = 40, .window = 1ms}, start};
    const auto counted = spells(quota, 5'000, 1500, 3, seed);
    CHECK(most_within(counted, 1'000'000) <= 80);
    std::uint64_t total = 0;
    for (const spell& each : counted) total += each.tokens;
    CHECK(total <= 40 * 23);
    CHECK(total >= 38 * 22);
  }
}

// Threads ask for one token each at the same time, again and again: what they get must be the limit to the token.
template <class Limiter>
std::vector<std::uint64_t> given_at_once(Limiter& limiter, int rounds, nanoseconds apart, int attempts) {
  std::vector<std::atomic<std::uint64_t>> given(static_cast<std::size_t>(rounds));
  std::atomic<int> arrived{0};
  constexpr int count = 3;
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (int t = 0; t < count; ++t) {
      threads.emplace_back([&] {
        for (int round = 0; round < rounds; ++round) {
          arrived.fetch_add(1);
          while (arrived.load() < count * (round + 1)) std::this_thread::yield();
          std::uint64_t mine = 0;
          for (int i = 0; i < attempts; ++i) mine += limiter.try_acquire(1, after(apart * round)) ? 1U : 0U;
          given[static_cast<std::size_t>(round)].fetch_add(mine);
        }
      });
    }
  }
  return {given.begin(), given.end()};
}

TEST_CASE("no count is lost when all come at once", "[limit][windows][promise]") {
  const std::vector<std::uint64_t> all(10, 8000);
  fixed quota{{.limit = 8000, .window = 1s}, start};
  CHECK(given_at_once(quota, 10, 1s, 4000) == all);
  counter sliding{{.limit = 8000, .window = 1s}, start};
  CHECK(given_at_once(sliding, 10, 2s, 4000) == all);
  exact log{{.limit = 8000, .window = 1s}, start};
  CHECK(given_at_once(log, 10, 1s, 4000) == all);
  leaky pacer{{.rate = 8000, .queue = 8000}, start};
  CHECK(given_at_once(pacer, 10, 1s, 4000) == all);
}

TEST_CASE("a thread stopped within a window's operation holds nobody up", "[limit][windows][stop]") {
  fixed quota{{.limit = 10, .window = 1us}, start};
  counter gate{{.limit = 10, .window = 1us}, start};
  leaky pacer{{.rate = 1e7, .queue = 10}, start};
  exact log{{.limit = 5, .window = 100ns}, start};
  std::atomic<std::int64_t> time{0};
  std::vector<std::vector<spell>> logged(4);
  for (auto& lane : logged) lane.reserve(4000);
  const auto result =
      banyan::testing::stop_a_thread({.workers = 4, .mode = banyan::testing::stop_mode::several, .at_most = 500ms},
                                     [&](std::size_t worker, std::uint64_t i) {
                                       const std::int64_t now = time.fetch_add(7);
                                       static_cast<void>(quota.try_acquire(1, after(nanoseconds{now})));
                                       static_cast<void>(gate.try_acquire(1, after(nanoseconds{now})));
                                       static_cast<void>(pacer.try_acquire(1, after(nanoseconds{now})));
                                       const std::uint64_t n = 1 + i % 2;
                                       const bool admitted = log.try_acquire(n, after(nanoseconds{now})).allowed();
                                       if (admitted && logged[worker].size() < 4000)
                                         logged[worker].push_back({now, time.load(), n});
                                     });
  INFO(result.describe());
  CHECK(result.passed());
  std::vector<spell> all;
  for (const auto& lane : logged) all.insert(all.end(), lane.begin(), lane.end());
  CHECK(all.size() > 100);
  CHECK(most_within(all, 100) <= 5);
}

}  // namespace
