#include <banyan/pool/object_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pool/stub.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::lease;
using banyan::object_pool;
using banyan::object_pool_options;
using banyan::pool_errc;
using banyan::testing::census;
using banyan::testing::comes_true;
using banyan::testing::joining_thread;
using banyan::testing::stub;
using namespace std::chrono_literals;

object_pool_options<stub> up_to(std::size_t max) {
  object_pool_options<stub> o;
  o.max = max;
  return o;
}

}  // namespace

TEST_CASE("object_pool: made by whoever wants one, up to max, and used again after a reset", "[pool]") {
  census people;
  auto o = up_to(2);
  o.reset = [](stub& s) { s.uses = 0; };
  object_pool<stub> pool{[&] { return stub{people}; }, o};
  CHECK(people.made == 0);
  {
    auto a = pool.try_acquire();
    auto b = pool.try_acquire();
    REQUIRE((a && b));
    (*a)->uses = 5;
    (*b)->uses = 6;
    CHECK(pool.try_acquire().error() == pool_errc::exhausted);
    CHECK(pool.acquire(1ms).error() == pool_errc::timeout);
    CHECK(pool.acquire(0ns).error().code() != pool_errc::open_failed);
  }
  auto c = pool.try_acquire();
  REQUIRE(c);
  CHECK((*c)->uses == 0);
  CHECK(people.made == 2);
  (*c).discard();
  CHECK(people.alive == 1);
  pool.clear();
  CHECK(people.alive == 0);
  CHECK(pool.acquire());
  CHECK(people.most == 2);
}

TEST_CASE("object_pool: options refused", "[pool]") {
  census people;
  const auto with = [&](auto change) -> std::string {
    auto o = up_to(1);
    change(o);
    try {
      const object_pool<stub> pool{[&] { return stub{people}; }, o};
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  CHECK(with([](auto&) {}).empty());
  CHECK(with([](auto& o) { o.max = 0; }).find("object_pool_options.max") != std::string::npos);
  CHECK(with([](auto& o) { o.max = 65'537; }).find("65537") != std::string::npos);
  CHECK(with([](auto& o) { o.acquire_timeout = -7ns; }).find("-7") != std::string::npos);
  CHECK(with([](auto& o) { o.max_waiting = 0; }).find("object_pool_options.max_waiting") != std::string::npos);
  CHECK(with([](auto& o) { o.domain = nullptr; }).find("object_pool_options.domain") != std::string::npos);
}

TEST_CASE("object_pool: a factory or a reset that throws", "[pool]") {
  census people;
  bool fails = true;
  bool reset_fails = false;
  auto o = up_to(1);
  o.reset = [&](stub&) {
    if (reset_fails) throw 2;
  };
  object_pool<stub> pool{[&]() -> stub {
                           if (fails) throw std::runtime_error{"no"};
                           return stub{people};
                         },
                         o};
  const auto refused = pool.acquire();
  CHECK(refused.error() == pool_errc::open_failed);
  CHECK(refused.error().cause() != nullptr);
  fails = false;
  reset_fails = true;
  CHECK(pool.acquire());
  CHECK(people.alive == 0);
  reset_fails = false;
  CHECK(pool.acquire());
  CHECK(people.alive == 1);
}

TEST_CASE("object_pool: those who wait are served by what comes back, and when there is room again", "[pool]") {
  census people;
  std::atomic<bool> fails{false};
  object_pool<stub> pool{[&]() -> stub {
                           if (fails) throw std::runtime_error{"no"};
                           return stub{people};
                         },
                         up_to(1)};
  for (const bool first_fails : {false, true, true}) {
    auto held = pool.acquire();
    REQUIRE(held);
    std::atomic<int> served{0};
    std::atomic<int> failed{0};
    {
      const joining_thread waits{[&] {
        // One who waits may be told that making one failed; it asks again.
        while (served == 0) {
          const auto got = pool.acquire(60s);
          if (got) ++served;
          if (!got && ++failed == 3) fails = false;
        }
      }};
      CHECK(comes_true([&] { return pool.stats().waiting == 1; }));
      fails = first_fails;
      (*held).discard();
      CHECK(comes_true([&] { return served == 1; }));
      fails = false;
    }
    CHECK(people.alive == 1);
  }
  auto held = pool.acquire();
  const joining_thread waits{[&] { (void)pool.acquire(60s); }};
  CHECK(comes_true([&] { return pool.stats().waiting == 1; }));
  (*held).release();
}

TEST_CASE("object_pool: leases outlive it", "[pool]") {
  census people;
  lease<stub> kept;
  {
    object_pool<stub> pool{[&] { return stub{people}; }, up_to(3)};
    auto a = pool.acquire();
    auto b = pool.acquire();
    REQUIRE((a && b));
    kept = std::move(*a);
  }
  CHECK(people.alive == 1);
  kept.release();
  CHECK(people.alive == 0);
}

TEST_CASE("object_pool: never more than max, and nothing is lost", "[pool]") {
  census people;
  std::atomic<int> calls{0};
  object_pool<stub> pool{[&]() -> stub {
                           if (++calls % 7 == 0) throw 1;
                           return stub{people};
                         },
                         up_to(2)};
  {
    std::vector<joining_thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 3'000; ++i) {
          auto got = i % 8 == 0 ? pool.acquire(100us) : pool.try_acquire();
          if (got && (i + t) % 5 == 0) (*got).discard();
          if (i % 1'000 == 0) pool.clear();
        }
      });
    }
  }
  CHECK(people.most <= 2);
  const auto s = pool.stats();
  CHECK(s.in_use == 0);
  CHECK(s.waiting == 0);
  CHECK(s.idle + s.closed_in_all() == s.created);
  CHECK(people.alive == static_cast<int>(s.idle));
}

TEST_CASE("object_pool: whoever stops keeps nobody from taking and giving back", "[pool]") {
  census people;
  object_pool<stub> pool{[&] { return stub{people}; }, up_to(4)};
  {
    std::vector<lease<stub>> all;
    for (int i = 0; i < 4; ++i) all.push_back(std::move(*pool.acquire()));
  }
  const auto outcome =
      banyan::testing::stop_a_thread({.workers = 4, .at_most = std::chrono::milliseconds{200}}, [&](std::size_t) {
        const auto a = pool.try_acquire();
        (void)a;
      });
  INFO(outcome.describe());
  CHECK(outcome.passed());
  CHECK(pool.stats().idle == 4);
}
