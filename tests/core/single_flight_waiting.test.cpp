// Callers of single_flight that do not wait for ever, and calls that run on an executor.
#include <banyan/core/cancellation.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/single_flight.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::cancellation;
using banyan::deadline;
using banyan::flight_wait;
using banyan::single_flight;
using banyan::testing::joining_thread;
using flights = single_flight<std::string, int>;

void wait_for(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::yield();
}

// Keeps its tasks until it is told to run or drop them.
struct lazy_executor {
  void execute(banyan::task work) { tasks.push_back(std::move(work)); }
  void run_all() {
    while (!tasks.empty()) {
      banyan::task next = std::move(tasks.front());
      tasks.pop_front();
      next();
    }
  }
  std::deque<banyan::task> tasks{};
};

struct dropping_executor {
  void execute(banyan::task) { ++dropped; }
  int dropped = 0;
};

struct refusing_executor {
  void execute(banyan::task) { throw std::runtime_error{"no threads"}; }
};

const flight_wait not_at_all{.until = deadline{banyan::steady_clock::time_point::min()}};

TEST_CASE("leaving and landing in every order: the last, and only the last, clears", "[core][single_flight]") {
  struct world {
    banyan::detail::flight_state<banyan::testing::scheduled_atomic> state{};
    bool ready = false;  // between steps no other thread runs
    int clears = 0;
    int uses_after = 0;
    int served = 0;
    void clear() { ++clears; }
    void use() { uses_after += clears; }
  };
  const auto make = [](bool forgotten) {
    return [forgotten] {
      auto w = std::make_shared<world>();
      w->state.join();
      w->state.join();
      banyan::testing::scenario s;
      s.threads.push_back([w] {  // the caller that runs the call
        const std::uint32_t waiters = w->state.land();
        if (waiters == 0) return;
        if (w->state.hand_out(waiters)) w->clear();
        w->ready = true;
      });
      for (int i = 0; i < 2; ++i) {
        s.threads.push_back([w] {  // a waiter that finds the result if it is there, else leaves
          if (w->ready) {
            w->use();
            ++w->served;
            if (w->state.copied()) w->clear();
          } else if (w->state.leave()) {
            w->clear();
          }
        });
      }
      if (forgotten) s.threads.push_back([w] { w->state.forget(); });
      // Something was handed out unless both left before; then it is cleared once, after its last use.
      s.holds = [w] { return w->uses_after == 0 && w->clears == (w->ready ? 1 : 0); };
      return s;
    };
  };
  for (const bool forgotten : {false, true}) {
    const auto report = banyan::testing::explore({.preemptions = 4}, make(forgotten));
    INFO(report.schedule);
    CHECK(report.passed);
    CHECK(report.complete);
  }
}

TEST_CASE("alone, try_run just runs, however little it would wait", "[core][single_flight]") {
  flights f;
  CHECK(f.try_run("a", {}, [](const auto&) { return 1; }) == 1);
  CHECK(f.try_run("a", not_at_all, [](const auto&) { return 2; }) == 2);
  cancellation given_up;
  given_up.request();
  CHECK(f.try_run("a", {.cancel = &given_up}, [](const auto&) { return 3; }) == 3);
  CHECK(f.try_run("a", not_at_all,
                  [&](const auto& key) { return *f.try_run(key, not_at_all, [](auto&) { return 4; }); }) == 4);
  CHECK(f.idle());
}

TEST_CASE("a value that is an optional itself stays one", "[core][single_flight]") {
  single_flight<int, std::optional<int>> f;
  CHECK_FALSE(f.run(1, [](int) { return std::nullopt; }).has_value());
  const auto nothing = f.try_run(1, {}, [](int) { return std::nullopt; });
  REQUIRE(nothing.has_value());
  CHECK_FALSE(nothing->has_value());
  banyan::inline_executor here;
  REQUIRE(f.run_on(here, 1, {}, [&](int k) { return f.run(k, [](int) { return std::nullopt; }); }).has_value());
}

TEST_CASE("one that waits leaves when its time is up, and the others are served", "[core][single_flight]") {
  flights f;
  std::atomic<bool> started{false};
  std::atomic<bool> let_go{false};
  std::atomic<int> loads{0};
  std::optional<int> leader;
  std::optional<int> patient;
  const auto load = [&](const auto&) {
    ++loads;
    started = true;
    wait_for(let_go);
    return 7;
  };
  {
    joining_thread first{[&] { leader = f.run("k", load); }};
    wait_for(started);
    joining_thread second{[&] { patient = f.run("k", load); }};
    for (int i = 0; i < 20; ++i) CHECK_FALSE(f.try_run("k", not_at_all, load).has_value());
    CHECK_FALSE(f.try_run("k", {.until = deadline::in(2ms)}, load).has_value());
    CHECK(loads == 1);
    CHECK_FALSE(f.idle());
    let_go = true;
  }
  CHECK(leader == 7);
  CHECK(patient == 7);
  CHECK(f.idle());
}

