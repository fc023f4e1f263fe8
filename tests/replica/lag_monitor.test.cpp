#include <banyan/balance/round_robin.hpp>
#include <banyan/replica/lag_monitor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/refused_field.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::lag_monitor_options;
using banyan::replica_report;
struct of_lag_monitor;
using test_clock = banyan::basic_manual_clock<of_lag_monitor>;

struct node {
  std::uint64_t position = 0;
  std::chrono::nanoseconds lag{0};
  bool answers = true;
};
using node_ptr = std::shared_ptr<node>;
using set_type = banyan::replica_set<node_ptr, banyan::round_robin, test_clock>;
using monitor_type = banyan::lag_monitor<node_ptr, banyan::round_robin, test_clock>;

const auto ask = [](node_ptr& n) -> std::optional<replica_report> {
  if (!n->answers) throw std::runtime_error{"no answer"};
  return replica_report{.position = n->position, .lag = n->lag, .round_trip = 1ms};
};

// Runs nothing until it is told to.
struct kept {
  std::vector<banyan::task>* waiting;
  void execute(banyan::task work) { waiting->push_back(std::move(work)); }
};

lag_monitor_options by_hand() {
  return {
      .interval = 100ms, .jitter = 0, .executor = banyan::any_executor{banyan::inline_executor{}}, .background = false};
}

}  // namespace

TEST_CASE("lag_monitor: reports what members say, again each interval", "[replica][lag_monitor]") {
  test_clock::set({});
  set_type set{{.report_timeout = 1s}};
  const auto p = set.add_primary(std::make_shared<node>(node{.position = 9}));
  const auto n = std::make_shared<node>(node{.position = 5, .lag = 20ms});
  const auto r = set.add_replica(n);
  monitor_type monitor{set, ask, by_hand()};
  monitor.run_due();
  CHECK(set.status(p)->position == 9);
  CHECK(set.status(r)->position == 5);
  CHECK(set.status(r)->staleness == 20ms);
  n->position = 7;
  test_clock::advance(50ms);
  monitor.run_due();
  CHECK(set.status(r)->position == 5);
  CHECK(set.status(r)->staleness == 70ms);
  test_clock::advance(50ms);
  monitor.run_due();
  CHECK(set.status(r)->position == 7);
  CHECK(set.status(r)->staleness == 20ms);
  const auto late = set.add_replica(std::make_shared<node>(node{.position = 3}));
  monitor.run_due();
  CHECK(set.status(late)->position == 3);
}

TEST_CASE("lag_monitor: a replica that stops answering is behind, not fresh", "[replica][lag_monitor]") {
  test_clock::set({});
  set_type set{{.report_timeout = 1s}};
  set.add_primary(std::make_shared<node>(node{.position = 9}));
  const auto n = std::make_shared<node>(node{.position = 9, .lag = 0ms});
  const auto r = set.add_replica(n);
  monitor_type monitor{set, ask, by_hand()};
  const banyan::read_options fresh{.consistency = banyan::bounded_staleness(500ms)};
  monitor.run_due();
  CHECK(set.read(fresh).id() == r);
  n->answers = false;
  for (int i = 0; i < 6; ++i) {
    test_clock::advance(100ms);
    monitor.run_due();
  }
  CHECK(set.read(fresh).id() != r);
  CHECK(set.read({.consistency = banyan::eventual}).id() == r);
  for (int i = 0; i < 6; ++i) {
    test_clock::advance(100ms);
    monitor.run_due();
  }
  CHECK(set.read({.consistency = banyan::eventual}).id() != r);
  n->answers = true;
  test_clock::advance(100ms);
  monitor.run_due();
  CHECK(set.read(fresh).id() == r);
}

// A compiler that lets the probe write where the monitor keeps its answer, and forgets what was there, fails here.
TEST_CASE("lag_monitor: a probe that throws half-way through its answer tells nothing", "[replica][lag_monitor]") {
  test_clock::set({});
  set_type set{{}};
  const auto n = std::make_shared<node>(node{.position = 9});
  const auto p = set.add_primary(n);
  const auto half_way = [](node_ptr& asked) {
    std::optional<replica_report> found{replica_report{.position = asked->position}};
    if (!asked->answers) throw std::runtime_error{"no answer"};
    return found;
  };
  monitor_type monitor{set, half_way, by_hand()};
  monitor.run_due();
  CHECK(set.status(p)->position == 9);
  *n = {.position = 12, .answers = false};
  test_clock::advance(100ms);
  monitor.run_due();
  CHECK(set.status(p)->position == 9);
  CHECK(monitor.stats().passed == 1);
  CHECK(monitor.stats().failed == 1);
}

