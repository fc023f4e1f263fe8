#include <banyan/core/single_flight.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::single_flight;
using flights = single_flight<std::string, int>;

void wait_for(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::yield();
}

// A call for "k" that runs until `let_go`, and others that have joined it. Joining shows in nothing but time, so
// `joined` callers are given some before the test goes on; a late one would start a call of its own and be counted.
template <class Keep>
std::vector<int> run_together(flights& f, int joiners, std::atomic<int>& loads, const std::function<int()>& load,
                              const std::function<void()>& meanwhile, Keep keep) {
  std::vector<int> results(static_cast<std::size_t>(joiners) + 1, -1);
  std::atomic<bool> started{false};
  std::atomic<bool> let_go{false};
  std::vector<std::thread> threads;
  const auto caller = [&](std::size_t i) {
#if defined(__cpp_exceptions)
    try {
#endif
      results[i] = f.run(
          "k",
          [&](const auto&) {
            ++loads;
            started = true;
            wait_for(let_go);
            return load();
          },
          keep);
#if defined(__cpp_exceptions)
    } catch (const std::exception&) {
      results[i] = -2;
    }
#endif
  };
  threads.emplace_back(caller, 0);
  wait_for(started);
  for (std::size_t i = 1; i < results.size(); ++i) threads.emplace_back(caller, i);
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
  meanwhile();
  let_go = true;
  for (auto& t : threads) t.join();
  return results;
}

const auto keep_nothing = [](const int&, flights::call&) {};

TEST_CASE("the states of a call", "[core][single_flight]") {
  using state = banyan::detail::flight_state<>;
  state committed;
  CHECK(committed.join());
  CHECK(committed.join());
  CHECK(committed.try_commit());
  CHECK(committed.join());
  committed.forget();
  CHECK(committed.try_commit());
  CHECK_FALSE(committed.join());
  CHECK(committed.land() == 3);
  state forgotten;
  forgotten.forget();
  CHECK_FALSE(forgotten.join());
  CHECK_FALSE(forgotten.try_commit());
  CHECK(forgotten.land() == 0);
  state closed;
  CHECK(closed.land() == 0);
  CHECK_FALSE(closed.join());
}

TEST_CASE("alone it just runs", "[core][single_flight]") {
  flights f;
  CHECK(f.idle());
  CHECK(f.run("a", [&](const auto& key) {
    CHECK(std::string_view{key} == "a");
    CHECK_FALSE(f.idle());
    return 3;
  }) == 3);
  CHECK(f.idle());
  CHECK(f.run(std::string_view{"a"}, [](std::string_view) { return 4; }) == 4);
  bool kept = false;
  CHECK(f.run(
            std::string{"a"}, [](const std::string&) { return 5; },
            [&](const int& v, flights::call& c) { kept = v == 5 && c.try_commit() && c.try_commit(); }) == 5);
  CHECK(kept);
}

TEST_CASE("callers of one key share one load", "[core][single_flight]") {
  flights f;
  std::atomic<int> loads{0};
  const auto results = run_together(
      f, 3, loads, [] { return 7; }, [] {}, keep_nothing);
  CHECK(results == std::vector<int>(4, 7));
  CHECK(loads <= 4);
  CHECK(loads >= 1);
  CHECK(f.idle());
}

TEST_CASE("callers of other keys are not disturbed", "[core][single_flight]") {
  flights f;
  std::atomic<int> loads{0};
  run_together(
      f, 1, loads, [] { return 1; },
      [&] {
        for (int i = 0; i < 200; ++i) {
          const std::string key = "other" + std::to_string(i);
          CHECK(f.run(key, [&](const std::string&) { return i; }) == i);
        }
      },
      keep_nothing);
}

#if defined(__cpp_exceptions)
TEST_CASE("an exception goes to everybody, and the next call runs again", "[core][single_flight]") {
  flights f;
  std::atomic<int> loads{0};
  const auto results = run_together(
      f, 3, loads, []() -> int { throw std::runtime_error{"down"}; }, [] {}, keep_nothing);
  CHECK(results == std::vector<int>(4, -2));
  CHECK(f.idle());
  CHECK(f.run("k", [](const auto&) { return 1; }) == 1);
}

