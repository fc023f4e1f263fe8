#include <banyan/pool/connection_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pool/stub.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using banyan::close_cause;
using banyan::lease;
using banyan::pool_errc;
using banyan::testing::bench;
using banyan::testing::by_hand;
using banyan::testing::comes_true;
using banyan::testing::held_tasks;
using banyan::testing::joining_thread;
using banyan::testing::stub;
using namespace std::chrono_literals;

struct aging_clock;
using room = bench<aging_clock>;

// Steps of one minute, with maintenance; `each` is asked after each.
template <class F>
void for_minutes(room& r, int minutes, F each) {
  for (int i = 0; i < minutes; ++i) {
    room::clock::advance(1min);
    r.pool->maintain();
    each();
  }
}

}  // namespace

TEST_CASE("pool aging: idle for too long, down to min", "[pool]") {
  auto o = by_hand(2, 6);
  o.max_lifetime = 0s;
  room r{std::move(o)};
  { const auto all = r.borrow(6); }
  room::clock::advance(10min - 1s);
  r.pool->maintain();
  CHECK(r.people.alive == 6);
  room::clock::advance(1s);
  r.pool->maintain();
  CHECK(r.people.alive == 2);
  CHECK(r.pool->stats().closed_for(close_cause::idle) == 4);
  for_minutes(r, 30, [&] { CHECK(r.people.alive == 2); });
  CHECK(r.people.made == 6);
}

TEST_CASE("pool aging: those in use do not age, and 0 switches off", "[pool]") {
  auto o = by_hand(0, 4);
  o.idle_timeout = 0s;
  o.max_lifetime = 0s;
  room r{o};
  { const auto all = r.borrow(4); }
  room::clock::advance(24h);
  r.pool->maintain();
  CHECK(r.people.alive == 4);
  o.idle_timeout = 1min;
  room q{o};
  auto held = q.borrow(4);
  held.pop_back();
  room::clock::advance(1h);
  q.pool->maintain();
  CHECK(q.people.alive == 3);
  held.clear();
  q.pool->maintain();
  CHECK(q.people.alive == 3);  // used just now
}

TEST_CASE("pool aging: lifetimes are drawn, and retirement does not dip below min at once", "[pool]") {
  for (const bool full : {false, true}) {
    auto o = by_hand(20, full ? 20 : 30);
    o.idle_timeout = 0s;
    o.jitter = 0.5;
    room r{std::move(o)};
    r.pool->maintain();
    REQUIRE(r.people.alive == 20);
    int least = 20;
    int most_in_a_minute = 0;
    int before = 20;
    for_minutes(r, 90, [&] {
      least = std::min(least, r.people.alive.load());
      most_in_a_minute = std::max(most_in_a_minute, r.people.made - before);
      before = r.people.made;
    });
    CHECK(r.people.made >= 20 + 60);
    CHECK(r.people.made <= 20 + 140);
    CHECK(least >= (full ? 19 : 20));
    CHECK(most_in_a_minute <= 10);  // spread, not all twenty in the thirtieth
    CHECK(r.people.most <= (full ? 20 : 30));
    CHECK(r.pool->stats().closed_for(close_cause::expired) + static_cast<std::uint64_t>(r.people.alive) ==
          static_cast<std::uint64_t>(r.people.made));
  }
}

TEST_CASE("pool aging: all at their end at once are replaced one by one", "[pool]") {
  auto o = by_hand(5, 5);
  o.idle_timeout = 0s;
  o.jitter = 0;
  room r{std::move(o)};
  r.pool->maintain();
  room::clock::advance(30min);
  for (int i = 1; i <= 5; ++i) {
    r.pool->maintain();
    CHECK(r.people.alive >= 4);
    CHECK(r.people.made == 5 + i);
  }
  r.pool->maintain();
  CHECK(r.people.alive == 5);
  CHECK(r.people.made == 10);
}

TEST_CASE("pool aging: the next one is retired when the one before has been replaced", "[pool]") {
  held_tasks tasks;
  auto o = by_hand(5, 5);
  o.idle_timeout = 0s;
  o.jitter = 0;
  o.executor = std::ref(tasks);
  room r{std::move(o)};
  tasks.run();
  REQUIRE(r.people.alive == 5);
  room::clock::advance(30min);
  for (int i = 0; i < 3; ++i) {
    r.pool->maintain();
    CHECK(r.people.alive == 4);
  }
  tasks.run();
  CHECK(r.people.alive == 5);
  r.pool->maintain();
  CHECK(r.people.alive == 4);
  tasks.run();
  CHECK(r.people.made == 7);
}