TEST_CASE("one that waits leaves when it is cancelled", "[core][single_flight]") {
  flights f;
  std::atomic<bool> started{false};
  std::atomic<bool> let_go{false};
  std::atomic<int> left{0};
  cancellation all_of_them;
  cancellation nobody;
  std::optional<int> patient;
  const auto load = [&](const auto&) {
    started = true;
    wait_for(let_go);
    return 7;
  };
  {
    joining_thread first{[&] { f.run("k", load); }};
    wait_for(started);
    joining_thread second{[&] { patient = f.try_run("k", {.cancel = &nobody}, load); }};
    {
      std::vector<joining_thread> leavers;
      for (int i = 0; i < 4; ++i) {
        leavers.emplace_back([&] {
          if (!f.try_run("k", {.cancel = &all_of_them}, load).has_value()) ++left;
        });
      }
      std::this_thread::sleep_for(5ms);  // so that some sleep; those that do not leave at once
      CHECK(all_of_them.request());
    }
    CHECK(left == 4);
    let_go = true;
  }
  CHECK(patient == 7);
}

TEST_CASE("a call that is stuck holds up nobody who forgets it", "[core][single_flight]") {
  flights f;
  std::atomic<bool> started{false};
  std::atomic<bool> let_go{false};
  joining_thread stuck{[&] {
    f.run("k", [&](const auto&) {
      started = true;
      wait_for(let_go);
      return 1;
    });
  }};
  wait_for(started);
  CHECK_FALSE(f.try_run("k", {.until = deadline::in(1ms)}, [](const auto&) { return 2; }).has_value());
  f.forget("k");
  CHECK(f.try_run("k", {.until = deadline::in(1ms)}, [](const auto&) { return 3; }) == 3);
  CHECK(f.run("k", [](const auto&) { return 4; }) == 4);
  let_go = true;
}

TEST_CASE("on an executor, every caller may leave, the first one too", "[core][single_flight]") {
  flights f;
  lazy_executor later;
  int loads = 0;
  int kept = 0;
  const auto load = [&](const std::string& key) {
    CHECK(key == "k");
    CHECK_FALSE(f.idle());
    ++loads;
    return 7;
  };
  const auto keep = [&](const int& v, flights::call& c) { kept += c.try_commit() ? v : 0; };
  {
    std::string gone{"k"};
    CHECK_FALSE(f.run_on(later, gone, not_at_all, load, keep).has_value());
  }
  CHECK_FALSE(f.run_on(later, "k", not_at_all, load, keep).has_value());  // joins it
  CHECK_FALSE(f.try_run("k", not_at_all, load).has_value());              // so does this
  CHECK(later.tasks.size() == 1);
  CHECK(loads == 0);
  CHECK_FALSE(f.idle());
  later.run_all();
  CHECK(loads == 1);
  CHECK(kept == 7);
  CHECK(f.idle());

  f.run_on(later, "k", not_at_all, load, keep);
  f.forget("k");
  later.run_all();
  CHECK(loads == 2);
  CHECK(kept == 7);  // forgotten before it committed

  banyan::inline_executor here;
  CHECK(f.run_on(here, "k", {}, [&](const std::string& key) {
    return *f.run_on(here, key, {}, [](const std::string&) { return 5; });  // its own key: in place
  }) == 5);
  CHECK(f.run_on(here, "k", {}, [only_moved = std::make_unique<int>(9)](const auto&) { return *only_moved; }) == 9);
  banyan::thread_executor elsewhere;
  CHECK(f.run_on(elsewhere, "k", {.until = deadline::in(1h)}, [](const auto&) { return 6; }) == 6);
  while (!f.idle()) std::this_thread::yield();
}

TEST_CASE("an executor that drops its tasks leaves nobody waiting", "[core][single_flight]") {
  flights f;
  dropping_executor drops;
  CHECK_FALSE(f.run_on(drops, "k", {}, [](const auto&) { return 1; }).has_value());
  CHECK(drops.dropped == 1);
  CHECK(f.idle());

  // Those that had joined start anew.
  auto later = std::make_unique<lazy_executor>();
  f.run_on(*later, "k", not_at_all, [](const auto&) { return 1; });
  std::optional<int> mine;
  {
    joining_thread waiter{[&] { mine = f.run("k", [](const auto&) { return 2; }); }};
    std::this_thread::sleep_for(2ms);
    later.reset();
  }
  CHECK(mine == 2);
  CHECK(f.idle());
}

