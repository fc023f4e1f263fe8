#include <banyan/pool/connection_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "pool/stub.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using banyan::lease;
using banyan::pool_errc;
using banyan::testing::bench;
using banyan::testing::by_hand;
using banyan::testing::comes_true;
using banyan::testing::coroutine;
using banyan::testing::held_tasks;
using banyan::testing::joining_thread;
using banyan::testing::stub;
using namespace std::chrono_literals;

struct waiting;
using room = bench<waiting>;
using answer = room::result;

// What a coroutine or callback was told, and in which order.
struct journal {
  std::vector<int> served{};
  std::vector<lease<stub>> kept{};
  std::vector<pool_errc> refused{};

  void note(int who, answer&& got) {
    if (got) {
      served.push_back(who);
      kept.push_back(std::move(*got));
    } else {
      refused.push_back(got.error().code());
    }
  }
};

coroutine wait_as_coroutine(room& r, journal& j, int who, banyan::acquire_request how = {}) {
  j.note(who, co_await r.pool->acquire_awaitable(how));
}

}  // namespace

TEST_CASE("pool waiting: threads, callbacks and coroutines are served in the order they came", "[pool]") {
  room r{by_hand(0, 1)};
  auto held = r.borrow(1);
  REQUIRE(held.size() == 1);

  std::vector<int> order;  // written by whoever has the one connection
  std::vector<coroutine> coroutines;
  std::vector<joining_thread> threads;
  const auto served = [&order](int who, answer got) {
    if (got) order.push_back(who);
  };
  auto as_coroutine = [&](int who) -> coroutine { served(who, co_await r.pool->acquire_awaitable()); };
  int who = 0;
  for (int round = 0; round < 3; ++round) {
    const auto now_waiting = [&] { return r.pool->stats().waiting; };
    threads.emplace_back([&, who] { served(who, r.pool->acquire({.timeout = 60s})); });
    REQUIRE(comes_true([&] { return now_waiting() == static_cast<std::size_t>(who) + 1; }));
    ++who;
    (void)r.pool->acquire_async([&, who](answer got) { served(who, std::move(got)); });
    REQUIRE(now_waiting() == static_cast<std::size_t>(who) + 1);
    ++who;
    coroutines.push_back(as_coroutine(who));
    REQUIRE(now_waiting() == static_cast<std::size_t>(who) + 1);
    ++who;
  }
  held.clear();
  threads.clear();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(r.pool->stats().waiting == 0);
  CHECK(r.people.made == 1);
}

TEST_CASE("pool waiting: four thousand hand-overs, each to a thread that sleeps", "[pool]") {
  // A thread looks by itself from time to time; without being woken this would take a quarter of an hour.
  room r{by_hand(0, 1)};
  std::atomic<int> turns{0};
  const auto play = [&] {
    while (turns < 4'000) {
      auto got = r.pool->acquire({.timeout = 60s});
      if (!got) return;
      ++turns;
      while (r.pool->stats().waiting == 0 && turns < 4'000) std::this_thread::yield();
    }
  };
  {
    const joining_thread a{play};
    const joining_thread b{play};
  }
  CHECK(turns >= 4'000);
  CHECK(r.pool->stats().timeouts == 0);
}

TEST_CASE("pool waiting: who comes later takes nothing from those who wait, unless barging", "[pool]") {
  for (const bool barging : {false, true}) {
    auto o = by_hand(0, 1);
    o.fairness = barging ? banyan::pool_fairness::barging : banyan::pool_fairness::fifo;
    held_tasks tasks;
    room r{std::move(o)};
    auto held = r.borrow(1);
    journal j;
    (void)r.pool->acquire_async([&](answer got) { j.note(1, std::move(got)); });
    CHECK_FALSE(r.pool->try_acquire());
    r.pool->suspend();  // so that there is an idle one while somebody waits
    held.clear();
    CHECK(j.served.empty());
    CHECK(r.pool->try_acquire().error() == pool_errc::suspended);
    r.pool->resume();
    CHECK(j.served.size() == 1);
  }
}

TEST_CASE("pool waiting: a timeout leaves the line, and costs nobody else anything", "[pool]") {
  room r{by_hand(0, 1)};
  auto held = r.borrow(1);
  CHECK(r.pool->acquire({.timeout = 0s}).error() == pool_errc::timeout);
  CHECK(r.pool->acquire({.timeout = 2ms}).error() == pool_errc::timeout);
  journal j;
  (void)r.pool->acquire_async([&](answer got) { j.note(1, std::move(got)); }, {.timeout = 1s});
  (void)r.pool->acquire_async([&](answer got) { j.note(2, std::move(got)); }, {.timeout = 3s});
  auto third = wait_as_coroutine(r, j, 3, {.timeout = 2s});
  CHECK(r.pool->stats().waiting == 3);
  r.pool->maintain();
  CHECK(j.refused.empty());
  room::clock::advance(2s);
  r.pool->maintain();
  CHECK(j.refused == std::vector<pool_errc>{pool_errc::timeout, pool_errc::timeout});
  CHECK(third.done());
  held.clear();
  CHECK(j.served == std::vector<int>{2});
  const auto s = r.pool->stats();
  CHECK(s.timeouts == 4);
  CHECK(s.waiting == 0);
}

TEST_CASE("pool waiting: maintenance tells when the next one times out", "[pool]") {
  auto o = by_hand(0, 1);
  o.maintenance_interval = 10s;
  room r{std::move(o)};
  auto held = r.borrow(1);
  journal j;
  (void)r.pool->acquire_async([&](answer got) { j.note(1, std::move(got)); }, {.timeout = 3s});
  CHECK(r.pool->maintain() == room::clock::now() + 3s);
  room::clock::advance(3s);
  CHECK(r.pool->maintain() == room::clock::now() + 10s);
  CHECK(j.refused.size() == 1);
}

TEST_CASE("pool waiting: a thread in the place of an earlier callback is not taken for it", "[pool]") {
  room r{by_hand(0, 1)};
  auto held = r.borrow(1);
  // Callbacks come and go, in all the places that are given out again.
  for (int i = 0; i < 8; ++i) {
    auto pending = r.pool->acquire_async([](answer) {}, {.timeout = 1s});
    REQUIRE(pending.cancel());
  }
  room::clock::advance(1min);  // so late that these would have timed out
  std::atomic<int> told{0};
  std::vector<joining_thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      if (r.pool->acquire({.timeout = 60s})) ++told;
    });
  }
  REQUIRE(comes_true([&] { return r.pool->stats().waiting == 4; }));
  r.pool->maintain();
  CHECK(r.pool->stats().waiting == 4);
  CHECK(r.pool->stats().timeouts == 0);
  held.clear();
  threads.clear();
  CHECK(told == 4);
}