TEST_CASE("pool aging: given back after its time it is closed, if enough stay", "[pool]") {
  auto o = by_hand(0, 2);
  o.jitter = 0;
  room r{std::move(o)};
  auto held = r.borrow(1);
  room::clock::advance(30min);
  held.clear();
  CHECK(r.people.alive == 0);
  CHECK(r.pool->stats().closed_for(close_cause::expired) == 1);
}

TEST_CASE("pool aging: validated in the background", "[pool]") {
  int asked = 0;
  bool works = true;
  auto o = by_hand(2, 2);
  o.idle_timeout = 0s;
  o.max_lifetime = 0s;
  o.jitter = 0;
  o.validate = [&](stub&) {
    ++asked;
    if (!works) throw 1;
    return true;
  };
  room r{std::move(o)};
  r.pool->maintain();
  room::clock::advance(2min - 1s);
  r.pool->maintain();
  CHECK(asked == 0);
  room::clock::advance(1s);
  r.pool->maintain();
  CHECK(asked == 2);
  r.pool->maintain();
  CHECK(asked == 2);
  works = false;
  room::clock::advance(2min);
  r.pool->maintain();
  CHECK(asked == 4);
  CHECK(r.pool->stats().closed_for(close_cause::invalid) == 2);
  CHECK(r.people.alive == 2);  // new ones, since the pool is to have two
  CHECK(r.people.made == 4);
}

TEST_CASE("pool aging: a leak is told once, with its tag", "[pool]") {
  std::vector<std::string> told;
  auto o = by_hand(0, 3);
  o.leak_threshold = 1min;
  o.on_leak = [&](const banyan::pool_leak& leak) {
    told.emplace_back(leak.tag == nullptr ? "none" : leak.tag);
    CHECK(leak.out >= 1min);
    throw 1;
  };
  room r{std::move(o)};
  auto a = r.pool->acquire({.tag = "report", .timeout = 0s});
  auto b = r.pool->acquire({.timeout = 0s});
  auto c = r.pool->acquire({.tag = "short", .timeout = 0s});
  room::clock::advance(59s);
  r.pool->maintain();
  (*c).release();
  CHECK(told.empty());
  for_minutes(r, 3, [] {});
  CHECK(told == std::vector<std::string>{"report", "none"});
  CHECK(r.pool->stats().leaks == 2);
  (*a).release();
  (*b).release();
  auto d = r.pool->acquire({.tag = "again", .timeout = 0s});  // the same connection, another lease
  for_minutes(r, 2, [] {});
  CHECK(told.size() == 3);
  CHECK(told.back() == "again");
}

TEST_CASE("pool aging: a clock set back and forward by an hour", "[pool]") {
  auto o = by_hand(1, 3);
  int leaks = 0;
  o.leak_threshold = 10min;
  o.on_leak = [&](const banyan::pool_leak&) { ++leaks; };
  o.validate = [](stub&) { return true; };
  room r{std::move(o)};
  r.pool->maintain();
  { const auto all = r.borrow(3); }
  r.pool->maintain();
  room::clock::advance(-1h);
  r.pool->maintain();
  { const auto all = r.borrow(3); }
  {
    auto held = r.borrow(1);
    int told = 0;
    (void)r.pool->acquire_async([&](const room::result&) { ++told; });
    r.pool->maintain();
    CHECK(leaks == 0);
    CHECK(told == 1);
  }
  r.pool->maintain();
  CHECK(r.people.alive == 3);
  CHECK(r.people.made == 3);
  CHECK(r.pool->stats().timeouts == 0);

  // A request and a failure before the clock goes back hold up nothing either.
  {
    auto held = r.borrow(3);
    REQUIRE(held.size() == 3);
    held[0].discard();
    r.fails = true;
    CHECK_FALSE(r.pool->acquire({.timeout = 0s}));
    room::clock::advance(-1h);
    r.fails = false;
    CHECK(r.pool->acquire({.timeout = 0s}));
  }
  room::clock::advance(2h);
  r.pool->maintain();
  CHECK(leaks == 0);
  CHECK(r.borrow(3).size() == 3);
  CHECK(r.people.most <= 3);
}

