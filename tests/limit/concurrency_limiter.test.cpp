#include <banyan/limit/concurrency_limiter.hpp>

#include <banyan/limit/aimd.hpp>
#include <banyan/limit/fixed.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "limit/refusal.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::aimd;
using banyan::concurrency_limiter;
using banyan::fixed;
using banyan::limit_sample;
using banyan::priority;
using banyan::testing::joining_thread;
using banyan::testing::random_source;
using banyan::testing::refused_field;
using namespace std::chrono_literals;

struct clock_tag;
using manual = banyan::basic_manual_clock<clock_tag>;
using time_point = manual::time_point;
constexpr time_point at(std::chrono::nanoseconds since) { return time_point{since}; }

// A policy of one's own: remembers the last sample's latency, and its drops in the low bits.
struct recorder {
  struct options {};
  explicit recorder(const options&) {}
  [[nodiscard]] std::uint64_t initial() const noexcept { return 0; }
  [[nodiscard]] std::uint64_t next(std::uint64_t, const limit_sample& s) const noexcept {
    return static_cast<std::uint64_t>(s.latency) << 20 | std::uint64_t{s.in_flight} << 12 |
           std::uint64_t{s.drops & 63U} << 6 | (s.calls & 63U);
  }
  [[nodiscard]] std::uint32_t limit(std::uint64_t) const noexcept { return 100; }
};
static_assert(banyan::limit_policy<recorder>);

using recording = concurrency_limiter<recorder, manual>;
std::uint64_t latency(const recording& r) { return r.policy_word() >> 20; }
std::uint64_t in_flight(const recording& r) { return r.policy_word() >> 12 & 255; }
std::uint64_t drops(const recording& r) { return r.policy_word() >> 6 & 63; }
std::uint64_t calls(const recording& r) { return r.policy_word() & 63; }

constexpr banyan::concurrency_limiter_options quick{.window = 1000ns, .min_calls = 1};

}  // namespace

TEST_CASE("concurrency_limiter: as it is meant to be used", "[limit][concurrency_limiter]") {
  const auto took = 3ms;
  banyan::concurrency_limiter<banyan::gradient2> gate{{.min = 4, .max = 200}};
  CHECK(gate.limit() == 20U);
  if (auto permit = gate.try_acquire()) {
    CHECK(gate.in_flight() == 1U);
    permit.succeeded(took);
    CHECK_FALSE(static_cast<bool>(permit));
  }
  CHECK(gate.in_flight() == 0U);
  auto late = gate.acquire(10ms);
  REQUIRE(late.has_value());
  late->dropped();
  CHECK(gate.stats().in_flight == 0U);
}

TEST_CASE("concurrency_limiter: a permit is given back once, however it goes", "[limit][concurrency_limiter]") {
  using limiter = concurrency_limiter<fixed, manual>;
  static_assert(!std::is_copy_constructible_v<limiter::permit> && std::is_nothrow_move_assignable_v<limiter::permit>);
  limiter gate{{.limit = 3}};
  {
    auto a = gate.try_acquire();
    auto b = gate.try_acquire();
    auto c = gate.try_acquire();
    CHECK(c.in_flight() == 3U);
    CHECK_FALSE(static_cast<bool>(gate.try_acquire()));
    CHECK(gate.acquire(1ms).error() == banyan::limit_refusal::at_limit);
    a.succeeded();
    a.succeeded(1ms);
    a.dropped();
    a.ignored();
    CHECK(gate.in_flight() == 2U);
    b = std::move(c);  // b's own goes back
    CHECK(gate.in_flight() == 1U);
    auto& same = b;
    b = std::move(same);
    CHECK(static_cast<bool>(b));
    limiter::permit d{std::move(b)};
    CHECK(gate.in_flight() == 1U);
  }
  CHECK(gate.in_flight() == 0U);
}

