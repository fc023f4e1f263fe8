#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include <banyan/replica/read_model.hpp>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::position_outcome;
using banyan::read_model;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;
using time_point = banyan::steady_clock::time_point;

constexpr time_point at(std::int64_t seconds) { return time_point{std::chrono::seconds{seconds}}; }

// What `read_model` is without its callbacks and its sleep.
struct waiters_under_test {
  struct waiter : banyan::detail::position_waiter {
    waiter(std::uint64_t position, std::int64_t over) { target = position, until = over; }
    int told = 0;
  };
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  void when(waiter& one) {
    bool wake = false;
    if (waiters.add(one, wake)) take(std::numeric_limits<std::int64_t>::min());
  }
  void advance(std::uint64_t to) {
    bool wake = false;
    gate.advance(to, wake);
    if (wake) take(std::numeric_limits<std::int64_t>::min());
  }
  void take(std::int64_t now) {
    for (bool again = true; again; now = std::numeric_limits<std::int64_t>::min()) {
      auto taken = waiters.take(now);
      while (auto* const each = taken.due.take_first()) ++static_cast<waiter&>(*each).told;
      again = taken.again;
    }
  }
  // A thread that notes its position at the gate, and leaves.
  void sleep_shortly(std::uint64_t target) {
    gate.enter();
    bool wake = false;
    (void)gate.want(target, wake);
    if (wake) take(std::numeric_limits<std::int64_t>::min());
    gate.leave();
  }
  // Whose position has been reached is told, once; the others are not, but for those whose time is over.
  bool right(std::int64_t now) {
    for (const waiter* each : {&a, &b, &c}) {
      const bool due = gate.position() >= each->target && each->until != unused;
      if (due ? each->told != 1 : each->told != 0 && (each->until > now || each->told > 1)) return false;
    }
    return true;
  }

  static constexpr std::int64_t unused = -1;
  scheduled_atomic<std::uint32_t> turn{0};
  banyan::detail::position_gate<scheduled_atomic> gate{turn};
  banyan::detail::position_waiters<scheduled_atomic> waiters{gate};
  waiter a{0, unused};
  waiter b{0, unused};
  waiter c{0, unused};
};

// Tells when something is taken out of it.
std::function<void()> taken_from;
template <class T>
struct noted_atomic : std::atomic<T> {
  using std::atomic<T>::atomic;
  T exchange(T value, std::memory_order order) {
    const T old = std::atomic<T>::exchange(value, order);
    if (taken_from) taken_from();
    return old;
  }
};

void explore(unsigned preemptions, const std::function<std::vector<std::function<void()>>(waiters_under_test&)>& make,
             std::int64_t now = 0) {
  const auto report = banyan::testing::explore({.preemptions = preemptions}, [&] {
    auto s = std::make_shared<waiters_under_test>();
    return scenario{make(*s), [s, now] { return s->right(now); }};
  });
  INFO("schedule " << report.schedule << ", runs " << report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}

}  // namespace

TEST_CASE("read_model: callbacks are called once, with what became of it", "[replica][read_model]") {
  std::vector<int> called;
  const auto note = [&](int number) {
    return [&called, number](position_outcome how) { called.push_back(10 * number + static_cast<int>(how)); };
  };
  {
    read_model model;
    model.applied(3);
    model.when(3, note(1), at(0));
    CHECK(called == std::vector<int>{10});  // at once, however late it is
    model.when(5, note(2), at(10));
    model.when(7, note(3));
    model.when(5, note(4), at(20));
    model.when(6, note(5), at(11));
    model.applied(4);
    model.expire(at(9));
    CHECK(called.size() == 1);
    model.applied(5);
    CHECK(called == std::vector<int>{10, 20, 40});
    model.expire(at(11));
    model.expire(at(1));
    CHECK(called == std::vector<int>{10, 20, 40, 51});
    model.when(8, note(6), at(0));
    model.applied(9);  // late and reached: reached
    CHECK(called == std::vector<int>{10, 20, 40, 51, 30, 60});
    model.when(10, note(7));
    model.when(11, note(8));
  }
  CHECK(called == std::vector<int>{10, 20, 40, 51, 30, 60, 72, 82});
}