TEST_CASE("pool aging: suspended, nobody is served and nothing is opened", "[pool]") {
  room r{by_hand(0, 4)};
  { const auto all = r.borrow(2); }
  auto out = r.borrow(1);
  r.pool->suspend();
  CHECK(r.pool->try_acquire().error() == pool_errc::suspended);
  CHECK(r.pool->acquire({.timeout = 1ms}).error() == pool_errc::timeout);
  int served = 0;
  std::vector<lease<stub>> kept;
  for (int i = 0; i < 3; ++i) {
    (void)r.pool->acquire_async([&](room::result got) {
      ++served;
      kept.push_back(std::move(*got));
    });
  }
  out.clear();
  r.pool->maintain();
  CHECK(served == 0);
  CHECK(r.people.made == 2);
  r.pool->resume();
  CHECK(served == 2);
  r.pool->maintain();
  CHECK(served == 3);
  CHECK(r.people.made == 3);
}

TEST_CASE("pool aging: resize, with twenty out at once", "[pool]") {
  room r{by_hand(0, 20)};
  auto all = r.borrow(20);
  REQUIRE(all.size() == 20);
  r.pool->resize(0, 5);
  CHECK(r.people.alive == 20);
  CHECK_FALSE(r.pool->acquire({.timeout = 0s}));
  for (int i = 0; i < 15; ++i) all.pop_back();
  CHECK(r.people.alive == 5);
  CHECK(r.pool->stats().closed_for(close_cause::surplus) == 15);
  all.clear();
  CHECK(r.people.alive == 5);
  r.pool->resize(0, 2);  // idle ones go at once
  CHECK(r.people.alive == 2);
  r.pool->resize(7, 30);
  r.pool->maintain();
  CHECK(r.people.alive == 7);
  CHECK(r.borrow(40).size() == 30);
  CHECK(r.people.most == 30);
}

TEST_CASE("pool aging: maintenance by the executor, noticed by whoever comes", "[pool]") {
  held_tasks tasks;
  auto o = by_hand(1, 3);
  o.maintenance = banyan::pool_maintenance::executor;
  o.executor = std::ref(tasks);
  room r{std::move(o)};
  tasks.run();
  CHECK(r.people.alive == 1);
  std::vector<lease<stub>> kept;
  for (int i = 0; i < 3; ++i) {
    (void)r.pool->acquire_async([&](room::result got) { kept.push_back(std::move(*got)); });
  }
  tasks.run();
  CHECK(kept.size() == 3);
  kept.clear();
  tasks.run();
  room::clock::advance(11min);
  (void)r.pool->try_acquire();
  { const auto got = r.pool->acquire(); }
  CHECK(tasks.size() == 1);
  tasks.run();
  CHECK(r.people.alive == 1);
  room::clock::advance(-2h);  // a clock that was set back does not put it off
  { const auto got = r.pool->acquire(); }
  CHECK(tasks.size() == 1);
  tasks.run();
}

TEST_CASE("pool aging: maintenance by the housekeeper", "[pool]") {
  auto o = by_hand(3, 5);
  o.maintenance = banyan::pool_maintenance::housekeeper;
  o.maintenance_interval = 1ms;
  room r{std::move(o)};
  CHECK(comes_true([&] { return r.people.alive == 3; }));
  {
    auto all = r.borrow(3);
    for (auto& each : all) each.discard();
  }
  CHECK(comes_true([&] { return r.pool->stats().idle == 3; }));
  std::vector<lease<stub>> kept;
  for (int i = 0; i < 5; ++i) {
    auto got = r.pool->acquire();
    CHECK(got);
    if (got) kept.push_back(std::move(*got));
  }
  std::atomic<int> timed_out{0};
  (void)r.pool->acquire_async([&](const room::result& got) { timed_out += !got; }, {.timeout = 1s});
  room::clock::advance(1s);
  CHECK(comes_true([&] { return timed_out == 1; }));
  kept.clear();
  room::clock::advance(11min);
  CHECK(comes_true([&] { return r.people.alive == 3; }));
}

TEST_CASE("pool aging: two who maintain at once do it once", "[pool]") {
  auto o = by_hand(1, 5);
  room* again = nullptr;
  int calls = 0;
  o.max_lifetime = 0s;
  o.keepalive = 1min;
  o.validate = [&](stub&) {
    ++calls;
    if (again != nullptr) (void)again->pool->maintain();  // from within
    return true;
  };
  room r{std::move(o)};
  r.pool->maintain();
  again = &r;
  room::clock::advance(5min);
  r.pool->maintain();
  CHECK(calls == 1);
}