TEST_CASE("concurrency_limiter: latency is measured by the permit, or told", "[limit][concurrency_limiter]") {
  manual::set(at(1000ns));
  recording gate{{}, quick};
  auto permit = gate.try_acquire();
  manual::advance(5000ns);
  permit.succeeded();
  CHECK(latency(gate) == 5000U);
  CHECK(calls(gate) == 1U);

  auto one = gate.try_acquire(at(0ns));
  auto two = gate.try_acquire(at(0ns));
  auto three = gate.try_acquire(at(0ns));
  one.succeeded(100us, at(6001ns));  // within the window
  CHECK(calls(gate) == 1U);
  two.dropped(at(6002ns));
  three.succeeded(0.2f * 1ms, at(1h));
  CHECK(latency(gate) == 150'000U);
  CHECK(drops(gate) == 1U);
  CHECK(calls(gate) == 2U);
  CHECK(in_flight(gate) == 3U);
  CHECK(gate.stats().windows == 2U);
}

TEST_CASE("concurrency_limiter: latencies that cannot be, and clocks that go back", "[limit][concurrency_limiter]") {
  manual::set(at(1h));
  recording gate{{}, quick};
  gate.try_acquire().succeeded(-1ns, at(2h));
  gate.try_acquire().succeeded(std::chrono::duration<double>{banyan::testing::not_a_number}, at(2h));
  gate.try_acquire().succeeded(-1s * 1.0, at(2h));
  auto permit = gate.try_acquire();
  manual::advance(-30min);
  permit.succeeded();
  CHECK(gate.stats().windows == 0U);
  CHECK(gate.in_flight() == 0U);

  gate.try_acquire().succeeded(0ns, at(0ns));  // counts, and closes nothing
  gate.try_acquire().succeeded(std::chrono::hours::max(), time_point::min());
  CHECK(gate.stats().windows == 0U);
  gate.try_acquire().succeeded(std::chrono::duration<double>{banyan::testing::infinity}, at(2h));
  CHECK(gate.stats().windows == 1U);
  CHECK(calls(gate) == 3U);
  gate.try_acquire().succeeded(1ns, time_point::max());
  gate.try_acquire().succeeded(1ns, time_point::max());
  CHECK(gate.stats().windows == 2U);  // there is no later end
}

TEST_CASE("concurrency_limiter: a window goes on until enough calls have ended", "[limit][concurrency_limiter]") {
  manual::set(at(0ns));
  recording gate{{}, {.window = 1000ns, .min_calls = 3}};
  gate.try_acquire().succeeded(10ns, at(1h));
  gate.try_acquire().dropped(at(2h));
  gate.try_acquire().ignored();
  CHECK(gate.stats().windows == 0U);
  gate.try_acquire().succeeded(20ns, at(3h));
  CHECK(gate.stats().windows == 1U);
  CHECK(latency(gate) == 15U);
}

TEST_CASE("concurrency_limiter: what takes longer than the policy's timeout is a drop",
          "[limit][concurrency_limiter]") {
  concurrency_limiter<aimd, manual> gate{{.initial = 100}, quick, at(0ns)};
  gate.try_acquire().succeeded(5s, at(1us));
  CHECK(gate.limit() == 100U);
  gate.try_acquire().succeeded(5s + 1ns, at(1h));
  CHECK(gate.limit() == 90U);
  concurrency_limiter<banyan::gradient2, manual> adaptive{{.initial = 100, .timeout = 1s}, quick, at(0ns)};
  adaptive.try_acquire().succeeded(2s, at(1us));
  CHECK(adaptive.limit() == 90U);
}

TEST_CASE("concurrency_limiter: a limit that comes down lets nobody in until fewer are",
          "[limit][concurrency_limiter]") {
  using limiter = concurrency_limiter<fixed, manual>;
  limiter gate{{.limit = 10}};
  std::vector<limiter::permit> held;
  for (int i = 0; i < 10; ++i) held.push_back(gate.try_acquire());
  gate.set_limit(4);
  for (std::uint32_t left = 10; left > 4; --left) {
    CHECK(gate.in_flight() == left);
    CHECK_FALSE(static_cast<bool>(gate.try_acquire()));
    held.pop_back();
  }
  CHECK_FALSE(static_cast<bool>(gate.try_acquire()));
  held.pop_back();
  held.push_back(gate.try_acquire());
  CHECK(held.back().in_flight() == 4U);
  gate.set_limit(0);
  CHECK(gate.limit() == 1U);
  gate.set_limit(std::numeric_limits<std::uint32_t>::max());
  CHECK(gate.limit() == banyan::max_concurrency_limit);
}

TEST_CASE("concurrency_limiter: the same as a sequential model", "[limit][concurrency_limiter]") {
  const std::uint64_t seed = banyan::testing::derived_seed("concurrency_limiter and its model");
  CAPTURE(seed);
  random_source random{seed};
  using limiter = concurrency_limiter<fixed, manual>;
  limiter gate{{.limit = 20}, {.shares = {1, 0.9, 0.5}}};
  std::vector<limiter::permit> held;
  double limit = 20;
  const std::array<double, 3> shares{1, 0.9, 0.5};
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t what = random.below(20);
    if (what == 0) {
      limit = static_cast<double>(1 + random.below(40));
      gate.set_limit(static_cast<std::uint32_t>(limit));
    } else if (what < 12) {
      const std::size_t c = random.below(3);
      const auto most = std::max<std::size_t>(1, static_cast<std::size_t>(limit * shares[c] + 1e-9));
      REQUIRE(gate.limit(static_cast<priority>(c)) == most);
      auto permit = gate.try_acquire(static_cast<priority>(c));
      REQUIRE(static_cast<bool>(permit) == (held.size() < most));
      if (permit) held.push_back(std::move(permit));
    } else if (!held.empty()) {
      std::swap(held[random.below(held.size())], held.back());
      held.pop_back();
    }
    REQUIRE(gate.in_flight() == held.size());
  }
}

