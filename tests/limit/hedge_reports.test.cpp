// Attempts of a hedge_race after their report, and callers' code that throws where nobody can catch it.

#include <banyan/limit/hedge_race.hpp>
#include <banyan/limit/hedged_call.hpp>

#include <chrono>
#include <cstddef>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"

namespace {

using namespace std::chrono_literals;
using race = banyan::hedge_race<int>;

struct out_of_memory_after_one {
  template <class F>
  void execute(F&& work) {
    threads.emplace_back([w = std::forward<F>(work)]() mutable { w(); });
    if (!failing) failing.emplace(1U);
  }
  std::optional<banyan::testing::fail_nth_allocation> failing{};
  std::vector<banyan::testing::joining_thread> threads{};
};

}  // namespace

TEST_CASE("hedge_race: an attempt's flag outlives its report, for those who still watch it", "[limit][hedge]") {
  int told = 0;
  std::optional<race> all{race::start([](race::result&&, std::size_t) {})};
  race::attempt first = all->enter();
  race::attempt second = all->enter();
  all.reset();
  {
    const banyan::on_cancel watch{second.flag(), [&] { ++told; }};
    CHECK_FALSE(second.failed());
    CHECK_FALSE(second.cancelled());
    CHECK(first.succeeded(1));
    CHECK(told == 1);
    CHECK(second.cancelled());
    CHECK_FALSE(first.cancelled());
    CHECK_FALSE(first);
    CHECK_FALSE(second);
  }
}

TEST_CASE("hedge_race: the first report of an attempt counts", "[limit][hedge]") {
  int calls = 0;
  const race all = race::start([&](race::result&& r, std::size_t) { calls += r.has_value() ? 1 : 100; });
  race::attempt one = all.enter();
  CHECK(one.succeeded(1));
  CHECK_FALSE(one.succeeded(2));
  CHECK_FALSE(one.failed());
  race::attempt none;
  CHECK_FALSE(none.failed());
  CHECK_FALSE(none.succeeded(3));
  CHECK(calls == 1);
}

TEST_CASE("hedge_race: what is thrown because an attempt dies is lost", "[limit][hedge]") {
  int calls = 0;
  const race all = race::start([&](race::result&&, std::size_t) {
    ++calls;
    throw std::runtime_error{"nobody to catch it"};
  });
  { const race::attempt dies = all.enter(); }
  CHECK(calls == 1);
  CHECK(all.over());
}

// After the first task, the caller's next allocation fails: the one for the second attempt.
TEST_CASE("hedged_call: without memory for the second attempt the first one goes on", "[limit][hedge]") {
  banyan::hedge policy{{.max_extra = 1, .min_samples = 100, .window = 60s, .min_delay = 0ns}};
  for (int i = 0; i < 200; ++i) policy.succeeded(1us);
  for (int i = 0; i < 200; ++i) policy.request();
  out_of_memory_after_one runs;
  bool threw = false;
  int value = 0;
  try {
    const auto got = banyan::hedged_call(policy, runs, [&policy](const banyan::hedge_attempt&) {
      while (policy.stats().sent == 0) std::this_thread::yield();
      std::this_thread::sleep_for(20ms);  // mostly until the second one has been tried; right or wrong without
      return 7;
    });
    if (got.has_value()) value = *got;
  } catch (const std::bad_alloc&) {
    threw = true;
  }
  runs.failing.reset();
  CHECK_FALSE(threw);
  CHECK(value == 7);
}
