#include <banyan/pool/connection_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "pool/stub.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"

namespace {

using banyan::close_cause;
using banyan::connection_pool;
using banyan::lease;
using banyan::pool_errc;
using banyan::testing::bench;
using banyan::testing::by_hand;
using banyan::testing::census;
using banyan::testing::comes_true;
using banyan::testing::coroutine;
using banyan::testing::held_tasks;
using banyan::testing::joining_thread;
using banyan::testing::stub;
using namespace std::chrono_literals;

struct lifetime_clock;
using room = bench<lifetime_clock>;

// Given back as the thread ends.
lease<stub>& kept_by_this_thread() {
  static thread_local lease<stub> kept;
  return kept;
}

coroutine wait_for_one(room::pool_type& pool, std::vector<pool_errc>& told) {
  auto got = co_await pool.acquire_awaitable();
  if (!got) told.push_back(got.error().code());
}

}  // namespace

TEST_CASE("pool lifetime: closing answers all who wait and closes all there are", "[pool]") {
  room r{by_hand(0, 3)};
  { const auto two = r.borrow(2); }
  auto out = r.borrow(3);
  std::vector<pool_errc> told;
  (void)r.pool->acquire_async([&](const room::result& got) { told.push_back(got.error().code()); });
  const auto waiting = wait_for_one(*r.pool, told);
  std::atomic<bool> refused{false};
  {
    const joining_thread thread{[&] {
      const auto got = r.pool->acquire({.timeout = 60s});
      refused = !got && got.error() == pool_errc::closed;
    }};
    CHECK(comes_true([&] { return r.pool->stats().waiting == 3; }));
    CHECK_FALSE(r.pool->close());
  }
  CHECK(refused);
  CHECK(told == std::vector<pool_errc>(2, pool_errc::closed));
  CHECK(waiting.done());
  CHECK(r.people.alive == 3);
  CHECK(r.pool->acquire().error() == pool_errc::closed);
  CHECK(r.pool->try_acquire().error() == pool_errc::closed);
  (void)r.pool->acquire_async([&](const room::result& got) {
    CHECK_FALSE(got);
    told.push_back(got.error().code());
  });
  CHECK(told.back() == pool_errc::closed);
  r.pool->resume();
  r.pool->resize(1, 5);
  r.pool->evict_all();
  r.pool->maintain();
  CHECK(r.people.alive == 3);
  CHECK_FALSE(r.pool->close(1ms));
  out.clear();
  CHECK(r.people.alive == 0);
  CHECK(r.pool->close());
  CHECK(r.pool->close(10s));
  const auto s = r.pool->stats();
  CHECK(s.created == s.closed_in_all());
}

TEST_CASE("pool lifetime: closing closes idle ones at once", "[pool]") {
  room r{by_hand(3, 3)};
  r.pool->maintain();
  CHECK(r.people.alive == 3);
  CHECK(r.pool->close());
  CHECK(r.people.alive == 0);
  CHECK(r.pool->stats().closed_for(close_cause::closed) == 3);
}

TEST_CASE("pool lifetime: closing waits for those that are out", "[pool]") {
  room r{by_hand(0, 2)};
  auto out = r.borrow(2);
  std::atomic<bool> done{false};
  {
    const joining_thread closer{[&] { done = r.pool->close(60s); }};
    while (r.pool->try_acquire().error() != pool_errc::closed) std::this_thread::yield();
    CHECK_FALSE(done);
    out.clear();
  }
  CHECK(done);
}

TEST_CASE("pool lifetime: closing while others borrow, again and again", "[pool]") {
  for (int i = 0; i < 100; ++i) {
    room r{by_hand(2, 3)};
    r.pool->maintain();
    std::atomic<int> ready{0};
    {
      std::vector<joining_thread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
          ++ready;
          for (int n = 0;; ++n) {
            auto got = t == 0 ? r.pool->try_acquire() : r.pool->acquire({.timeout = 10s});
            if (!got && got.error() == pool_errc::closed) return;
            if (got && n % 7 == 0) (*got).discard();
          }
        });
      }
      while (ready < 3) std::this_thread::yield();
      if (i % 2 == 0) std::this_thread::yield();
      r.pool->close();
    }
    const bool all_closed = r.pool->close(10s);
    REQUIRE(all_closed);
    REQUIRE(r.people.alive == 0);
    REQUIRE(r.people.most <= 3);
  }
}

TEST_CASE("pool lifetime: leases outlive the pool, and with the last goes the factory", "[pool]") {
  const auto kept_by_factory = std::make_shared<int>(0);
  census people;
  int returned = 0;
  int closed = 0;
  {
    lease<stub> a;
    lease<stub> b;
    {
      auto o = by_hand(0, 3);
      o.on_return = [&](stub&) { ++returned; };
      o.on_close = [&](stub&) { ++closed; };
      connection_pool<stub> pool{[&people, kept_by_factory] { return stub{people}; }, std::move(o)};
      a = std::move(*pool.acquire());
      b = std::move(*pool.acquire());
      { const auto third = pool.acquire(); }
      CHECK(people.alive == 3);
    }
    CHECK(people.alive == 2);
    a->uses = 3;
    CHECK(a->uses == 3);
    CHECK(kept_by_factory.use_count() == 2);
    a.discard();
    CHECK(people.alive == 1);
  }
  CHECK(people.alive == 0);
  CHECK(closed == 3);
  CHECK(kept_by_factory.use_count() == 1);
}

