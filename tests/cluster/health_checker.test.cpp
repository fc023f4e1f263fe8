#include <banyan/cluster/health_checker.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/balance/balancer.hpp>

#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::cluster;
using banyan::endpoint_id;
using banyan::health;
using banyan::health_checker;
using banyan::health_checker_options;
using banyan::testing::refused_field;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using test_cluster = cluster<std::string, test_clock>;
constexpr test_clock::time_point start{};

health state_of(const test_cluster& web, endpoint_id id) { return web.stats(id)->state; }

// Driven by hand, in line, exactly.
health_checker_options by_hand() {
  return {.interval = 10s, .jitter = 0, .timeout = 2s, .executor = banyan::inline_executor{}, .background = false};
}

// Runs what it got when it is told to.
struct held_executor {
  void execute(banyan::task work) {
    if (refuses) throw std::runtime_error{"no"};
    waiting.push_back(std::move(work));
  }
  void run_one() {
    banyan::task next = std::move(waiting.front());
    waiting.pop_front();
    next();
  }
  std::deque<banyan::task> waiting;
  bool refuses = false;
};

// A probe that hangs until it is released. Ends with all that hang let go.
struct gate {
  struct state {
    std::atomic<bool> open{false};
    std::atomic<int> inside{0};
  };
  std::shared_ptr<state> shared = std::make_shared<state>();
  void hang() const {
    ++shared->inside;
    while (!shared->open) std::this_thread::sleep_for(1ms);
    --shared->inside;
  }
  ~gate() {
    shared->open = true;
    while (shared->inside != 0) std::this_thread::sleep_for(1ms);
  }
};

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 20'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

}  // namespace

TEST_CASE("it takes several results in a row to change an endpoint's health") {
  banyan::probe_history one{health::healthy};
  one.record(health::unhealthy, 2, 3);
  one.record(health::unhealthy, 2, 3);
  one.record(health::healthy, 2, 3);
  one.record(health::unhealthy, 2, 3);
  one.record(health::unhealthy, 2, 3);
  CHECK(one.verdict() == health::healthy);
  CHECK(one.failures_in_a_row() == 2);
  one.record(health::draining, 2, 3);  // anything that is not fit
  CHECK(one.verdict() == health::unhealthy);
  one.record(health::healthy, 2, 3);
  CHECK(one.verdict() == health::unhealthy);
  one.record(health::degraded, 2, 3);
  CHECK(one.verdict() == health::degraded);
  one.record(health::healthy, 2, 3);  // from fit to fit at once
  CHECK(one.verdict() == health::healthy);
  CHECK(one.successes_in_a_row() == 3);
  one.record(health::unhealthy, 2, 3);
  one.record(health::degraded, 2, 3);
  CHECK(one.verdict() == health::degraded);

  banyan::probe_history fresh{health::unhealthy};
  fresh.record(health::degraded, 5, 3);  // the first good result is believed
  CHECK(fresh.verdict() == health::degraded);
  banyan::probe_history unknown;
  unknown.record(health::unhealthy, 2, 2);
  CHECK_FALSE(unknown.verdict());
  unknown.record(health::unhealthy, 2, 2);
  CHECK(unknown.verdict() == health::unhealthy);
}