TEST_CASE("read_model: a callback may throw, ask again and apply", "[replica][read_model]") {
  read_model model;
  int called = 0;
  model.when(1, [](position_outcome) { throw std::runtime_error{"dropped"}; });
  struct only_moved {
    only_moved() = default;
    only_moved(only_moved&&) = default;
    int value = 3;
  };
  model.when(1, [&, mine = only_moved{}](position_outcome) {
    called += mine.value;
    model.when(2, [&](position_outcome how) {
      called += 10;
      CHECK(how == position_outcome::reached);
    });
    model.applied(2);
    called += 100;
  });
  model.when(2, [&](position_outcome) { called += 1000; });
  CHECK(model.applied(1));
  CHECK(called == 1113);
  CHECK(model.position() == 2);
}

TEST_CASE("read_model: callbacks that set off the next ones do not stand on each other", "[replica][read_model]") {
  constexpr std::uint64_t last = 300'000;  // far more than fit on a stack
  const bool applies = GENERATE(false, true);
  CAPTURE(applies);
  read_model model;
  std::uint64_t told = 0;
  bool inside = false;
  bool nested = false;
  const std::function<void(std::uint64_t)> follow = [&](std::uint64_t position) {
    model.when(position, [&, position](position_outcome) {
      nested = nested || inside;
      inside = true;
      ++told;
      if (position < last) follow(position + 1);
      if (applies) model.applied(position + 1);
      inside = false;
    });
  };
  SECTION("asked for before") {
    follow(1);
    model.applied(applies ? 1 : last);
  }
  SECTION("asked for when it is there") {
    model.applied(applies ? 1 : last);
    follow(1);
  }
  SECTION("left over for the end") {
    read_model other{last};
    model.applied(last);
    other.when(1, [&](position_outcome) { follow(1); });  // inside a callback of another: at once
    CHECK(told == last);
  }
  CHECK(told == last);
  CHECK_FALSE(nested);
}

TEST_CASE("position_waiters: who is taken is not kept while others advance", "[replica][read_model]") {
  // Each time the waiters are taken, the position goes one further: a projection as fast as the walk over them.
  constexpr std::uint64_t last = 50;
  noted_atomic<std::uint32_t> turns{0};
  banyan::detail::position_gate<noted_atomic> gate{turns};
  banyan::detail::position_waiters<noted_atomic> waiters{gate};
  std::vector<banyan::detail::position_waiter> all(last);
  bool wake = false;
  for (std::uint64_t i = 0; i < last; ++i) {
    all[i].target = i + 1;
    REQUIRE_FALSE(waiters.add(all[i], wake));
  }
  int walks = 0;
  taken_from = [&] {
    ++walks;
    gate.advance(gate.position() + 1, wake);
  };
  std::size_t told = 0;
  for (bool again = true; again;) {
    walks = 0;
    auto taken = waiters.take(0);
    CHECK(walks <= 2);
    while (taken.due.take_first() != nullptr) ++told;
    again = taken.again;
  }
  taken_from = nullptr;
  CHECK(told == last);
  CHECK(waiters.empty());
}

TEST_CASE("read_model: a callback that finds no memory is not called", "[replica][read_model]") {
  bool called = false;
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    read_model model;
    bool told = false;
    try {
      model.when(1, [&](position_outcome) { told = true; });
    } catch (const std::bad_alloc&) {
      model.applied(1);
      called = called || told;
      throw;
    }
  });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK_FALSE(called);
}

TEST_CASE("read_model: a coroutine waits by its callback", "[replica][read_model]") {
  struct applied_up_to {
    read_model& model;
    std::uint64_t position;
    time_point until;
    position_outcome how{};
    [[nodiscard]] bool await_ready() const noexcept { return model.has(position); }
    void await_suspend(std::coroutine_handle<> caller) {
      model.when(
          position, [this, caller](position_outcome told) { how = told, caller.resume(); }, until);
    }
    [[nodiscard]] position_outcome await_resume() const noexcept { return how; }
  };
  struct job {
    struct promise_type {
      job get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() {}
    };
  };
  read_model model;
  std::vector<position_outcome> seen;
  const auto read = [&](std::uint64_t position) -> job {
    seen.push_back(co_await applied_up_to{model, position, at(5)});
  };
  read(0);
  read(4);
  read(9);
  CHECK(seen.size() == 1);
  model.applied(4);
  CHECK(seen.size() == 2);
  model.expire(at(5));
  CHECK(seen == std::vector{position_outcome::reached, position_outcome::reached, position_outcome::timed_out});
}