TEST_CASE("pool waiting: cancelling", "[pool]") {
  room r{by_hand(0, 1)};
  auto held = r.borrow(1);
  journal j;
  auto first = r.pool->acquire_async([&](answer got) { j.note(1, std::move(got)); });
  auto second = r.pool->acquire_async([&](answer got) { j.note(2, std::move(got)); });
  CHECK(first.cancel());
  CHECK_FALSE(first.cancel());
  CHECK(j.refused == std::vector<pool_errc>{pool_errc::cancelled});
  held.clear();
  CHECK(j.served == std::vector<int>{2});
  CHECK_FALSE(second.cancel());
  CHECK_FALSE(banyan::pending_acquire<stub>{}.cancel());
  CHECK(r.pool->stats().cancelled == 1);
}

TEST_CASE("pool waiting: a coroutine destroyed while it waits, or when it was just served", "[pool]") {
  for (const bool served : {false, true}) {
    held_tasks tasks;
    auto o = by_hand(0, 1);
    o.executor = std::ref(tasks);
    room r{std::move(o)};
    journal j;
    std::optional<lease<stub>> held;
    (void)r.pool->acquire_async([&](answer got) { held = std::move(*got); });
    tasks.run();
    REQUIRE(held);
    auto first = wait_as_coroutine(r, j, 1);
    auto second = wait_as_coroutine(r, j, 2);
    if (served) held.reset();  // on its way to the first, on the executor
    first.destroy();
    held.reset();
    tasks.run();
    CHECK(j.served == std::vector<int>{2});
    j.kept.clear();
    CHECK(r.pool->try_acquire());
    CHECK(r.people.made == 1);
  }
}

TEST_CASE("pool waiting: an awaitable that nobody awaits", "[pool]") {
  room r{by_hand(0, 1)};
  { auto unused = r.pool->acquire_awaitable(); }
  CHECK(r.pool->stats().waiting == 0);
  CHECK(r.borrow(1).size() == 1);
}

TEST_CASE("pool waiting: no more than max_waiting", "[pool]") {
  for (const bool executor : {false, true}) {
    held_tasks tasks;
    auto o = by_hand(0, 1);
    o.max_waiting = 3;
    if (executor) o.executor = std::ref(tasks);
    room r{std::move(o)};
    std::optional<lease<stub>> held;
    (void)r.pool->acquire_async([&](answer got) { held = std::move(*got); });
    r.pool->maintain();
    tasks.run();
    REQUIRE(held);
    journal j;
    for (int i = 0; i < 5; ++i) (void)r.pool->acquire_async([&, i](answer got) { j.note(i, std::move(got)); });
    if (executor) {
      CHECK(j.refused.empty());  // told by the executor, as everything
      tasks.run();
    }
    CHECK(j.refused == std::vector<pool_errc>(2, pool_errc::too_many_waiting));
    CHECK(r.pool->stats().waiting == 3);
    CHECK(r.pool->acquire({.timeout = 1ms}).error() == pool_errc::too_many_waiting);
    held.reset();
    tasks.run();
    CHECK(j.served == std::vector<int>{0});
    (void)r.pool->acquire_async([&](answer got) { j.note(7, std::move(got)); });  // there is room again
    tasks.run();
    CHECK(r.pool->stats().waiting == 3);
    CHECK(j.refused.size() == 2);
    while (!j.kept.empty()) {
      auto next = std::move(j.kept);
      j.kept.clear();
      next.clear();
      tasks.run();
    }
    CHECK(j.served == std::vector<int>{0, 1, 2, 7});
  }
}