TEST_CASE("a checker probes each endpoint every interval and acts on the thresholds") {
  test_cluster web;
  const endpoint_id good = web.add("good");
  const endpoint_id bad = web.add("bad");
  std::vector<std::string> asked;
  std::set<std::string> down{"bad"};
  health_checker checker{web,
                         [&](const std::string& name) {
                           asked.push_back(name);
                           return down.count(name) == 0;
                         },
                         by_hand()};
  checker.run_due(start);
  CHECK(asked == std::vector<std::string>{"good", "bad"});  // at once
  checker.run_due(start + 9s);
  CHECK(asked.size() == 2);
  checker.run_due(start + 10s);
  CHECK(asked.size() == 4);
  CHECK(state_of(web, bad) == health::healthy);
  checker.run_due(start + 20s);
  CHECK(state_of(web, bad) == health::unhealthy);
  CHECK(state_of(web, good) == health::healthy);
  CHECK(checker.verdict(bad) == health::unhealthy);
  CHECK(checker.stats().changes == 1);

  // It recovers by itself.
  down.clear();
  checker.run_due(start + 30s);
  CHECK(state_of(web, bad) == health::unhealthy);
  checker.run_due(start + 40s);
  CHECK(state_of(web, bad) == health::healthy);
  const auto stats = checker.stats();
  CHECK(stats.endpoints == 2);
  CHECK(stats.passed == 7);
  CHECK(stats.failed == 3);
  CHECK(stats.running == 0);

  // A clock that stands still or goes back: nothing is due. One that jumps: once.
  checker.run_due(start + 40s);
  checker.run_due(start - 1h);
  checker.run_due(start + 45s);
  CHECK(asked.size() == 10);
  checker.run_due(start + 24h);
  CHECK(asked.size() == 12);
  checker.run_due(test_clock::time_point::max());
  checker.run_due(test_clock::time_point::max());
  CHECK(asked.size() == 14);
}

TEST_CASE("a recovered endpoint starts slowly, at the time that was given") {
  test_cluster web{{.slow_start = {.window = 10s}}};
  const endpoint_id one = web.add("one", {.state = health::unhealthy}, start);
  health_checker checker{web, [](std::string&) { return true; }, by_hand()};
  checker.run_due(start + 1h);
  CHECK(state_of(web, one) == health::healthy);
}

TEST_CASE("a probe may tell degraded from healthy, and what it throws is a failure") {
  test_cluster web;
  const endpoint_id one = web.add("one");
  health answer = health::degraded;
  bool throws = false;
  auto options = by_hand();
  options.unhealthy_after = 1;
  health_checker checker{web,
                         [&](std::string&) {
                           if (throws) throw std::runtime_error{"connection refused"};
                           return answer;
                         },
                         options};
  checker.run_due(start);
  CHECK(state_of(web, one) == health::degraded);
  answer = health::healthy;
  checker.run_due(start + 10s);
  CHECK(state_of(web, one) == health::healthy);
  throws = true;
  checker.run_due(start + 20s);
  CHECK(state_of(web, one) == health::unhealthy);
  throws = false;
  answer = health::draining;  // not fit; and it does not drain the endpoint
  checker.run_due(start + 30s);
  checker.run_due(start + 40s);
  CHECK(state_of(web, one) == health::unhealthy);
  CHECK_FALSE(web.drained(one));
}

TEST_CASE("a probe may be a thing that can only be moved, and may drive the checker") {
  test_cluster web;
  web.add("one");
  int asked = 0;
  std::function<void()> again;
  health_checker checker{web,
                         [&, own = std::make_unique<int>(1)](const std::string&) {
                           asked += *own;
                           again();
                           return 1;  // converts to bool
                         },
                         by_hand()};
  again = [&] {
    checker.run_due(start + 1h);
    (void)checker.stats();
  };
  checker.run_due(start);
  CHECK(asked == 1);
}

TEST_CASE("a checker follows the membership") {
  test_cluster web;
  std::vector<std::string> asked;
  health_checker checker{web,
                         [&](const std::string& name) {
                           asked.push_back(name);
                           return false;
                         },
                         by_hand()};
  checker.run_due(start);
  const endpoint_id a = web.add("a");
  checker.run_due(start + 1s);
  const endpoint_id b = web.add("b");
  checker.run_due(start + 3s);
  CHECK(asked == std::vector<std::string>{"a", "b"});
  web.remove(a);
  checker.run_due(start + 11s);
  CHECK(asked.size() == 2);
  checker.run_due(start + 13s);
  CHECK(asked == std::vector<std::string>{"a", "b", "b"});
  CHECK_FALSE(checker.verdict(a));
  // What went on before is not forgotten when somebody joins.
  web.add("c");
  checker.run_due(start + 23s);
  CHECK(state_of(web, b) == health::unhealthy);
  // Draining is not ended by health, and health is known when it ends.
  web.drain(b);
  checker.run_due(start + 33s);
  CHECK(state_of(web, b) == health::draining);
  web.resume(b);
  CHECK(state_of(web, b) == health::unhealthy);
}