TEST_CASE("lag_monitor: what was measured under an earlier primary, or took too long, is not taken",
          "[replica][lag_monitor]") {
  test_clock::set({});
  set_type set{{}};
  const auto p = set.add_primary(std::make_shared<node>(node{.position = 9}));
  const auto r = set.add_replica(std::make_shared<node>(node{.position = 5}));
  SECTION("another primary") {
    bool once = false;
    monitor_type monitor{set,
                         [&](node_ptr& n) {
                           auto found = ask(n);
                           if (n->position == 5 && !std::exchange(once, true)) set.promote(r);
                           return found;
                         },
                         by_hand()};
    monitor.run_due();
    CHECK(set.primary() == r);
    CHECK(set.status(r)->position == 0);
    test_clock::advance(100ms);
    monitor.run_due();
    CHECK(set.status(r)->position == 5);
  }
  SECTION("too long") {
    monitor_type monitor{set,
                         [&](node_ptr& n) {
                           test_clock::advance(2s);
                           return ask(n);
                         },
                         by_hand()};
    monitor.run_due();
    test_clock::advance(2s);
    monitor.run_due();
    test_clock::advance(2s);
    monitor.run_due();
    CHECK(monitor.stats().failed == 6);
    CHECK(set.status(r)->position == 0);
  }
  SECTION("too long, elsewhere") {
    lag_monitor_options options = by_hand();
    std::vector<banyan::task> waiting;
    options.executor = banyan::any_executor{kept{&waiting}};
    monitor_type monitor{set, ask, options};
    monitor.run_due();
    REQUIRE(waiting.size() == 2);
    waiting[1]();
    test_clock::advance(options.timeout);
    waiting[0]();
    monitor.run_due();
    CHECK(set.status(r)->position == 5);  // it was there in time, and waited for somebody to look
    CHECK(set.status(r)->staleness == options.timeout);
    CHECK(set.status(p)->position == 0);
    waiting.clear();
  }
}

TEST_CASE("lag_monitor: a report counts from when its probe began, which took a while", "[replica][lag_monitor]") {
  test_clock::set({});
  set_type set{{}};
  set.add_primary(std::make_shared<node>(node{.position = 9}));
  const auto r = set.add_replica(std::make_shared<node>(node{.position = 5, .lag = 20ms}));
  monitor_type monitor{set,
                       [](node_ptr& n) {
                         test_clock::advance(50ms);
                         std::this_thread::sleep_for(1ms);
                         auto found = ask(n);
                         found->round_trip.reset();
                         return found;
                       },
                       by_hand()};
  monitor.run_due();
  CHECK(set.status(r)->staleness == 120ms);  // both probes' time, as the same look around began them
  REQUIRE(set.status(r)->round_trip);
  CHECK(*set.status(r)->round_trip >= 1ms);
}

TEST_CASE("lag_monitor: on its own thread, also with a probe that hangs", "[replica][lag_monitor]") {
  banyan::replica_set<int, banyan::round_robin> set{{}};
  const auto p = set.add_primary(1);
  const auto r = set.add_replica(2);
  std::atomic<bool> hang{true};
  {
    banyan::lag_monitor monitor{set,
                                [&](int& which) {
                                  while (which == 2 && hang) std::this_thread::sleep_for(1ms);
                                  return replica_report{.position = static_cast<std::uint64_t>(which)};
                                },
                                {.interval = 1ms, .timeout = 5ms}};
    while (set.status(p)->position != 1) std::this_thread::yield();
    while (monitor.stats().hanging != 1) std::this_thread::yield();
    CHECK(set.status(r)->position == 0);
    hang = false;
    while (set.status(r)->position != 2) std::this_thread::yield();
  }
}

TEST_CASE("lag_monitor: goes on when memory was short", "[replica][lag_monitor]") {
  (void)banyan::hazard_domain::global().try_local();
  struct reclaim_at_end {
    ~reclaim_at_end() { banyan::hazard_domain::global().reclaim(); }
  };
  test_clock::set({});
  const auto report = banyan::testing::for_every_failing_allocation([] {
    const reclaim_at_end last;
    banyan::replica_set<int, banyan::round_robin, test_clock> set{{}};
    const auto p = set.add_primary(1);
    banyan::lag_monitor monitor{set, [](int) { return replica_report{.position = 7}; }, by_hand()};
    for (int i = 0; i < 3; ++i) {
      try {
        monitor.run_due(test_clock::time_point{} + i * 100ms);
      } catch (const std::bad_alloc&) {  // and again
      }
    }
    if (set.status(p)->position != 7) throw std::logic_error{"the monitor has stopped"};
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("lag_monitor: bad options", "[replica][lag_monitor]") {
  using banyan::testing::refused_field;
  const auto refused = [](lag_monitor_options o) { return refused_field([&] { return check(o), 0; }); };
  CHECK(refused({.interval = 0ns}) == "lag_monitor_options.interval");
  CHECK(refused({.interval = std::chrono::nanoseconds::max()}) == "lag_monitor_options.interval");
  CHECK(refused({.jitter = banyan::testing::not_a_number}) == "lag_monitor_options.jitter");
  CHECK(refused({.jitter = 1}) == "lag_monitor_options.jitter");
  CHECK(refused({.timeout = -1ns}) == "lag_monitor_options.timeout");
  CHECK(refused({.max_probes = 0}) == "lag_monitor_options.max_probes");
  CHECK(refused({.max_hanging = 0}) == "lag_monitor_options.max_hanging");
  CHECK(refused({}).empty());
}