#if defined(__cpp_exceptions)
TEST_CASE("on an executor, exceptions go to all that wait, and what execute throws to its caller",
          "[core][single_flight]") {
  flights f;
  banyan::inline_executor here;
  CHECK_THROWS_AS(f.run_on(here, "k", {}, [](const auto&) -> int { throw std::runtime_error{"down"}; }),
                  std::runtime_error);
  CHECK(f.idle());
  lazy_executor later;
  f.run_on(later, "k", not_at_all, [](const auto&) -> int { throw std::runtime_error{"down"}; });
  later.run_all();  // nobody waits: it is lost, and does not get out
  CHECK(f.run_on(
            here, "k", {}, [](const auto&) { return 3; },
            [](const int&, flights::call&) { throw std::runtime_error{"full"}; }) == 3);
  CHECK(f.idle());

  refusing_executor full;
  CHECK_THROWS_AS(f.run_on(full, "k", {}, [](const auto&) { return 1; }), std::runtime_error);
  CHECK(f.idle());
  CHECK(f.run("k", [](const auto&) { return 2; }) == 2);

  const auto report = banyan::testing::for_every_failing_allocation([] {
    flights inner;
    banyan::inline_executor at_once;
    const std::string key(100, 'k');
    if (inner.run_on(at_once, key, {}, [](const std::string&) { return 1; }) != 1) std::abort();
  });
  INFO(report.describe());
  CHECK(report.clean());
}
#endif

// Callers that come, wait, are cancelled, run out of time and forget, on threads and executors: each gets the key's
// value or leaves, values are gone at the end, nobody hangs.
TEST_CASE("callers that leave at random", "[core][single_flight]") {
  const auto token = std::make_shared<int>(1);
  std::atomic<int> wrong{0};
  {
    single_flight<int, std::shared_ptr<int>> f;
    {
      std::vector<joining_thread> threads;
      for (std::size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          banyan::testing::random_source random{banyan::testing::derived_seed("leave at random", t)};
          banyan::inline_executor here;
          for (int i = 0; i < 2000; ++i) {
            const int key = static_cast<int>(random.below(3));
            const auto load = [&, slow = random.chance(1, 4)](int) {
              if (slow) std::this_thread::yield();
              return token;
            };
            std::optional<std::shared_ptr<int>> got;
            const flight_wait soon{.until = deadline::in(std::chrono::microseconds{random.below(30)})};
            switch (random.below(5)) {
              case 0:
                got = f.try_run(key, soon, load);
                break;
              case 1:
                got = f.run_on(here, key, random.chance(1, 2) ? soon : flight_wait{}, load);
                break;
              case 2: {
                cancellation flag;
                joining_thread other{[&] { flag.request(); }};
                got = f.try_run(key, {.cancel = &flag}, load);
                break;
              }
              case 3:
                f.forget(key);
                break;
              default:
                got = f.run(key, load);
            }
            if (got.has_value() && *got != token) ++wrong;
          }
        });
      }
    }
    CHECK(wrong == 0);
    CHECK(f.idle());
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("a call that is forgotten as soon as it is seen serves its caller all the same", "[core][single_flight]") {
  single_flight<int, int> f;
  std::atomic<bool> stop{false};
  std::vector<joining_thread> forgetful;
  for (int t = 0; t < 2; ++t) {
    forgetful.emplace_back([&] {
      while (!stop) f.forget_all();
    });
  }
  banyan::inline_executor here;
  int wrong = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (f.run_on(here, 1, {}, [i](int) { return i; }) != i) ++wrong;
  }
  stop = true;
  CHECK(wrong == 0);
}

TEST_CASE("whoever stops, those who leave and callers of other keys go on", "[core][single_flight]") {
  struct one_bucket {
    std::uint64_t operator()(std::size_t) const { return 1; }
  };
  single_flight<std::size_t, std::size_t, one_bucket> f;
  std::atomic<int> wrong{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .rounds = 60, .operations = 20}, [&](std::size_t worker, std::uint64_t i) {
        banyan::inline_executor here;
        constexpr std::size_t common = 99;
        // One key for all: a stopped one may be running it. Nobody waits for it longer than it likes.
        const auto shared = i % 2 == 0 ? f.try_run(common, not_at_all, [](std::size_t key) { return key * 2; })
                                       : f.run_on(here, common, not_at_all, [](std::size_t key) { return key * 2; });
        if (shared.has_value() && *shared != 198) ++wrong;
        if (f.run(worker, [](std::size_t key) { return key * 2; }) != worker * 2) ++wrong;
        if (i % 4 == 0) f.forget(common);
      });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(wrong == 0);
}

}  // namespace