TEST_CASE("position_waiters: everybody due is told once, in every order", "[replica][read_model]") {
  using threads = std::vector<std::function<void()>>;
  constexpr auto never = waiters_under_test::never;
  SECTION("two come while one advances past both, one by one") {
    explore(3, [](waiters_under_test& s) {
      s.a.target = 5, s.a.until = never;
      s.b.target = 7, s.b.until = never;
      return threads{[&s] { s.when(s.a); }, [&s] { s.when(s.b); },
                     [&s] {
                       s.advance(5);
                       s.advance(7);
                     }};
    });
  }
  SECTION("one relies on the least of another, which a third replaces once it is stale") {
    explore(3, [](waiters_under_test& s) {
      s.a.target = 9, s.a.until = never;
      s.b.target = 7, s.b.until = never;
      s.c.target = 5, s.c.until = never;
      s.when(s.c);
      s.when(s.b);
      return threads{[&s] { s.when(s.a); },
                     [&s] {
                       s.advance(5);
                       s.advance(8);
                     }};
    });
  }
  SECTION("two advance past different waiters, one of which is in the other's hands") {
    explore(3, [](waiters_under_test& s) {
      s.a.target = 2, s.a.until = never;
      s.b.target = 4, s.b.until = never;
      s.when(s.a);
      s.when(s.b);
      return threads{[&s] { s.advance(2); }, [&s] { s.advance(4); }};
    });
  }
  SECTION("a thread that sleeps replaces the least on which a waiter relied") {
    explore(3, [](waiters_under_test& s) {
      s.a.target = 3, s.a.until = never;
      s.b.target = 6, s.b.until = never;
      s.when(s.a);
      s.when(s.b);
      return threads{[&s] { s.sleep_shortly(8); },
                     [&s] {
                       s.advance(3);
                       s.advance(7);
                     }};
    });
  }
  SECTION("time is over for one while its position is reached") {
    explore(
        3,
        [](waiters_under_test& s) {
          s.a.target = 2, s.a.until = 10;
          s.b.target = 4, s.b.until = 10;
          s.c.target = 5, s.c.until = 30;
          s.when(s.a);
          s.when(s.c);
          return threads{[&s] { s.take(20); }, [&s] { s.when(s.b); }, [&s] { s.advance(3); }};
        },
        20);
  }
}

TEST_CASE("read_model: callbacks of many threads are called once each", "[replica][read_model]") {
  const std::uint64_t seed = banyan::testing::derived_seed("read model, callbacks");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 20; ++round) {
    constexpr std::uint64_t most = 200;
    constexpr std::size_t each = 100;
    std::vector<std::atomic<int>> told(3 * each);
    std::atomic<int> wrong{0};
    {
      read_model model;
      std::vector<banyan::testing::joining_thread> threads;
      for (std::size_t t = 0; t < 3; ++t) {
        threads.emplace_back([&, t, mine = random.below(1000)] {
          for (std::size_t i = 0; i < each; ++i) {
            const std::uint64_t target = 1 + (mine + 37 * i) % (most + 20);
            model.when(
                target,
                [&, target, number = t * each + i](position_outcome how) {
                  told[number].fetch_add(1);
                  if (how == position_outcome::reached ? !model.has(target) : target <= most / 2) wrong.fetch_add(1);
                },
                at(i % 2 == 0 && target > most / 2 ? 10 : 1'000));
            if (i % 20 == 0) model.expire(at(10));
          }
        });
      }
      for (std::size_t t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
          for (std::uint64_t p = 1 + t; p <= most; p += 2) model.applied(p);
        });
      }
    }
    for (const auto& count : told) REQUIRE(count == 1);
    REQUIRE(wrong == 0);
  }
}

TEST_CASE("read_model: a thread that is stopped keeps no other from asking for a callback", "[replica][read_model]") {
  read_model model;
  const banyan::testing::stop_options options{
      .workers = 4, .rounds = 20, .seed = banyan::testing::derived_seed("read model, a thread with callbacks stopped")};
  std::atomic<std::int64_t> waiting{0};  // who asks without end has the others call without end
  const auto result = banyan::testing::stop_a_thread(options, [&](std::size_t worker, std::uint64_t i) {
    if (worker % 2 == 0) {
      model.applied(model.position() + 1);
      if (i % 16 == 0) model.expire(at(10));
    } else if (waiting.load(std::memory_order_relaxed) < 100) {
      waiting.fetch_add(1, std::memory_order_relaxed);
      model.when(
          model.position() + i % 3, [&](position_outcome) { waiting.fetch_sub(1, std::memory_order_relaxed); }, at(10));
    }
  });
  INFO(result.describe());
  CHECK(result.passed());
}
