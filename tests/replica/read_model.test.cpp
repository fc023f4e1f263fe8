#include <banyan/replica/read_model.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::read_model;
using banyan::testing::joining_thread;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

constexpr auto for_ever = std::chrono::nanoseconds::max();

// The gate with everything that `read_model` does but sleep.
struct gate_under_test {
  scheduled_atomic<std::uint32_t> turn{0};
  banyan::detail::position_gate<scheduled_atomic> gate{turn};

  // What a waiter sleeps on.
  struct sleeper {
    std::uint64_t target = 0;
    std::uint32_t seen = 0;
    bool asleep = false;
  };

  // Up to the first sleep, and once more each time it would be woken while it is still this thread's turn.
  void wait(sleeper& s, std::uint64_t target) {
    s.target = target;
    gate.enter();
    for (;;) {
      s.seen = gate.turn();
      bool wake = false;
      if (gate.want(target, wake)) break;
      if (gate.turn() == s.seen) {
        s.asleep = true;
        return;
      }
    }
    gate.leave();
  }
  void advance(std::uint64_t to) {
    bool wake = false;
    gate.advance(to, wake);
  }
  // Nobody sleeps on the present turn whose position has been reached. Those who would be woken wait anew, and then it
  // must be so for whoever sleeps after all.
  bool nobody_forgotten(std::vector<sleeper*> sleepers) {
    for (bool again = true; again;) {
      again = false;
      for (sleeper* s : sleepers) {
        if (!s->asleep || turn.load() == s->seen) continue;
        s->asleep = false;
        gate.leave();
        wait(*s, s->target);
        again = true;
      }
    }
    for (const sleeper* s : sleepers) {
      if (s->asleep && gate.position() >= s->target) return false;
    }
    return true;
  }
};

}  // namespace

TEST_CASE("read_model: goes forward only", "[replica][read_model]") {
  read_model model;
  CHECK(model.position() == 0);
  CHECK(model.has(0));
  CHECK(model.wait_for(0, 0ns));
  CHECK_FALSE(model.has(1));
  CHECK(model.applied(5));
  CHECK_FALSE(model.applied(5));
  CHECK_FALSE(model.applied(3));
  CHECK(model.position() == 5);
  CHECK(model.wait_for(5, -1h));
  CHECK_FALSE(model.wait_for(6, 0ns));
  CHECK_FALSE(model.wait_for(6, 1ms));
  CHECK_FALSE(model.wait_until(6, banyan::steady_clock::time_point::min()));
  constexpr auto last = std::numeric_limits<std::uint64_t>::max();
  CHECK_FALSE(model.wait_for(last, 1ms));
  CHECK(model.applied(last));
  CHECK(model.wait_for(last, for_ever));
  const read_model kept{17};
  CHECK(kept.position() == 17);
}

TEST_CASE("read_model: those who wait are woken when their position is reached", "[replica][read_model]") {
  const std::uint64_t seed = banyan::testing::derived_seed("read model, waiters");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 20; ++round) {
    read_model model;
    std::atomic<int> right{0};
    {
      std::vector<joining_thread> threads;
      for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, target = 1 + random.below(100)] {
          if (model.wait_for(target, for_ever) && model.has(target)) ++right;
        });
      }
      for (std::uint64_t i = 1; i <= 100; i += 1 + random.below(5)) model.applied(i);
      model.applied(100);
    }
    REQUIRE(right == 8);
  }
}

TEST_CASE("position_gate: nobody sleeps on, in every order", "[replica][read_model]") {
  struct state {
    gate_under_test g;
    gate_under_test::sleeper a;
    gate_under_test::sleeper b;
    gate_under_test::sleeper c;
  };
  const auto run = [](unsigned preemptions, auto make_threads) {
    const auto report = banyan::testing::explore({.preemptions = preemptions}, [&] {
      auto s = std::make_shared<state>();
      return scenario{make_threads(s), [s] { return s->g.nobody_forgotten({&s->a, &s->b, &s->c}); }};
    });
    INFO("schedule " << report.schedule << ", runs " << report.runs);
    CHECK(report.passed);
    CHECK(report.complete);
  };
  using threads = std::vector<std::function<void()>>;
  SECTION("two wait, one advances past both, one by one") {
    run(3, [](const auto& s) {
      return threads{[s] { s->g.wait(s->a, 5); }, [s] { s->g.wait(s->b, 7); },
                     [s] {
                       s->g.advance(5);
                       s->g.advance(7);
                     }};
    });
  }
  SECTION("one relies on the least of another, which a third replaces once it is stale") {
    run(3, [](const auto& s) {
      s->g.wait(s->c, 5);
      s->g.wait(s->b, 7);
      return threads{[s] { s->g.wait(s->a, 9); },
                     [s] {
                       s->g.advance(5);
                       s->g.advance(8);
                     }};
    });
  }
  SECTION("two advance past different waiters") {
    run(2, [](const auto& s) {
      return threads{[s] { s->g.wait(s->a, 1); }, [s] { s->g.wait(s->b, 3); }, [s] { s->g.advance(3); },
                     [s] { s->g.advance(2); }};
    });
  }
}

TEST_CASE("read_model: a thread that is stopped keeps no other from applying or looking", "[replica][read_model]") {
  read_model model;
  const banyan::testing::stop_options options{
      .workers = 4, .rounds = 20, .seed = banyan::testing::derived_seed("read model, a thread stopped")};
  const auto result = banyan::testing::stop_a_thread(options, [&](std::size_t worker, std::uint64_t i) {
    if (worker % 2 == 0) {
      model.applied(model.position() + 1);
    } else {
      static_cast<void>(model.wait_for(model.position() + i % 3, std::chrono::microseconds{50}));
    }
  });
  INFO(result.describe());
  CHECK(result.passed());
}
