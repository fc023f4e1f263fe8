#include <banyan/pool/connection_pool.hpp>

#include <chrono>
#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
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
using banyan::testing::joining_thread;
using banyan::testing::stub;
using namespace std::chrono_literals;

struct borrowing_clock;
using room = bench<borrowing_clock>;

std::vector<int> numbers(const std::vector<lease<stub>>& leases) {
  std::vector<int> all;
  for (const auto& each : leases) all.push_back(each->id);
  return all;
}

}  // namespace

TEST_CASE("pool borrowing: a lease", "[pool]") {
  room r{by_hand(0, 2)};
  lease<stub> none;
  CHECK_FALSE(none);
  none.release();
  none.discard();
  auto got = r.pool->acquire();
  REQUIRE(got);
  lease<stub> a = std::move(*got);
  CHECK(a);
  CHECK_FALSE(*got);
  a->uses = 7;
  lease<stub>& same = a;
  a = std::move(same);
  REQUIRE(a);
  CHECK((*a).uses == 7);
  a.release();
  CHECK_FALSE(a);
  a.release();  // a second time it does nothing
  a.discard();
  CHECK(r.pool->stats().idle == 1);
  CHECK(r.pool->stats().in_use == 0);
  auto b = r.borrow(2);
  REQUIRE(b.size() == 2);
  CHECK(r.pool->stats().in_use == 2);
  b[0] = std::move(b[1]);  // gives back what it held
  CHECK(r.pool->stats().in_use == 1);
  b.clear();
  CHECK(r.pool->stats().idle == 2);
  CHECK(r.pool->stats().borrowed == 3);
}

TEST_CASE("pool borrowing: idle ones newest first, or oldest first", "[pool]") {
  for (const bool fifo : {false, true}) {
    auto o = by_hand(0, 4);
    if (fifo) o.order = banyan::idle_order::fifo;
    room r{std::move(o)};
    auto all = r.borrow(4);
    const auto ids = numbers(all);
    for (auto& each : all) each.release();
    const auto again = r.borrow(4);
    if (fifo) {
      CHECK(numbers(again) == ids);
    } else {
      CHECK(numbers(again) == std::vector<int>(ids.rbegin(), ids.rend()));
    }
  }
}

TEST_CASE("pool borrowing: a thread's own last one first", "[pool]") {
  room r{by_hand(0, 4)};
  auto all = r.borrow(4);
  const int mine = all[0]->id;
  all[0].release();
  joining_thread{[&] { all[1].release(); }};
  joining_thread{[&] { all[2].release(); }};
  auto got = r.pool->try_acquire();
  REQUIRE(got);
  CHECK((*got)->id == mine);
}

TEST_CASE("pool borrowing: validation, unless just used", "[pool]") {
  int asked = 0;
  auto o = by_hand(0, 2);
  o.validate = [&](stub& s) {
    ++asked;
    return s.works;
  };
  room r{std::move(o)};
  r.borrow(1);
  CHECK(asked == 0);  // just made
  room::clock::advance(499ms);
  r.borrow(1);
  CHECK(asked == 0);
  room::clock::advance(500ms);
  r.borrow(1);
  CHECK(asked == 1);
  r.borrow(1);
  CHECK(asked == 1);
  {
    auto two = r.borrow(2);
    REQUIRE(two.size() == 2);
    for (auto& each : two) each->works = false;
  }
  room::clock::advance(1s);
  CHECK(r.pool->try_acquire().error() == pool_errc::exhausted);
  CHECK(asked == 3);
  CHECK(r.people.alive == 0);
  CHECK(r.pool->stats().closed_for(close_cause::invalid) == 2);
  CHECK(r.borrow(1).size() == 1);  // a new one
}

TEST_CASE("pool borrowing: validation that throws is a no", "[pool]") {
  auto o = by_hand(1, 1);
  o.validate_after = 0s;
  bool throws = true;
  o.validate = [&](stub&) -> bool {
    if (throws) throw std::runtime_error{"gone"};
    return true;
  };
  room r{std::move(o)};
  r.pool->maintain();
  CHECK_FALSE(r.pool->try_acquire());
  CHECK(r.people.alive == 0);
  throws = false;
  room::clock::advance(1s);  // over the pause: it was useless when it came
  CHECK(r.pool->acquire({.timeout = 0s}));
  CHECK(r.people.most == 1);
}