TEST_CASE("an exception that nobody waits for is not kept", "[core][single_flight]") {
  struct failure {
    std::shared_ptr<int> held;
  };
  const auto held = std::make_shared<int>(1);
  banyan::single_flight<int, int> loads;
  bool thrown = false;
  try {
    static_cast<void>(loads.run(1, [&](int) -> int { throw failure{held}; }));
  } catch (const failure&) {
    thrown = true;
  }
  CHECK(thrown);
  CHECK(held.use_count() == 1);
}

TEST_CASE("when keep throws, those that wait have the value", "[core][single_flight]") {
  flights f;
  std::atomic<int> loads{0};
  const auto results = run_together(
      f, 2, loads, [] { return 6; }, [] {}, [](const int&, flights::call&) { throw std::runtime_error{"full"}; });
  int failed = 0;
  for (const int r : results) {
    CHECK((r == 6 || r == -2));
    failed += r == -2 ? 1 : 0;
  }
  CHECK(failed == loads);
  CHECK(f.idle());
}

struct copy_fails {
  copy_fails() = default;
  copy_fails(const copy_fails&) { throw std::runtime_error{"copy"}; }
  copy_fails(copy_fails&&) noexcept {}
};

TEST_CASE("the leader does not copy when nobody waits", "[core][single_flight]") {
  single_flight<int, copy_fails> f;
  CHECK_NOTHROW(static_cast<void>(f.run(1, [](int) { return copy_fails{}; })));
}

