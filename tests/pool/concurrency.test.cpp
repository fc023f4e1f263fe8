#include <banyan/pool/connection_pool.hpp>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pool/stub.hpp"
#include "support/catch.hpp"
#include "support/history.hpp"
#include "support/joining_thread.hpp"
#include "support/linearizability.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::connection_pool;
using banyan::lease;
using banyan::pool_errc;
using banyan::pool_options;
using banyan::testing::by_hand;
using banyan::testing::census;
using banyan::testing::joining_thread;
using banyan::testing::random_source;
using banyan::testing::stub;
using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

using pool_type = connection_pool<stub>;
using result = pool_type::result;

// Nobody's: its frame goes when it ends.
struct detached {
  struct promise_type {
    detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

detached borrow_once(pool_type& pool, std::chrono::nanoseconds timeout, std::shared_ptr<std::atomic<int>> answers) {
  auto got = co_await pool.acquire_awaitable({.timeout = timeout});
  answers->fetch_add(1);
}

}  // namespace

TEST_CASE("pool concurrency: random operations of many threads against the counts", "[pool]") {
  const std::uint64_t seed = banyan::testing::derived_seed("pool against counts");
  CAPTURE(seed);
  constexpr int threads = 4;
  const int steps = sanitized ? 15'000 : 150'000;
  for (const int kind : {0, 1, 2}) {
    CAPTURE(kind);
    census people;
    std::atomic<std::int64_t> asked{0};
    std::atomic<std::int64_t> answered{0};
    std::atomic<std::int64_t> given{0};
    std::atomic<std::int64_t> too_many{0};
    std::atomic<int> using_now{0};
    std::atomic<int> factory_calls{0};
    pool_options<stub> o = by_hand(2, 6);
    o.order = kind == 1 ? banyan::idle_order::fifo : banyan::idle_order::lifo;
    o.maintenance = kind == 2 ? banyan::pool_maintenance::housekeeper : banyan::pool_maintenance::caller;
    o.maintenance_interval = 1ms;
    o.backoff_base = 1us;
    o.backoff_cap = 1ms;
    o.max_waiting = 64;
    o.validate_after = 0s;
    o.validate = [](stub& s) { return ++s.uses % 257 != 0; };
    o.on_return = [](stub& s) {
      if (s.uses % 1'021 == 0) throw 1;
    };
    std::optional<pool_type> pool;
    pool.emplace(
        [&]() -> stub {
          if (++factory_calls % 5 == 0) throw 1;
          return stub{people};
        },
        o);
    const auto use = [&](result&& got) {
      ++answered;
      if (!got) return;
      ++given;
      if (++using_now > 12) ++too_many;
      if (people.alive > 12) ++too_many;
      --using_now;
    };
    {
      std::vector<joining_thread> all;
      for (int t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
          random_source random{seed + static_cast<std::uint64_t>(t) + 100 * static_cast<std::uint64_t>(kind)};
          std::vector<lease<stub>> kept;
          std::vector<banyan::pending_acquire<stub>> pending;
          for (int i = 0; i < steps; ++i) {
            const auto dice = random.below(1'000);
            if (dice < 500) {
              ++asked;
              auto got = pool->try_acquire();
              if (got && random.below(4) == 0) kept.push_back(std::move(*got));
              use(std::move(got));
            } else if (dice < 650) {
              ++asked;
              use(pool->acquire({.timeout = std::chrono::microseconds{random.below(50)}}));
            } else if (dice < 800) {
              ++asked;
              pending.push_back(pool->acquire_async([&](result got) { use(std::move(got)); },
                                                    {.timeout = std::chrono::microseconds{random.below(3'000)}}));
            } else if (dice < 900) {
              if (!pending.empty()) {
                (void)pending.back().cancel();
                pending.pop_back();
              }
            } else if (dice < 960) {
              if (!kept.empty()) {
                if (random.below(3) == 0) kept.back().discard();
                kept.pop_back();
              }
            } else if (dice < 990) {
              (void)pool->maintain();
            } else if (dice < 995) {
              const auto max = 3 + random.below(10);  // 12 at most
              pool->resize(random.below(3), max);
            } else if (dice < 997) {
              pool->suspend();
              pool->resume();
            } else if (dice < 998) {
              pool->evict_all();
            } else {
              (void)pool->stats();
            }
            if (kept.size() > 2) kept.clear();
            if (pending.size() > 8) pending.clear();
          }
        });
      }
    }
    // Nothing is out any more: what is left of requests is served or timed out.
    pool->resume();
    CHECK(banyan::testing::comes_true([&] {
      (void)pool->maintain();
      return answered == asked;
    }));
    auto s = pool->stats();
    CHECK(s.waiting == 0);
    CHECK(s.in_use == 0);
    CHECK(s.borrowed == static_cast<std::uint64_t>(given.load()));
    CHECK(banyan::testing::comes_true([&] {
      s = pool->stats();
      return s.opening == 0 && s.idle + s.closed_in_all() == s.created && people.alive == static_cast<int>(s.idle);
    }));
    CHECK(too_many == 0);
    CHECK(people.most <= 12);
    CHECK(pool->close(10s));
    CHECK(people.alive == 0);
    s = pool->stats();
    CHECK(s.created == s.closed_in_all());
    CHECK(s.created == static_cast<std::uint64_t>(people.made.load()));
    pool.reset();
  }
}

TEST_CASE("pool concurrency: closed in the middle, every waiter is answered once", "[pool]") {
  const std::uint64_t seed = banyan::testing::derived_seed("pool closed in the middle");
  CAPTURE(seed);
  const int rounds = sanitized ? 60 : 400;
  for (int round = 0; round < rounds; ++round) {
    census people;
    std::atomic<int> asked{0};
    std::atomic<int> answered{0};
    auto coroutine_answers = std::make_shared<std::atomic<int>>(0);
    {
      auto o = by_hand(1, 2);
      o.max_opening = 2;
      if (round % 3 == 0) o.executor = banyan::thread_executor{};
      std::optional<pool_type> pool;
      pool.emplace([&]() -> stub { return stub{people}; }, o);
      {
        std::vector<joining_thread> all;
        for (int t = 0; t < 3; ++t) {
          all.emplace_back([&, t] {
            random_source random{seed + static_cast<std::uint64_t>(3 * round + t)};
            std::vector<lease<stub>> kept;
            for (int i = 0; i < 40; ++i) {
              ++asked;
              switch (random.below(4)) {
                case 0: {
                  auto got = pool->acquire({.timeout = 50us});
                  ++answered;
                  if (got) kept.push_back(std::move(*got));
                  break;
                }
                case 1:
                  (void)pool->acquire_async([&](const result&) { ++answered; }, {.timeout = 60s});
                  break;
                case 2:
                  borrow_once(*pool, 60s, coroutine_answers);
                  break;
                default:
                  (void)pool->try_acquire();
                  ++answered;
                  kept.clear();
                  break;
              }
              if (t == 0 && i == 20) (void)pool->close();
            }
          });
        }
      }
      REQUIRE(banyan::testing::comes_true([&] { return answered + *coroutine_answers == asked; }));
      REQUIRE(pool->close(10s));
      REQUIRE(people.alive == 0);
      REQUIRE(people.most <= 2);
    }
  }
}

namespace {

// A set of connections. `try_acquire` may say that there is none although one was idle all the time, when others move
// idle ones meanwhile: that is the weaker promise. What it must not do is give one that somebody else has.
struct set_of_connections {
  struct operation {
    bool borrow = true;
    int which = -1;  // given back
  };
  using result = int;  // borrowed: which one, or -1
  using state = std::uint32_t;

  std::uint32_t all = 0;

  state initial() const { return all; }
  bool apply(state& idle, const operation& op, const result* answer) const {
    if (!op.borrow) {
      const std::uint32_t bit = 1U << op.which;
      if ((idle & bit) != 0) return false;
      idle |= bit;
      return true;
    }
    if (answer == nullptr || *answer < 0) return true;
    const std::uint32_t bit = 1U << *answer;
    if ((idle & bit) == 0) return false;
    idle &= ~bit;
    return true;
  }
  std::size_t hash(const state& s) const { return s; }
  std::string describe(const operation& op, const result* answer) const {
    return (op.borrow ? "borrow -> " : "give back ") +
           std::to_string(op.borrow ? (answer != nullptr ? *answer : -2) : op.which);
  }
};

}  // namespace

TEST_CASE("pool concurrency: histories of borrowing and giving back are those of a set", "[pool]") {
  using op = set_of_connections::operation;
  for (const bool fifo : {false, true}) {
    for (int round = 0; round < (sanitized ? 20 : 100); ++round) {
      census people;
      auto o = by_hand(3, 3);
      if (fifo) o.order = banyan::idle_order::fifo;
      pool_type pool{[&]() -> stub { return stub{people, people.made.load()}; }, std::move(o)};
      (void)pool.maintain();
      REQUIRE(people.alive == 3);
      banyan::testing::history_recorder<op, int> recorder{4, 60};
      {
        std::vector<joining_thread> threads;
        for (std::size_t t = 0; t < 4; ++t) {
          threads.emplace_back([&, t] {
            for (int i = 0; i < 30; ++i) {
              std::optional<lease<stub>> mine;
              const int which = recorder.record(t, op{true, -1}, [&] {
                auto got = pool.try_acquire();
                if (!got) return -1;
                mine.emplace(std::move(*got));
                return (*mine)->id;
              });
              if (which < 0) continue;
              recorder.record(t, op{false, which}, [&] {
                mine.reset();
                return 0;
              });
            }
          });
        }
      }
      const auto report = banyan::testing::check_linearizable(set_of_connections{0b111}, recorder.calls());
      INFO(report.explanation);
      REQUIRE(report.linearizable());
    }
  }
}

TEST_CASE("pool concurrency: alone, try_acquire misses nothing", "[pool]") {
  // The strong promise, where nobody else moves connections: what was given back before, by whomever, is found.
  census people;
  pool_type pool{[&]() -> stub { return stub{people}; }, by_hand(4, 4)};
  (void)pool.maintain();
  for (int i = 0; i < 200; ++i) {
    std::vector<lease<stub>> all;
    for (int n = 0; n < 4; ++n) {
      auto got = pool.try_acquire();
      REQUIRE(got);
      all.push_back(std::move(*got));
    }
    CHECK_FALSE(pool.try_acquire());
    joining_thread{[&] { all.erase(all.begin(), all.begin() + 2); }};
  }
}

TEST_CASE("pool concurrency: whoever stops keeps nobody from borrowing and giving back", "[pool]") {
  for (const auto mode : {banyan::testing::stop_mode::one, banyan::testing::stop_mode::several,
                          banyan::testing::stop_mode::one_throughout}) {
    for (const bool fifo : {false, true}) {
      census people;
      auto o = by_hand(8, 8);
      o.validate = [](stub&) { return true; };
      if (fifo) o.order = banyan::idle_order::fifo;
      pool_type pool{[&]() -> stub { return stub{people}; }, std::move(o)};
      (void)pool.maintain();
      REQUIRE(people.alive == 8);
      const auto outcome = banyan::testing::stop_a_thread(
          {.workers = 4, .mode = mode, .at_most = std::chrono::milliseconds{150}}, [&](std::size_t) {
            auto a = pool.try_acquire();
            auto b = pool.try_acquire();
            if (a) a->release();
          });
      INFO(outcome.describe());
      CHECK(outcome.passed());
      CHECK(outcome.operations_while_stopped > 0);
      CHECK(pool.stats().in_use == 0);
      CHECK(pool.stats().idle == 8);
    }
  }
}

TEST_CASE("pool concurrency: a waiter that stops keeps nobody else from being served", "[pool]") {
  census people;
  auto o = by_hand(2, 2);
  pool_type pool{[&]() -> stub { return stub{people}; }, std::move(o)};
  (void)pool.maintain();
  std::atomic<std::uint64_t> served{0};
  // A stopped worker may hold one of the two connections; the others share the second.
  const auto outcome =
      banyan::testing::stop_a_thread({.workers = 4, .at_most = std::chrono::milliseconds{600}}, [&](std::size_t) {
        auto got = pool.acquire({.timeout = 60s});
        if (got) served.fetch_add(1, std::memory_order_relaxed);
      });
  INFO(outcome.describe());
  CHECK(outcome.passed());
  CHECK(served >= outcome.operations);
  CHECK(pool.stats().timeouts == 0);
  CHECK(pool.stats().idle == 2);
}