TEST_CASE("pool borrowing: who was given a dead one stays first in line", "[pool]") {
  auto o = by_hand(0, 1);
  o.validate_after = 0s;
  o.validate = [](stub& s) { return s.works; };
  room r{std::move(o)};
  auto held = r.borrow(1);
  REQUIRE(held.size() == 1);
  std::vector<int> order;
  for (const int who : {1, 2}) {
    (void)r.pool->acquire_async([&, who](const room::result& got) { order.push_back(got ? who : -who); });
  }
  held[0]->works = false;
  held.clear();
  CHECK(order.empty());
  CHECK(r.people.alive == 0);
  r.pool->maintain();
  CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("pool borrowing: hooks, in order, and what they throw", "[pool]") {
  std::string log;
  char throws = 0;
  const auto hook = [&](char name) {
    return [&, name](stub&) {
      log += name;
      if (throws == name) throw std::runtime_error{std::string(1, name)};
    };
  };
  auto o = by_hand(0, 1);
  o.on_create = hook('c');
  o.on_borrow = hook('b');
  o.on_return = hook('r');
  o.on_close = hook('x');
  room r{std::move(o)};
  r.borrow(1);
  CHECK(log == "cbr");
  {
    auto held = r.borrow(1);
    held[0].discard();
  }
  CHECK(log == "cbrbx");
  log.clear();
  SECTION("on_create: no connection, and its error is told") {
    throws = 'c';
    const auto got = r.pool->acquire({.timeout = 0s});
    REQUIRE_FALSE(got);
    CHECK(got.error() == pool_errc::timeout);
    CHECK(got.error().cause() != nullptr);
    CHECK(r.people.alive == 0);
    CHECK(r.pool->stats().open_failures == 1);
    CHECK(log == "c");
    throws = 0;
    room::clock::advance(1min);
    CHECK(r.borrow(1).size() == 1);
  }
  SECTION("on_borrow: the next one") {
    r.borrow(1);
    log.clear();
    throws = 'b';
    CHECK_FALSE(r.pool->try_acquire());
    CHECK(log == "bx");
    CHECK(r.people.alive == 0);
    throws = 0;
    CHECK(r.borrow(1).size() == 1);
  }
  SECTION("on_return: closed, who waits goes on waiting") {
    throws = 'r';
    auto held = r.borrow(1);
    int served = 0;
    (void)r.pool->acquire_async([&](room::result got) {
      throws = 0;
      if (got) ++served;
    });
    held.clear();
    CHECK(served == 0);
    CHECK(r.pool->stats().closed_for(close_cause::invalid) == 1);
    r.pool->maintain();
    CHECK(served == 1);
  }
  SECTION("on_close: as if nothing had happened") {
    throws = 'x';
    auto held = r.borrow(1);
    held[0].discard();
    CHECK(r.people.alive == 0);
    CHECK(r.borrow(1).size() == 1);
  }
  CHECK(r.people.most == 1);
  CHECK(r.pool->stats().in_use == 0);
}

TEST_CASE("pool borrowing: evicted, and past their lifetime, they are not lent", "[pool]") {
  room r{by_hand(0, 3)};
  {
    auto held = r.borrow(3);
    held[0].release();
    r.pool->evict_all();
    CHECK(r.people.alive == 2);
    held[1].release();
    CHECK(r.people.alive == 1);
  }
  CHECK(r.people.alive == 0);
  CHECK(r.pool->stats().closed_for(close_cause::evicted) == 3);
  r.borrow(2);
  room::clock::advance(30min);
  CHECK_FALSE(r.pool->try_acquire());
  CHECK(r.people.alive == 0);
  CHECK(r.pool->stats().closed_for(close_cause::expired) == 2);
}
