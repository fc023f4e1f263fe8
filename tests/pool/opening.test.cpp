#include <banyan/pool/connection_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/core/expected.hpp>

#include "pool/stub.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using banyan::connection_pool;
using banyan::expected;
using banyan::lease;
using banyan::pool_errc;
using banyan::pool_options;
using banyan::testing::bench;
using banyan::testing::by_hand;
using banyan::testing::census;
using banyan::testing::comes_true;
using banyan::testing::held_tasks;
using banyan::testing::joining_thread;
using banyan::testing::stub;
using namespace std::chrono_literals;

struct opening_clock;
using room = bench<opening_clock>;

std::string told_by(const std::exception_ptr& e) {
  if (e == nullptr) return "";
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& what) {
    return what.what();
  }
}

}  // namespace

TEST_CASE("pool opening: up to min at the start, no more than are waited for", "[pool]") {
  room r{by_hand(3, 10)};
  CHECK(r.calls == 0);
  r.pool->maintain();
  CHECK(r.people.alive == 3);
  r.pool->maintain();
  CHECK(r.people.alive == 3);
  auto held = r.borrow(4);
  CHECK(held.size() == 4);
  CHECK(r.people.alive == 4);
  held.clear();
  CHECK(r.people.alive == 4);
}

TEST_CASE("pool opening: factories that give nothing, an error, or throw", "[pool]") {
  census people;
  int what = 0;
  const auto probe = [&](auto factory) {
    auto o = by_hand(0, 1);
    o.fail_fast = true;
    connection_pool<stub> pool{factory, o};
    what = 0;
    auto got = pool.acquire();
    CHECK_FALSE(got);
    if (got) return std::string{"a lease"};
    CHECK(got.error() == pool_errc::open_failed);
    CHECK(people.alive == 0);
    CHECK(pool.stats().open_failures == 1);
    return told_by(got.error().cause());
  };
  CHECK(probe([&]() -> stub { throw std::runtime_error{"thrown"}; }) == "thrown");
  CHECK(probe([&]() -> std::optional<stub> { return std::nullopt; }).empty());
  CHECK(probe([&]() -> expected<stub, int> { return banyan::unexpected{3}; }).empty());
  CHECK(probe([&]() -> expected<stub, std::exception_ptr> {
          return banyan::unexpected{std::make_exception_ptr(std::runtime_error{"told"})};
        }) == "told");
  CHECK(probe(std::function<stub()>{}) != "");

  connection_pool<stub> pool{[&]() -> std::optional<stub> { return stub{people}; }, by_hand(0, 1)};
  CHECK(pool.acquire());
}

TEST_CASE("pool opening: fail_fast tells those who wait, else they wait on", "[pool]") {
  for (const bool fast : {false, true}) {
    held_tasks tasks;
    auto o = by_hand(0, 2);
    o.fail_fast = fast;
    o.executor = std::ref(tasks);
    room r{std::move(o)};
    r.fails = true;
    std::vector<pool_errc> told;
    std::string cause;
    int served = 0;
    for (int i = 0; i < 3; ++i) {
      (void)r.pool->acquire_async([&](room::result got) {
        if (got) {
          ++served;
        } else {
          told.push_back(got.error().code());
          cause = told_by(got.error().cause());
        }
      });
    }
    tasks.run();
    if (fast) {
      CHECK(told == std::vector<pool_errc>(3, pool_errc::open_failed));
      CHECK(cause == "refused");
    } else {
      CHECK(told.empty());
      r.fails = false;
      room::clock::advance(10s);
      r.pool->maintain();
      tasks.run();
      CHECK(served == 3);
    }
  }
}

