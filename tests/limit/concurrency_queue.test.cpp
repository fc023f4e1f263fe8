#include <banyan/limit/concurrency_limiter.hpp>

#include <banyan/limit/fixed.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::concurrency_limiter;
using banyan::fixed;
using banyan::limit_refusal;
using banyan::priority;
using banyan::testing::joining_thread;
using banyan::testing::random_source;
using namespace std::chrono_literals;

// Where a thread's looks at a limit are counted.
thread_local std::atomic<int>* looks_of_this_thread = nullptr;

// A call is counted as waiting before it stands in its queue. It looks at the limit when it stands there, and from time
// to time after that: so who has seen it counted, and then look, has seen it in the queue.
struct watched : fixed {
  using fixed::fixed;
  [[nodiscard]] std::uint32_t limit(std::uint64_t word) const noexcept {
    if (looks_of_this_thread != nullptr) looks_of_this_thread->fetch_add(1);
    return fixed::limit(word);
  }
};

using limiter = concurrency_limiter<watched>;
using steady = std::chrono::steady_clock;

// Patient enough for any machine.
constexpr banyan::concurrency_limiter_options patient{.queue = 8, .interval = 1h, .target = 1h};

// How it went with a call that waited on a thread of its own.
struct waiter {
  waiter(limiter& gate, priority importance, std::vector<int>& order, std::mutex& mutex, int name,
         std::chrono::nanoseconds at_most = 1h)
      : thread{std::in_place, [this, &gate, importance, &order, &mutex, name, at_most] {
                 looks_of_this_thread = &looks;
                 auto got = gate.acquire(importance, at_most);
                 if (got) {
                   {
                     const std::lock_guard lock{mutex};
                     order.push_back(name);
                   }
                   got->succeeded();
                 } else {
                   refusal = got.error();
                 }
               }} {}

  /// How it was refused, when its thread has ended.
  std::optional<limit_refusal> end() {
    thread.reset();
    return refusal;
  }

  std::atomic<int> looks{0};
  std::optional<limit_refusal> refusal{};
  std::optional<joining_thread> thread;
};

void until(const auto& what) {
  while (!what()) std::this_thread::yield();
}

std::uint32_t waiting(const limiter& gate) {
  const auto stats = gate.stats();
  return stats.waiting[0] + stats.waiting[1] + stats.waiting[2];
}

// Until `last`, the latest of `count`, stands in the queue.
void until_waiting(const limiter& gate, std::uint32_t count, const waiter& last) {
  until([&] { return waiting(gate) == count; });
  const int seen = last.looks;
  until([&] { return last.looks > seen; });
}

}  // namespace

TEST_CASE("concurrency_limiter's queue: first come, first served, critical calls first",
          "[limit][concurrency_limiter][queue]") {
  limiter gate{{.limit = 1}, patient};
  std::vector<int> order;
  std::mutex mutex;
  auto held = gate.try_acquire();
  {
    std::vector<std::unique_ptr<waiter>> waiters;
    const std::array<priority, 6> each{priority::sheddable, priority::normal,    priority::critical,
                                       priority::normal,    priority::sheddable, priority::critical};
    for (std::size_t i = 0; i < each.size(); ++i) {
      waiters.push_back(std::make_unique<waiter>(gate, each[i], order, mutex, static_cast<int>(i)));
      until_waiting(gate, static_cast<std::uint32_t>(i) + 1, *waiters.back());
    }
    CHECK_FALSE(static_cast<bool>(gate.try_acquire()));
    held.ignored();
  }
  CHECK(order == std::vector<int>{2, 5, 1, 3, 0, 4});
  CHECK(gate.in_flight() == 0U);
  CHECK(waiting(gate) == 0U);
}

TEST_CASE("concurrency_limiter's queue: a call waits as long as it is to", "[limit][concurrency_limiter][queue]") {
  limiter gate{{.limit = 1}, patient};
  const auto held = gate.try_acquire();
  for (int i = 0; i < 200; ++i) {  // the places come back
    REQUIRE(gate.acquire(1us).error() == limit_refusal::timeout);
  }
  CHECK(gate.acquire(0ns).error() == limit_refusal::timeout);
  CHECK(gate.acquire(-1ns).error() == limit_refusal::timeout);
  CHECK(waiting(gate) == 0U);
}