TEST_CASE("an endpoint that was found draining or ejected is judged by its probes alone") {
  test_cluster web;
  const endpoint_id one = web.add("one", {.state = health::unhealthy});
  web.drain(one);
  const endpoint_id other = web.add("other", {.state = health::unhealthy});
  web.eject(other);
  health_checker checker{web, [](std::string&) { return true; }, by_hand()};
  checker.run_due(start);
  web.resume(one);
  web.readmit(other);
  CHECK(state_of(web, one) == health::healthy);
  CHECK(state_of(web, other) == health::healthy);
}

TEST_CASE("a probe past its timeout fails, again each interval, and gets no companion") {
  test_cluster web;
  const endpoint_id one = web.add("one");
  auto held = std::make_shared<held_executor>();
  auto options = by_hand();
  options.executor = banyan::any_executor{std::ref(*held)};
  std::vector<std::thread> threads;
  gate barrier;
  {
    health_checker checker{web,
                           [&](std::string&) {
                             barrier.hang();
                             return true;
                           },
                           options};
    checker.run_due(start);
    REQUIRE(held->waiting.size() == 1);
    // Waiting for the executor does not count.
    checker.run_due(start + 5s);
    CHECK(checker.stats().failed == 0);
    threads.emplace_back([&] { held->run_one(); });
    REQUIRE(eventually([&] { return barrier.shared->inside == 1; }));
    checker.run_due(start + 6s);
    CHECK(checker.stats().failed == 0);
    checker.run_due(start + 7s);  // the timeout is 2 s, and it had not begun at 5 s
    CHECK(checker.stats().timed_out == 1);
    CHECK(checker.stats().hanging == 1);
    checker.run_due(start + 8s);
    CHECK(checker.stats().failed == 1);
    checker.run_due(start + 10s);
    checker.run_due(start + 20s);
    CHECK(checker.stats().failed == 3);
    CHECK(checker.stats().timed_out == 1);
    CHECK(state_of(web, one) == health::unhealthy);
    CHECK(held->waiting.empty());

    // What it says in the end is not counted; then the next one starts.
    barrier.shared->open = true;
    threads.back().join();
    checker.run_due(start + 21s);
    CHECK(checker.stats().hanging == 0);
    CHECK(checker.stats().passed == 0);
    CHECK(held->waiting.empty());
    checker.run_due(start + 30s);
    REQUIRE(held->waiting.size() == 1);
    held->run_one();
    checker.run_due(start + 31s);
    checker.run_due(start + 40s);
    held->run_one();
    checker.run_due(start + 41s);
    CHECK(state_of(web, one) == health::healthy);
    checker.run_due(start + 50s);
    CHECK(held->waiting.size() == 1);
  }
  // A probe that had not begun when the checker ended is not run.
  barrier.shared->inside = 100;
  held->run_one();
  CHECK(barrier.shared->inside == 100);
  barrier.shared->inside = 0;
}

TEST_CASE("so many probes at a time, those who have waited longest first") {
  test_cluster web;
  for (const char* name : {"a", "b", "c", "d", "e"}) web.add(name);
  held_executor held;
  auto options = by_hand();
  options.executor = banyan::any_executor{std::ref(held)};
  options.max_probes = 2;
  std::string asked;
  health_checker checker{web,
                         [&](const std::string& name) {
                           asked += name;
                           return true;
                         },
                         options};
  checker.run_due(start);
  CHECK(held.waiting.size() == 2);
  held.run_one();
  checker.run_due(start + 1s);
  CHECK(held.waiting.size() == 2);
  held.run_one();
  held.run_one();
  checker.run_due(start + 30s);  // d and e have waited since 0, a since 10 s
  held.run_one();
  held.run_one();
  checker.run_due(start + 31s);
  held.run_one();
  held.run_one();
  CHECK(asked == "abcdeab");
}