TEST_CASE("pool opening: at most max_opening at once, and at most max alive", "[pool]") {
  held_tasks tasks;
  auto o = by_hand(0, 5);
  o.max_opening = 3;
  o.executor = std::ref(tasks);
  room r{std::move(o)};
  std::vector<lease<stub>> kept;
  for (int i = 0; i < 20; ++i) {
    (void)r.pool->acquire_async([&](room::result got) {
      if (got) kept.push_back(std::move(*got));
    });
  }
  CHECK(r.pool->stats().opening == 3);
  CHECK(tasks.size() == 3);
  tasks.run();
  CHECK(kept.size() == 5);
  CHECK(r.people.alive == 5);
  CHECK(r.pool->stats().opening == 0);
  CHECK(r.pool->stats().waiting == 15);
  auto& broken = kept.front();
  broken.discard();  // room for another
  CHECK(r.pool->stats().opening == 1);
  tasks.run();
  CHECK(kept.size() == 6);
  CHECK(r.people.most == 5);
}

TEST_CASE("pool opening: backoff that doubles, one prober, then two, then four", "[pool]") {
  held_tasks tasks;
  auto o = by_hand(0, 100);
  o.max_opening = 16;
  o.backoff_base = 100ms;
  o.backoff_cap = 1s;
  o.executor = std::ref(tasks);
  room r{std::move(o)};
  std::vector<lease<stub>> kept;
  r.fails = true;
  for (int i = 0; i < 60; ++i) {
    (void)r.pool->acquire_async([&](room::result got) {
      if (got) kept.push_back(std::move(*got));
    });
  }
  CHECK(tasks.size() == 16);  // nothing was known of the server's state
  tasks.run();
  CHECK(r.calls == 16);
  // All sixteen counted: the pause is at its cap, less up to a half.
  r.pool->maintain();
  CHECK(tasks.size() == 0);
  room::clock::advance(499ms);
  r.pool->maintain();
  CHECK(tasks.size() == 0);
  for (int i = 0; i < 5; ++i) {
    room::clock::advance(1s);
    r.pool->maintain();
    r.pool->maintain();
    CHECK(r.pool->stats().opening == 1);  // one prober
    tasks.run();
    CHECK(r.calls == 17 + i);
    r.pool->maintain();
    CHECK(tasks.size() == 0);
  }
  r.fails = false;
  room::clock::advance(1s);
  const auto next = [&] {
    r.pool->maintain();
    return r.pool->stats().opening;
  };
  std::vector<std::size_t> ramp;
  // Each task opens one after the other as long as more are wanted, so tasks are as many as are opened at once.
  ramp.push_back(next());
  REQUIRE(tasks.size() == 1);
  std::size_t most = 0;
  while (tasks.size() != 0) {
    r.pool->maintain();
    most = std::max(most, r.pool->stats().opening);
    tasks.run_one();
  }
  CHECK(ramp == std::vector<std::size_t>{1});
  CHECK(most <= 16);
  CHECK(kept.size() == 60);
  CHECK(r.people.alive == 60);
}