TEST_CASE("concurrency_limiter's queue: little patience when it has not been empty lately",
          "[limit][concurrency_limiter][queue]") {
  limiter gate{{.limit = 1}, {.queue = 8, .interval = 1h, .target = 1us}};
  std::vector<int> order;
  std::mutex mutex;
  auto held = gate.try_acquire();
  {
    waiter first{gate, priority::critical, order, mutex, 1};  // finds it empty: waits for an hour if need be
    until_waiting(gate, 1, first);
    // By the clock of these, that was more than an hour ago.
    CHECK(gate.acquire(1h, steady::now() + 61min).error() == limit_refusal::timeout);
    CHECK(gate.acquire(priority::sheddable, 1h, steady::now() + 62min).error() == limit_refusal::timeout);
    waiter second{gate, priority::critical, order, mutex, 2};  // within the hour
    until_waiting(gate, 2, second);
    held.succeeded();
  }
  CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("concurrency_limiter's queue: when it is full, the least important goes",
          "[limit][concurrency_limiter][queue]") {
  limiter gate{{.limit = 1}, {.queue = 2, .interval = 1h, .target = 1h}};
  std::vector<int> order;
  std::mutex mutex;
  auto held = gate.try_acquire();
  std::optional<limit_refusal> end_of_low;
  {
    auto low = std::make_unique<waiter>(gate, priority::sheddable, order, mutex, 1);
    until_waiting(gate, 1, *low);
    waiter middle{gate, priority::normal, order, mutex, 2};
    until_waiting(gate, 2, middle);
    CHECK(gate.acquire(priority::sheddable, 1h).error() == limit_refusal::queue_full);
    CHECK(gate.acquire(priority::normal, 1us).error() == limit_refusal::timeout);  // has taken the place of the low one
    waiter high{gate, priority::critical, order, mutex, 3};
    until_waiting(gate, 2, high);
    end_of_low = low->end();
    CHECK(gate.stats().waiting[2] == 0U);
    held.ignored();
    until([&] {
      const std::lock_guard lock{mutex};
      return order.size() == 2;
    });
    until([&] { return waiting(gate) == 0; });
  }
  CHECK(order == std::vector<int>{3, 2});
  CHECK(end_of_low == limit_refusal::displaced);
}

TEST_CASE("concurrency_limiter's queue: a raised limit lets in who waits", "[limit][concurrency_limiter][queue]") {
  limiter gate{{.limit = 1}, patient};
  std::vector<int> order;
  std::mutex mutex;
  const auto held = gate.try_acquire();
  {
    waiter one{gate, priority::critical, order, mutex, 1};
    waiter two{gate, priority::normal, order, mutex, 2};
    until_waiting(gate, 2, two);
    gate.set_limit(3);
  }
  CHECK(order.size() == 2U);
}

namespace {

// A limit that changes without anybody being told: so it looks to those who wait when a thread stops before it has let
// them in.
struct silent {
  struct options {
    std::atomic<std::uint32_t>* limit = nullptr;
  };
  explicit silent(const options& o) : limit_{o.limit} {}
  [[nodiscard]] std::uint64_t initial() const noexcept { return 0; }
  [[nodiscard]] std::uint64_t next(std::uint64_t word, const banyan::limit_sample&) const noexcept { return word; }
  [[nodiscard]] std::uint32_t limit(std::uint64_t) const noexcept { return limit_->load(); }
  std::atomic<std::uint32_t>* limit_;
};

}  // namespace

TEST_CASE("concurrency_limiter's queue: those who wait look again by themselves",
          "[limit][concurrency_limiter][queue]") {
  std::atomic<std::uint32_t> limit{1};
  concurrency_limiter<silent> gate{{&limit}, patient};
  const auto held = gate.try_acquire();
  std::atomic<int> entered{0};
  std::vector<joining_thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      const auto got = gate.acquire(1h);
      entered.fetch_add(1);
      until([&] { return entered == 2; });
    });
  }
  until([&] { return gate.stats().waiting[0] == 2; });
  limit = 3;
  until([&] { return entered == 2; });
  CHECK(entered == 2);
}

TEST_CASE("concurrency_limiter's queue: nobody is lost, nobody let in twice, whatever happens at once",
          "[limit][concurrency_limiter][queue]") {
  limiter gate{{.limit = 2}, {.queue = 3, .interval = 2ms, .target = 20us}};
  std::atomic<std::uint32_t> inside{0};
  std::atomic<std::uint32_t> most{0};
  std::array<std::atomic<std::uint64_t>, 5> ends{};
  {
    std::vector<joining_thread> threads;
    for (std::size_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        random_source random{banyan::testing::derived_seed("queue", t)};
        for (int i = 0; i < 1500; ++i) {
          auto got = gate.acquire(static_cast<priority>(random.below(3)), std::chrono::microseconds{random.below(300)});
          if (!got) {
            ends[static_cast<std::size_t>(got.error())].fetch_add(1);
            continue;
          }
          ends[4].fetch_add(1);
          const std::uint32_t now = inside.fetch_add(1) + 1;
          std::uint32_t seen = most.load();
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          if (random.chance(1, 4)) std::this_thread::yield();
          inside.fetch_sub(1);
          got->succeeded();
        }
      });
    }
  }
  CAPTURE(ends[0].load(), ends[1].load(), ends[2].load(), ends[3].load(), ends[4].load());
  CHECK(most <= 2U);
  CHECK(ends[0] == 0U);
  CHECK(ends[4] > 0U);
  CHECK(gate.in_flight() == 0U);
  CHECK(waiting(gate) == 0U);
}

TEST_CASE("concurrency_limiter's queue: threads that stop strand nobody", "[limit][concurrency_limiter][queue]") {
  using banyan::testing::stop_mode;
  for (const stop_mode mode : {stop_mode::one, stop_mode::several, stop_mode::one_throughout}) {
    limiter gate{{.limit = 2}, {.window = 1ns, .min_calls = 1, .queue = 3, .interval = 1ms, .target = 10us}};
    const auto result = banyan::testing::stop_a_thread(
        {.workers = 5, .mode = mode, .rounds = 60, .at_most = std::chrono::milliseconds{500}, .operations = 4},
        [&](std::size_t worker) {
          auto got = gate.acquire(static_cast<priority>(worker % 3), 2ms);
          if (got) got->succeeded();
        });
    INFO(result.describe());
    CHECK(result.passed());
    CHECK(gate.in_flight() == 0U);
    CHECK(waiting(gate) == 0U);
  }
}
