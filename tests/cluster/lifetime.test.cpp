#include <banyan/cluster/cluster.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

/// Who finds out that it is the last: tokens end on many threads while endpoints are drained and removed.

using namespace std::chrono_literals;
using banyan::testing::joining_thread;

namespace {

using banyan::cluster;
using banyan::endpoint_id;

struct counted {
  explicit counted(std::atomic<int>& count) : alive{&count} { alive->fetch_add(1); }
  counted(counted&& other) noexcept : alive{std::exchange(other.alive, nullptr)} {}
  counted& operator=(counted&&) = delete;
  ~counted() {
    if (alive != nullptr) alive->fetch_sub(1);
  }
  [[nodiscard]] bool is_alive() const { return alive != nullptr && alive->load() > 0; }
  std::atomic<int>* alive;
};

void check_all_freed(std::atomic<int>& alive) {
  banyan::hazard_domain::global().reclaim();
  CHECK(alive.load() == 0);
}

}  // namespace

TEST_CASE("removing endpoints while others use them frees each exactly once") {
  // Both forms of the barrier: with the system's help, and by read-modify-writes.
  for (const bool asymmetric : {true, false}) {
    CAPTURE(asymmetric);
    auto& domain = banyan::hazard_domain::make_immortal(asymmetric);
    std::atomic<int> alive{0};
    {
      // Two stripes for five threads: some have their own, some share.
      cluster<counted> web{{.stripes = 2, .domain = &domain}};
      std::atomic<std::uint64_t> newest{web.add(counted{alive}).value()};
      std::atomic<bool> stop{false};
      std::atomic<int> dead{0};
      std::vector<joining_thread> users;
      for (int t = 0; t < 4; ++t) {
        users.emplace_back([&] {
          while (!stop.load(std::memory_order_relaxed)) {
            auto token = web.acquire(endpoint_id{newest.load()});
            if (!token) continue;
            if (!token->is_alive()) dead.fetch_add(1);
            token.succeeded();
          }
        });
      }
      for (int i = 0; i < 400; ++i) {
        const endpoint_id old{newest.load()};
        newest.store(web.add(counted{alive}).value());
        REQUIRE(web.remove(old));
      }
      stop.store(true);
      users.clear();
      CHECK(dead.load() == 0);
      CHECK(web.in_flight(endpoint_id{newest.load()}) == 0);
    }
    domain.reclaim();
    domain.reclaim();
    CHECK(alive.load() == 0);
  }
}

TEST_CASE("tokens that end on other threads than they began on are counted right") {
  std::atomic<int> alive{0};
  {
    cluster<counted> web{{.stripes = 2}};
    const endpoint_id a = web.add(counted{alive});
    constexpr int handed = 4000;
    std::atomic<cluster<counted>::token*> box{nullptr};
    std::atomic<int> drained{0};
    {
      const joining_thread taker{[&] {
        for (int i = 0; i < handed; ++i) {
          cluster<counted>::token* token = nullptr;
          while ((token = box.exchange(nullptr)) == nullptr) std::this_thread::yield();
          token->failed();
          delete token;
        }
      }};
      for (int i = 0; i < handed; ++i) {
        auto token = std::make_unique<cluster<counted>::token>(web.acquire(a));
        REQUIRE(*token);
        cluster<counted>::token* expected = nullptr;
        while (!box.compare_exchange_strong(expected, token.get())) {
          expected = nullptr;
          std::this_thread::yield();
        }
        (void)token.release();
        if (i == handed - 1) web.drain(a, [&](bool done) { drained.fetch_add(done ? 1 : -100); });
      }
    }
    CHECK(web.in_flight(a) == 0);
    CHECK(web.stats(a)->failed == handed);
    CHECK(drained.load() == 1);
  }
  check_all_freed(alive);
}

TEST_CASE("a drain is told once, however the last tokens end") {
  for (int round = 0; round < 200; ++round) {
    cluster<int> web{{.stripes = 2}};
    const endpoint_id a = web.add(1);
    std::atomic<int> told{0};
    std::atomic<int> ready{0};
    constexpr int users = 3;
    std::vector<joining_thread> threads;
    for (int t = 0; t < users; ++t) {
      threads.emplace_back([&] {
        auto token = web.acquire(a);
        ready.fetch_add(1);
        while (ready.load() < users + 1) std::this_thread::yield();
      });
    }
    while (ready.load() < users) std::this_thread::yield();
    ready.fetch_add(1);
    REQUIRE(web.drain(a, [&](bool drained) { told.fetch_add(drained ? 1 : 100); }));
    REQUIRE(web.wait_drained(a, 60s));
    threads.clear();
    REQUIRE(told.load() == 1);
    REQUIRE_FALSE(web.acquire(a));
  }
}

TEST_CASE("whoever waits for a drain is woken by the last token") {
  cluster<int> web;
  const endpoint_id a = web.add(1);
  std::optional token{web.acquire(a)};
  web.drain_all();
  const joining_thread user{[&] {
    std::this_thread::sleep_for(5ms);
    token.reset();
  }};
  CHECK(web.wait_drained(60s));
}

TEST_CASE("using endpoints goes on while any thread stands still") {
  std::atomic<int> alive{0};
  {
    cluster<counted> web{{.stripes = 2}};
    const endpoint_id a = web.add(counted{alive});
    const endpoint_id b = web.add(counted{alive});
    for (const auto mode : {banyan::testing::stop_mode::one, banyan::testing::stop_mode::all_but_one}) {
      const auto result = banyan::testing::stop_a_thread({.workers = 4, .mode = mode}, [&](std::size_t worker) {
        auto token = web.acquire(worker % 2 == 0 ? a : b);
        if (worker % 3 == 0) token.failed();
        if (worker % 3 == 1) token.succeeded(1us);
        (void)web.in_flight(a);
        (void)web.stats(b);
      });
      INFO(result.describe());
      CHECK(result.passed());
    }
    CHECK(web.in_flight(a) == 0);
    CHECK(web.in_flight(b) == 0);
  }
  check_all_freed(alive);
}