TEST_CASE("pool lifetime: requests outlive the pool", "[pool]") {
  held_tasks tasks;
  std::vector<pool_errc> told;
  std::optional<room> r;
  auto o = by_hand(0, 1);
  o.executor = std::ref(tasks);
  r.emplace(std::move(o));
  std::optional<lease<stub>> held;
  (void)r->pool->acquire_async([&](room::result got) { held = std::move(*got); });
  tasks.run();
  auto pending = r->pool->acquire_async([&](const room::result& got) { told.push_back(got.error().code()); });
  const auto waiting = wait_for_one(*r->pool, told);
  auto destroyed = wait_for_one(*r->pool, told);
  r->pool.reset();
  CHECK(told.empty());
  destroyed.destroy();
  CHECK_FALSE(pending.cancel());
  tasks.run();
  CHECK(told == std::vector<pool_errc>(2, pool_errc::closed));
  held.reset();
  CHECK(r->people.alive == 0);
}

TEST_CASE("pool lifetime: the destructor waits for the factory, and what it makes then is closed", "[pool]") {
  for (int i = 0; i < 50; ++i) {
    census people;
    std::atomic<int> inside{0};
    std::atomic<int> hooks{0};
    {
      auto o = by_hand(2, 2);
      o.maintenance = banyan::pool_maintenance::housekeeper;
      o.on_close = [&](stub&) {
        ++hooks;
        std::this_thread::sleep_for(200us);
        --hooks;
      };
      connection_pool<stub> pool{[&]() -> stub {
                                   ++inside;
                                   std::this_thread::sleep_for(1ms);
                                   --inside;
                                   return stub{people};
                                 },
                                 std::move(o)};
      if (i % 4 != 0) std::this_thread::sleep_for(std::chrono::microseconds{i % 5 * 400});
    }
    REQUIRE(inside == 0);
    REQUIRE(hooks == 0);
    REQUIRE(people.alive == 0);
  }
}

TEST_CASE("pool lifetime: destroyed by a callback of its own housekeeper", "[pool]") {
  census people;
  auto o = by_hand(0, 1);
  o.maintenance = banyan::pool_maintenance::housekeeper;
  o.acquire_timeout = 1ms;
  auto* const pool = new connection_pool<stub>{[&] { return stub{people}; }, std::move(o)};
  auto held = pool->acquire({.timeout = 60s});
  REQUIRE(held);
  std::atomic<bool> gone{false};
  (void)pool->acquire_async([&, pool](const auto&) {
    delete pool;
    gone = true;
  });
  CHECK(comes_true([&] { return gone.load(); }));
  (*held).release();
  CHECK(people.alive == 0);
}

TEST_CASE("pool lifetime: a thread that ends with a lease in its hands", "[pool]") {
  room r{by_hand(0, 1)};
  joining_thread{[&] {
    if (auto got = r.pool->acquire()) kept_by_this_thread() = std::move(*got);
  }};
  CHECK(r.pool->stats().in_use == 0);
  CHECK(r.pool->try_acquire());
  CHECK(r.people.made == 1);

  auto* forgotten = new lease<stub>;  // never given back: told as a leak, and closing says so
  joining_thread{[&] {
    if (auto got = r.pool->acquire()) *forgotten = std::move(*got);
  }};
  CHECK(r.pool->stats().in_use == 1);
  CHECK_FALSE(r.pool->close());
  delete forgotten;
  CHECK(r.pool->close());
}