TEST_CASE("concurrency_limiter: under overload critical calls are refused last", "[limit][concurrency_limiter]") {
  const std::uint64_t seed = banyan::testing::derived_seed("priorities");
  CAPTURE(seed);
  random_source random{seed};
  using limiter = concurrency_limiter<fixed, manual>;
  limiter gate{{.limit = 100}};
  std::vector<std::pair<std::uint64_t, limiter::permit>> held;  // until when
  std::array<int, 3> asked{};
  std::array<int, 3> refused{};
  for (std::uint64_t tick = 0; tick < 20'000; ++tick) {
    std::erase_if(held, [&](const auto& each) { return each.first <= tick; });
    // Three times what goes in, a fifth of it critical.
    for (int i = 0; i < 3; ++i) {
      const std::size_t c = random.below(5) == 0 ? 0 : 1 + random.below(2);
      // Nothing less important is let in when a critical call would not be.
      const bool critical_fits = gate.in_flight() < gate.limit(priority::critical);
      auto permit = gate.try_acquire(static_cast<priority>(c));
      ++asked[c];
      if (permit) {
        REQUIRE(critical_fits);
        held.emplace_back(tick + 50 + random.below(100), std::move(permit));
      } else {
        ++refused[c];
      }
    }
  }
  CAPTURE(refused[0], refused[1], refused[2], asked[0], asked[1], asked[2]);
  CHECK(refused[0] * 100 < asked[0]);  // 0.6 of the 1 a tick that goes in
  CHECK(refused[1] > 0);
  CHECK(refused[2] * 10 > asked[2] * 9);
}

TEST_CASE("concurrency_limiter: options that make no sense are refused by name", "[limit][concurrency_limiter]") {
  using options = banyan::concurrency_limiter_options;
  const auto field = [](const options& o) {
    return refused_field([&] {
      const concurrency_limiter<fixed> gate{{.limit = 1}, o};
      return gate.limit();
    });
  };
  CHECK(field({}).empty());
  CHECK(field({.window = 0ns}) == "concurrency_limiter_options.window");
  CHECK(field({.window = 61min}) == "concurrency_limiter_options.window");
  CHECK(field({.min_calls = 0}) == "concurrency_limiter_options.min_calls");
  CHECK(field({.min_calls = 1'000'001}) == "concurrency_limiter_options.min_calls");
  CHECK(field({.shares = {0.9, 0.9, 0.5}}) == "concurrency_limiter_options.shares");
  CHECK(field({.shares = {1, 0.5, 0.9}}) == "concurrency_limiter_options.shares");
  CHECK(field({.shares = {1, 1, 0}}) == "concurrency_limiter_options.shares");
  CHECK(field({.shares = {1, banyan::testing::not_a_number, 1}}) == "concurrency_limiter_options.shares");
  CHECK(field({.shares = {banyan::testing::infinity, 1, 1}}) == "concurrency_limiter_options.shares");
  CHECK(field({.queue = 10'001}) == "concurrency_limiter_options.queue");
  CHECK(field({.interval = 0ns}) == "concurrency_limiter_options.interval");
  CHECK(field({.target = 101ms}) == "concurrency_limiter_options.target");
  CHECK(field({.target = -1ns}) == "concurrency_limiter_options.target");
}

TEST_CASE("concurrency_limiter: never more in flight than the limit", "[limit][concurrency_limiter]") {
  constexpr std::uint32_t limit = 3;
  concurrency_limiter<fixed> gate{{.limit = limit}, {.window = 1ns, .min_calls = 1}};
  std::atomic<std::uint32_t> inside{0};
  std::atomic<std::uint32_t> most{0};
  std::atomic<std::uint64_t> admitted{0};
  {
    std::vector<joining_thread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        random_source random{banyan::testing::derived_seed("never more", t)};
        for (int i = 0; i < 20'000; ++i) {
          auto permit = gate.try_acquire(static_cast<priority>(random.below(3)));
          if (!permit) continue;
          const std::uint32_t now = inside.fetch_add(1) + 1;
          std::uint32_t seen = most.load();
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          admitted.fetch_add(1);
          inside.fetch_sub(1);
          random.chance(1, 2) ? permit.succeeded() : permit.dropped();
        }
      });
    }
  }
  CHECK(most <= limit);
  CHECK(admitted > 0);
  CHECK(gate.in_flight() == 0U);
}

TEST_CASE("concurrency_limiter: threads that stop keep nobody, and windows go on", "[limit][concurrency_limiter]") {
  using banyan::testing::stop_mode;
  for (const stop_mode mode : {stop_mode::one, stop_mode::several, stop_mode::all_but_one, stop_mode::one_throughout}) {
    // As many as workers, so that those who are stopped inside do not fill it.
    concurrency_limiter<banyan::gradient2> gate{{.initial = 8, .min = 8, .max = 50}, {.window = 1ns, .min_calls = 1}};
    std::uint64_t windows = 0;
    const auto result = banyan::testing::stop_a_thread(
        {.workers = 4, .mode = mode, .rounds = 100, .at_most = std::chrono::milliseconds{400}},
        [&](std::size_t worker) {
          auto permit = gate.try_acquire(static_cast<priority>(worker % 3));
          worker == 0 ? permit.dropped() : permit.succeeded();
        },
        [&] { return std::exchange(windows, gate.stats().windows) < gate.stats().windows; });
    INFO(result.describe());
    CHECK(result.passed());
    CHECK(gate.in_flight() == 0U);
  }
}