TEST_CASE("pool waiting: ten thousand callbacks that give back at once, on the thread that serves them", "[pool]") {
  for (const bool inline_executor : {false, true}) {
    auto o = by_hand(0, 1);
    if (inline_executor) o.executor = banyan::inline_executor{};
    room r{std::move(o)};
    std::vector<lease<stub>> held = r.borrow(1);
    REQUIRE(held.size() == 1);
    int served = 0;
    int next = 0;
    bool in_order = true;
    for (int i = 0; i < 10'000; ++i) {
      (void)r.pool->acquire_async([&, i](answer got) {
        if (got) ++served;
        in_order = in_order && i == next++;
      });
    }
    held.clear();
    CHECK(served == 10'000);
    CHECK(in_order);
    CHECK(r.people.made == 1);
  }
}

TEST_CASE("pool waiting: a coroutine that borrows ten thousand times stands on no stack", "[pool]") {
  room r{by_hand(1, 1)};
  r.pool->maintain();
  int served = 0;
  auto loop = [&]() -> coroutine {
    for (int i = 0; i < 10'000; ++i) {
      auto got = co_await r.pool->acquire_awaitable();
      if (got) ++served;
    }
  };
  const coroutine running = loop();
  CHECK(running.done());
  CHECK(served == 10'000);
}

TEST_CASE("pool waiting: sixty thousand callbacks of an executor that drops or refuses them", "[pool]") {
  for (const bool throwing : {false, true}) {
    held_tasks tasks;
    auto o = by_hand(0, 2);
    o.executor = std::ref(tasks);
    room r{std::move(o)};
    std::optional<lease<stub>> held;
    (void)r.pool->acquire_async([&](answer got) { held = std::move(*got); });
    tasks.run();
    REQUIRE(held);
    int called = 0;
    const auto alive = std::make_shared<int>(0);
    for (int i = 0; i < 60'000; ++i) {
      (void)r.pool->acquire_async([&called, alive](const answer&) { ++called; });
    }
    (throwing ? tasks.refusing : tasks.dropping) = true;
    held.reset();
    CHECK(called == 0);
    CHECK(alive.use_count() == 1);
    CHECK(r.pool->stats().waiting == 0);
    CHECK(r.pool->try_acquire());
    CHECK(r.people.made == 1);
  }
}

TEST_CASE("pool waiting: dropped after they were queued", "[pool]") {
  held_tasks tasks;
  auto o = by_hand(0, 2);
  o.executor = std::ref(tasks);
  room r{std::move(o)};
  (void)r.pool->acquire_async([](answer) {});
  (void)r.pool->acquire_async([](answer) {});
  CHECK(r.pool->stats().opening > 0);
  tasks.drop();  // those that were to open
  CHECK(r.pool->stats().opening == 0);
  r.pool->maintain();
  while (r.people.made < 2 && tasks.run_one()) {
  }
  tasks.drop();  // those that bring the answers
  CHECK(r.pool->stats().waiting == 0);
  auto a = r.pool->try_acquire();
  auto b = r.pool->try_acquire();
  CHECK(a);
  CHECK(b);
}

TEST_CASE("pool waiting: callbacks that throw, or that cannot be moved, lose nothing", "[pool]") {
  room r{by_hand(1, 1)};
  r.pool->maintain();
  (void)r.pool->acquire_async([](answer got) {
    if (got) throw 1;
  });
  CHECK(r.pool->try_acquire());

  struct stubborn {
    stubborn() = default;
    stubborn(const stubborn&) { throw 2; }
    void operator()(const answer&) {}
  };
  const stubborn s;
  CHECK_THROWS_AS(r.pool->acquire_async(s), int);
  CHECK(r.pool->try_acquire());
  CHECK(r.pool->stats().waiting == 0);
}

TEST_CASE("pool waiting: cancelled while what it was given proves useless", "[pool]") {
  // The first connection is dead, so who was given it stands in line again, while another thread cancels.
  banyan::pool_options<stub> o = by_hand(0, 1);
  o.validate_after = 0s;
  std::atomic<bool> works{true};
  o.validate = [&](stub&) { return works.load(); };
  for (int i = 0; i < 200; ++i) {
    room r{o};
    auto held = r.borrow(1);
    REQUIRE(held.size() == 1);
    works = false;
    std::atomic<int> told{0};
    auto pending = r.pool->acquire_async([&](const answer&) { ++told; });
    std::atomic<bool> go{false};
    {
      const joining_thread other{[&] {
        while (!go) std::this_thread::yield();
        while (!pending.cancel() && told == 0) std::this_thread::yield();
      }};
      go = true;
      held.clear();
    }
    works = true;
    CHECK(told == 1);
    CHECK(r.pool->stats().waiting == 0);
    CHECK(r.borrow(1).size() == 1);
  }
}