TEST_CASE("pool lifetime: ten thousand short threads", "[pool]") {
  room r{by_hand(0, 3)};
  { const auto all = r.borrow(3); }
  std::atomic<int> served{0};
  for (int i = 0; i < 5'000; ++i) {
    const joining_thread a{[&] { served += r.pool->acquire({.timeout = 60s}).has_value(); }};
    const joining_thread b{[&] { served += r.pool->acquire({.timeout = 60s}).has_value(); }};
  }
  CHECK(served == 10'000);
  CHECK(r.people.made == 3);
  CHECK(r.pool->stats().idle == 3);
}

namespace {

struct immovable {
  explicit immovable(census& c) : people{&c} { people->enter(); }
  immovable(const immovable&) = delete;
  immovable& operator=(const immovable&) = delete;
  ~immovable() { people->leave(); }
  census* people;
};

struct throwing_move {
  explicit throwing_move(census& c) : people{&c} { people->enter(); }
  throwing_move(throwing_move&& other) : people{other.people} {
    if (--moves_left < 0) throw std::runtime_error{"moved"};
    people->enter();
  }
  ~throwing_move() { people->leave(); }
  census* people;
  static inline int moves_left = 0;
};

struct alignas(256) wide {
  explicit wide(census& c) : people{&c} { people->enter(); }
  wide(const wide&) = delete;
  ~wide() { people->leave(); }
  census* people;
};

template <class T>
banyan::pool_options<T> alone() {
  banyan::pool_options<T> o;
  o.min = 0;
  o.max = 2;
  o.maintenance = banyan::pool_maintenance::caller;
  return o;
}

}  // namespace

TEST_CASE("pool lifetime: connections that cannot be moved, throw when moved, or need room", "[pool]") {
  census people;
  {
    connection_pool<immovable> pool{[&]() -> immovable { return immovable{people}; }, alone<immovable>()};
    auto a = pool.acquire();
    CHECK(a);
    CHECK(people.alive == 1);
  }
  {
    connection_pool<throwing_move> pool{[&]() -> std::optional<throwing_move> {
                                          return std::optional<throwing_move>{std::in_place, people};
                                        },
                                        alone<throwing_move>()};
    throwing_move::moves_left = 0;
    auto refused = pool.acquire({.timeout = 0s});
    CHECK_FALSE(refused);
    CHECK(people.alive == 0);
    throwing_move::moves_left = 10;
    CHECK(pool.acquire({.timeout = 10s}));
  }
  {
    connection_pool<wide> pool{[&]() -> wide { return wide{people}; }, alone<wide>()};
    auto a = pool.acquire();
    auto b = pool.acquire();
    REQUIRE((a && b));
    CHECK(reinterpret_cast<std::uintptr_t>(&**a) % 256 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(&**b) % 256 == 0);
  }
  CHECK(people.alive == 0);
}

TEST_CASE("pool lifetime: the n-th allocation fails, for every n", "[pool]") {
  census people;
  bool lost = false;
  bool doubly_answered = false;
  const auto use = [&] {
    // Inline, so that everything is allocated by this thread.
    banyan::pool_options<stub> o;
    o.min = 2;
    o.max = 3;
    o.maintenance = banyan::pool_maintenance::caller;
    o.executor = banyan::inline_executor{};
    o.validate = [](stub&) { return true; };
    connection_pool<stub> pool{[&people]() -> stub {
                                 const auto some = std::make_unique<int>(1);  // the factory needs memory, too
                                 return stub{people};
                               },
                               std::move(o)};
    auto a = pool.acquire({.timeout = 60s});
    int answers = 0;
    {
      auto b = pool.try_acquire();
      auto c = pool.try_acquire();
      auto pending = pool.acquire_async([&answers](const auto&) { ++answers; });
      auto awaitable = pool.acquire_awaitable();
      if (a) (*a).discard();
    }
    (void)pool.maintain();
    auto d = pool.acquire({.timeout = 60s});
    lost = lost || !d;
    doubly_answered = doubly_answered || answers > 1;
  };
  const auto report =
      banyan::testing::for_every_failing_allocation(use, [&](std::uint64_t) { lost = lost || people.alive != 0; });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK(report.allocations > 10);
  CHECK_FALSE(lost);
  CHECK_FALSE(doubly_answered);
}

TEST_CASE("pool lifetime: the housekeeper's thread cannot be had", "[pool]") {
  census people;
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    connection_pool<stub> pool{[&people] { return stub{people}; },
                               [] {
                                 banyan::pool_options<stub> o;
                                 o.min = 0;
                                 o.max = 1;
                                 return o;
                               }()};
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("pool lifetime: nothing is kept of a callback that could not be moved in", "[pool]") {
  struct stubborn {
    stubborn() = default;
    stubborn(const stubborn&) { throw 2; }
    void operator()(const room::result&) {}
  };
  const stubborn s;
  const auto once = [&] {
    room r{by_hand(1, 1)};
    r.pool->maintain();
    try {
      (void)r.pool->acquire_async(s);
    } catch (int) {
    }
  };
  once();
  const banyan::testing::leak_check leaks;
  once();
  CHECK(leaks.leaked() <= 0);
}

namespace {

// Destroyed after main: with a connection lent until then, and threads' records gone.
struct until_the_end {
  census people;
  connection_pool<stub> pool{[this] { return stub{people}; }, by_hand(0, 2)};
  std::optional<lease<stub>> kept{};
  ~until_the_end() {
    auto another = pool.try_acquire();
    if (another) (*another).release();
    kept.reset();
    if (!pool.close() || people.alive != 0) std::abort();
  }
};

}  // namespace

TEST_CASE("pool lifetime: a pool of static storage", "[pool]") {
  static until_the_end late;
  { const auto two = std::make_pair(late.pool.acquire(), late.pool.acquire()); }
  late.kept.emplace(std::move(*late.pool.acquire()));
  CHECK(late.people.alive == 2);
}