TEST_CASE("an executor that refuses or drops probes says nothing about endpoints") {
  test_cluster web;
  const endpoint_id one = web.add("one");
  held_executor held;
  auto options = by_hand();
  options.unhealthy_after = 1;
  options.executor = banyan::any_executor{std::ref(held)};
  health_checker checker{web, [](std::string&) { return false; }, options};
  held.refuses = true;
  checker.run_due(start);
  CHECK(checker.stats().not_run == 1);
  held.refuses = false;
  checker.run_due(start + 10s);
  held.waiting.clear();
  checker.run_due(start + 11s);
  CHECK(checker.stats().not_run == 2);
  CHECK(checker.stats().failed == 0);
  CHECK(state_of(web, one) == health::healthy);
  checker.run_due(start + 20s);
  held.run_one();
  checker.run_due(start + 20s);
  CHECK(state_of(web, one) == health::unhealthy);
}

TEST_CASE("an endpoint removed while it is probed stays alive until the probe is through") {
  struct counted {
    std::shared_ptr<int> alive;
  };
  cluster<counted, test_clock> web;
  const auto alive = std::make_shared<int>(0);
  const endpoint_id one = web.add({alive});
  held_executor held;
  auto options = by_hand();
  options.executor = banyan::any_executor{std::ref(held)};
  health_checker checker{web,
                         [&](counted& value) {
                           web.remove(one);
                           return value.alive.use_count() >= 2;
                         },
                         options};
  checker.run_due(start);
  CHECK(web.in_flight(one) == 0);  // a probe is no request
  held.run_one();
  checker.run_due(start + 1s);
  CHECK(checker.stats().endpoints == 0);
  CHECK(checker.stats().passed == 1);
  web.add({nullptr});  // frees what can be freed
  CHECK(eventually([&] { return alive.use_count() == 1; }));
}

TEST_CASE("with jitter, checks spread over the interval") {
  cluster<int, test_clock> web;
  for (int i = 0; i < 200; ++i) web.add(i);
  auto options = by_hand();
  options.jitter = 0.1;
  options.seed = 7;
  int asked = 0;
  health_checker checker{web, [&](int) { return ++asked != 0; }, options};
  checker.run_due(start);
  CHECK(asked == 200);  // the first at once
  int most = 0;
  for (int second = 1; second <= 100; ++second) {
    const int before = asked;
    checker.run_due(start + std::chrono::seconds{second});
    most = std::max(most, asked - before);
  }
  CHECK(most < 60);  // 20 expected
  CHECK(asked > 200 * 10);
  CHECK(asked < 200 * 13);
}

TEST_CASE("a checker with a thread of its own finds out, also while probes hang") {
  cluster<std::string> web;
  const endpoint_id good = web.add("good", {.state = health::unhealthy});
  const endpoint_id stuck = web.add("stuck");
  const endpoint_id broken = web.add("broken");
  gate barrier;
  auto probe = [shared = barrier.shared, &barrier](const std::string& name) {
    if (name == "stuck") barrier.hang();
    if (name == "broken") throw std::runtime_error{"no"};
    return true;
  };
  {
    health_checker checker{web, probe, {.interval = 2ms, .timeout = 1ms, .max_probes = 1}};
    CHECK(eventually([&] { return web.stats(good)->state == health::healthy; }));
    CHECK(eventually([&] { return web.stats(broken)->state == health::unhealthy; }));
    CHECK(eventually([&] { return web.stats(stuck)->state == health::unhealthy; }));
    const endpoint_id late = web.add("late", {.state = health::unhealthy});
    CHECK(eventually([&] { return web.stats(late)->state == health::healthy; }));
    CHECK(barrier.shared->inside == 1);
    web.remove(stuck);
  }
  CHECK(barrier.shared->inside == 1);  // left behind
}