TEST_CASE("pool opening: the pace, step by step", "[pool]") {
  banyan::detail::opening_pace<> pace{8, 100, 1'600};
  const auto how_many = [&](std::int64_t now) {
    int count = 0;
    while (pace.try_begin(now)) ++count;
    return count;
  };
  CHECK(how_many(0) == 8);
  for (int i = 0; i < 8; ++i) pace.succeeded();
  REQUIRE(pace.try_begin(0));
  std::int64_t now = 0;
  std::int64_t pause = 100;
  for (int i = 0; i < 10; ++i) {
    // No random bits: the whole pause. All of them: a half of it.
    pace.failed(now, 0);
    CHECK(pace.not_before() == now + pause);
    CHECK_FALSE(pace.try_begin(now + pause - 1));
    CHECK_FALSE(pace.try_begin(now));
    now += pause;
    CHECK(how_many(now) == 1);
    pause = std::min<std::int64_t>(2 * pause, 1'600);
  }
  pace.failed(now, ~std::uint64_t{0});
  CHECK(pace.not_before() >= now + 800);
  CHECK(pace.not_before() <= now + 801);
  CHECK(how_many(now - 1'000'000) == 1);  // the clock was set back: not for ever
  pace.abandoned();
  now += 1'600;
  for (const int expected : {1, 2, 4, 8, 8}) {
    CHECK(how_many(now) == expected);
    CHECK(pace.opening() == static_cast<std::uint32_t>(expected));
    pace.succeeded();
    for (int i = 1; i < expected; ++i) pace.abandoned();
  }
}

TEST_CASE("pool opening: fifty at once share the few that are opened meanwhile", "[pool]") {
  // HikariCP's spike: connecting takes as long as forty-five uses of the five connections there are.
  census people;
  std::atomic<int> served{0};
  std::atomic<bool> slow{false};
  auto o = by_hand(5, 50);
  o.maintenance = banyan::pool_maintenance::housekeeper;
  connection_pool<stub> pool{[&]() -> stub {
                               while (slow && served < 45) std::this_thread::sleep_for(100us);
                               return stub{people};
                             },
                             o};
  REQUIRE(comes_true([&] { return pool.stats().idle == 5; }));
  slow = true;
  {
    std::vector<lease<stub>> all;
    for (int i = 0; i < 5; ++i) all.push_back(std::move(*pool.acquire()));
    std::vector<joining_thread> threads;
    for (int i = 0; i < 50; ++i) {
      threads.emplace_back([&] {
        auto got = pool.acquire({.timeout = 60s});
        if (got) ++served;
      });
    }
    CHECK(comes_true([&] { return pool.stats().waiting == 50; }));
    CHECK(people.alive == 5);
    all.clear();
  }
  CHECK(served == 50);
  // Two on their way, and a few for the last five.
  CHECK(people.made <= 12);
}

TEST_CASE("pool opening: while a factory hangs, others are served by what comes back", "[pool]") {
  census people;
  std::atomic<bool> hang{true};
  std::atomic<int> calls{0};
  std::atomic<int> hanging{0};
  auto o = by_hand(1, 3);
  o.maintenance = banyan::pool_maintenance::housekeeper;
  connection_pool<stub> pool{[&]() -> stub {
                               if (++calls == 1) return stub{people};
                               ++hanging;
                               while (hang) std::this_thread::sleep_for(1ms);
                               return stub{people};
                             },
                             o};
  auto first = pool.acquire();
  REQUIRE(first);
  std::atomic<int> served{0};
  {
    std::vector<joining_thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        if (pool.acquire({.timeout = 60s})) ++served;
      });
    }
    const bool begun = comes_true([&] { return hanging >= 1 && pool.stats().waiting == 4; });
    CHECK(begun);
    (*first).release();
  }
  CHECK(served == 4);
  CHECK(hanging >= 1);
  CHECK(people.alive == 1);
  hang = false;
  CHECK(pool.close(10s));
  CHECK(people.alive == 0);
}

TEST_CASE("pool opening: connections that are dead when they come", "[pool]") {
  // Each is refused when it is to be lent; the waiter stays first and has the first that works.
  auto o = by_hand(0, 2);
  o.validate_after = 0s;
  int asked = 0;
  o.validate = [&](stub&) { return ++asked > 20; };
  o.backoff_base = o.backoff_cap = 1ms;
  room r{std::move(o)};
  // What is useless when it comes counts as a failure to open: the clock goes on over the pauses.
  std::atomic<bool> done{false};
  joining_thread time{[&] {
    while (!done) {
      room::clock::advance(10ms);
      std::this_thread::sleep_for(1ms);
    }
  }};
  auto got = r.pool->acquire({.timeout = 60s});
  done = true;
  CHECK(got);
  CHECK(asked == 21);
  CHECK(r.people.alive == 1);
  CHECK(r.people.most <= 2);
}

TEST_CASE("pool opening: asking without waiting opens one at a time, in the background", "[pool]") {
  held_tasks tasks;
  auto o = by_hand(0, 4);
  o.executor = std::ref(tasks);
  room r{std::move(o)};
  CHECK(r.pool->try_acquire().error() == pool_errc::exhausted);
  CHECK(r.pool->try_acquire().error() == pool_errc::exhausted);
  CHECK(r.pool->stats().opening == 1);
  tasks.run();
  auto a = r.pool->try_acquire();
  CHECK(a);
  CHECK(r.people.alive == 1);
}