TEST_CASE("a copy that fails fails the one that waits", "[core][single_flight]") {
  single_flight<int, copy_fails> f;
  std::atomic<bool> started{false};
  std::atomic<bool> let_go{false};
  std::atomic<int> failures{0};
  std::thread leader([&] {
    CHECK_NOTHROW(static_cast<void>(f.run(1, [&](int) {
      started = true;
      wait_for(let_go);
      return copy_fails{};
    })));
  });
  wait_for(started);
  std::thread waiter([&] {
    try {
      static_cast<void>(f.run(1, [](int) -> copy_fails { throw std::logic_error{"late"}; }));
    } catch (const std::exception&) {
      ++failures;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds{10});
  let_go = true;
  leader.join();
  waiter.join();
  CHECK(failures == 1);
}

TEST_CASE("throwing equality and every failing allocation leave nothing behind", "[core][single_flight]") {
  struct picky {
    bool* armed;
    bool operator()(int a, int b) const {
      if (*armed) throw std::runtime_error{"equal"};
      return a == b;
    }
  };
  struct one_hash {
    std::uint64_t operator()(int) const { return 1; }
  };
  bool armed = false;
  single_flight<int, int, one_hash, picky> f{one_hash{}, picky{&armed}};
  CHECK(f.run(1, [&](int) {
    armed = true;
    CHECK_THROWS_AS(f.run(2, [](int) { return 0; }), std::runtime_error);
    CHECK_THROWS_AS(f.forget(2), std::runtime_error);
    armed = false;
    return f.run(2, [](int) { return 9; });
  }) == 9);
  CHECK(f.idle());

  const auto report = banyan::testing::for_every_failing_allocation([] {
    flights inner;
    const std::string key(100, 'k');
    inner.run(key, [&](const std::string&) { return inner.run("x", [](const auto&) { return 1; }); });
  });
  INFO(report.describe());
  CHECK(report.clean());
}
#endif

TEST_CASE("a load that asks for its own key runs in place", "[core][single_flight]") {
  flights f;
  int depth = 0;
  const std::function<int(const std::string&)> load = [&](const std::string& key) {
    return ++depth < 3 ? f.run(key, load) + 1 : 10;
  };
  CHECK(f.run(std::string{"a"}, load) == 12);
  CHECK(f.run(std::string{"a"}, [&](const std::string&) {
    return f.run(std::string{"b"},
                 [&](const std::string&) { return f.run(std::string{"a"}, [](const auto&) { return 1; }); });
  }) == 1);
  CHECK(f.idle());
}

TEST_CASE("forget: no commit, its waiters are served, later callers start anew", "[core][single_flight]") {
  flights f;
  std::atomic<int> loads{0};
  std::atomic<int> commits{0};
  std::atomic<int> refused{0};
  int later = 0;
  const auto count = [&](const int&, flights::call& c) { ++(c.try_commit() ? commits : refused); };
  SECTION("one key") {
    run_together(
        f, 2, loads, [] { return 1; },
        [&] {
          f.forget("unrelated");
          f.forget("k");
          later = f.run("k", [](const auto&) { return 2; });
        },
        count);
  }
  SECTION("all keys") {
    run_together(
        f, 2, loads, [] { return 1; },
        [&] {
          f.forget_all();
          later = f.run("k", [](const auto&) { return 2; });
        },
        count);
  }
  CHECK(later == 2);
  CHECK(refused == 1);
  CHECK(commits == loads - 1);  // callers that came too late to join the first
  CHECK(f.idle());
}

TEST_CASE("forget after the commit does not undo it", "[core][single_flight]") {
  flights f;
  f.run(
      "k", [](const auto&) { return 1; },
      [&](const int&, flights::call& c) {
        CHECK(c.try_commit());
        f.forget("k");
        CHECK(c.try_commit());
        CHECK(f.run("k", [](const auto&) { return 2; }) == 2);
      });
}

// What single_flight promises a cache: a value loaded before an erase is never kept after it. The store holds a version
// that only grows; a writer bumps it and then forgets. Kept values must not be older than what the last writer forgot.
TEST_CASE("a forgotten load is never kept", "[core][single_flight]") {
  single_flight<int, int> f;
  std::atomic<int> source{0};
  std::atomic<int> erased{0};
  std::atomic<int> stale{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> loaders;
  for (int t = 0; t < 2; ++t) {
    loaders.emplace_back([&] {
      while (!stop) {
        f.run(
            1,
            [&](int) {
              const int v = source.load();
              std::this_thread::yield();
              return v;
            },
            [&](const int& v, auto& call) {
              const int floor = erased.load();  // erases complete by now: a commit of something older is stale
              if (call.try_commit() && v < floor) ++stale;
            });
      }
    });
  }
  for (int i = 1; i <= 3000; ++i) {
    source.store(i);
    if (!f.idle()) f.forget(1);
    erased.store(i);
    if (i % 16 == 0) std::this_thread::yield();
  }
  stop = true;
  for (auto& t : loaders) t.join();
  CHECK(stale == 0);
  CHECK(f.idle());
}

TEST_CASE("values and keys are gone when all is over", "[core][single_flight]") {
  const auto token = std::make_shared<int>(1);
  {
    single_flight<std::string, std::shared_ptr<int>> f;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          const auto got = f.run("k" + std::to_string(i % 3), [&](const auto&) {
            if (i % 8 == 0) std::this_thread::yield();
            return token;
          });
          if (i % 50 == 0) f.forget_all();
          if (got != token) std::abort();
        }
      });
    }
    for (auto& t : threads) t.join();
    CHECK(token.use_count() == 1);
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("at most one call runs for a key that nobody forgets", "[core][single_flight]") {
  single_flight<int, int> f;
  std::vector<std::atomic<int>> running(4);
  std::atomic<int> doubled{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 3000; ++i) {
        const int key = (i * (t + 1)) % 4;
        const int got = f.run(key, [&](int k) {
          if (++running[static_cast<std::size_t>(k)] != 1) ++doubled;
          if (i % 7 == 0) std::this_thread::yield();
          --running[static_cast<std::size_t>(k)];
          return k + 100;
        });
        if (got != key + 100) ++doubled;
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(doubled == 0);
}

TEST_CASE("whoever stops, callers of other keys and those who forget go on", "[core][single_flight]") {
  struct one_bucket {
    std::uint64_t operator()(std::size_t) const { return 1; }
  };
  single_flight<std::size_t, std::size_t, one_bucket> f;  // all keys in one list
  std::atomic<int> wrong{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .rounds = 60, .operations = 20}, [&](std::size_t worker, std::uint64_t i) {
        if (f.run(worker, [](std::size_t key) { return key * 2; }) != worker * 2) ++wrong;
        f.forget((worker + i) % 4);
        if (i % 8 == 0) f.forget_all();
      });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(wrong == 0);
}

}  // namespace