TEST_CASE("when too many hang, nothing is probed and health stays") {
  cluster<std::string> web;
  web.add("stuck 1");
  web.add("stuck 2");
  const endpoint_id last = web.add("good", {.state = health::unhealthy});
  gate barrier;
  health_checker checker{web,
                         [&barrier](const std::string& name) {
                           if (name != "good") barrier.hang();
                           return true;
                         },
                         {.interval = 5s, .jitter = 0, .timeout = 1ms, .max_probes = 1, .max_hanging = 2}};
  CHECK(eventually([&] { return checker.stats().hanging == 2; }));
  CHECK(web.stats(last)->state == health::unhealthy);
  CHECK(checker.stats().passed == 0);
  barrier.shared->open = true;
  CHECK(eventually([&] { return web.stats(last)->state == health::healthy; }));
}

TEST_CASE("a change of health that fails is tried again") {
  struct touchy {
    struct table {};
    table build(std::span<const banyan::candidate>) const {
      if (*refuses) throw std::runtime_error{"no"};
      return {};
    }
    std::uint32_t choose(const table&, std::span<const banyan::candidate>, banyan::pick_context&) noexcept { return 0; }
    bool* refuses;
  };
  bool refuses = false;
  test_cluster web;
  web.add("other");
  const endpoint_id one = web.add("one");
  banyan::balancer<std::string, touchy, test_clock> lb{web, touchy{&refuses}};
  auto options = by_hand();
  options.unhealthy_after = 1;
  health_checker checker{web, [](const std::string& name) { return name == "other"; }, options};
  refuses = true;
  CHECK_THROWS_AS(checker.run_due(start), std::runtime_error);
  CHECK(state_of(web, one) == health::healthy);
  CHECK_THROWS_AS(checker.run_due(start), std::runtime_error);
  refuses = false;
  checker.run_due(start);
  CHECK(state_of(web, one) == health::unhealthy);
  CHECK(checker.stats().changes == 1);
}

TEST_CASE("a checker that runs out of memory goes on when there is some") {
  (void)banyan::hazard_domain::global().try_local();
  struct reclaim_at_end {
    ~reclaim_at_end() { banyan::hazard_domain::global().reclaim(); }
  };
  auto options = by_hand();
  options.unhealthy_after = 2;
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    const reclaim_at_end last;
    cluster<int, test_clock> web;
    const endpoint_id one = web.add(1, {.name = "one"});
    health_checker checker{web, [](int) { return false; }, options};
    for (int i = 0; i < 6; ++i) {
      try {
        checker.run_due(start + i * 10s);
      } catch (const std::bad_alloc&) {  // and again
      }
    }
    if (web.stats(one)->state != health::unhealthy) throw std::logic_error{"the checker has stopped"};
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("bad options of a health checker are refused by name") {
  test_cluster web;
  const auto refused = [&](auto change) {
    auto options = by_hand();
    change(options);
    return refused_field([&] { health_checker{web, [](std::string&) { return true; }, options}; });
  };
  CHECK(refused([](auto&) {}).empty());
  for (const auto bad : {0ns, -1ns, std::chrono::nanoseconds::max()}) {
    CHECK(refused([&](auto& options) { options.interval = bad; }) == "health_checker_options.interval");
    CHECK(refused([&](auto& options) { options.timeout = bad; }) == "health_checker_options.timeout");
  }
  for (const double bad : {-0.1, 1.0, banyan::testing::not_a_number, banyan::testing::infinity})
    CHECK(refused([&](auto& options) { options.jitter = bad; }) == "health_checker_options.jitter");
  CHECK(refused([](auto& options) { options.healthy_after = 0; }) == "health_checker_options.healthy_after");
  CHECK(refused([](auto& options) { options.unhealthy_after = 0; }) == "health_checker_options.unhealthy_after");
  CHECK(refused([](auto& options) { options.max_probes = 0; }) == "health_checker_options.max_probes");
  CHECK(refused([](auto& options) { options.max_hanging = 0; }) == "health_checker_options.max_hanging");
}
