#include <banyan/replica/failover.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::failover_actions;
using banyan::failover_event;
using banyan::failover_handover;
using banyan::failover_options;
using banyan::failover_position;
using banyan::failover_record;
using banyan::failover_report;
struct of_failover;
using test_clock = banyan::basic_manual_clock<of_failover>;

const endpoint_id one{1};
const endpoint_id two{2};
const endpoint_id three{3};

// Three nodes, of which the first is down when `down`.
struct nodes {
  std::atomic<bool> down{false};
  std::atomic<std::uint64_t> primary{1};

  failover_actions all() {
    return {.probe = [this](endpoint_id id) -> std::optional<failover_position> {
              if (down && id == one) throw std::runtime_error{"down"};
              return failover_position{7};
            },
            .fence = [](endpoint_id, std::uint32_t) { return true; },
            .position = [](endpoint_id id) { return std::optional{failover_position{id.value()}}; },
            .promote = [](endpoint_id, std::uint32_t) { return true; },
            .repoint =
                [this](const failover_handover& to) {
                  primary = to.primary.value();
                  return true;
                },
            .follow = [](endpoint_id, endpoint_id, std::uint32_t) { return true; }};
  }
};

failover_options by_hand() {
  failover_options options;
  options.executor = banyan::any_executor{banyan::inline_executor{}};
  options.background = false;
  return options;
}
failover_options quick() {
  failover_options options;
  options.probe_interval = options.retry_interval = 1ms;
  options.probes = options.failures = 2;
  options.quiet_period = 0s;
  return options;
}

}  // namespace

TEST_CASE("failover: by hand, step by step, what is told is in order", "[replica][failover]") {
  test_clock::set({});
  nodes n;
  std::vector<failover_event> events;
  banyan::failover<test_clock> keeper{
      {.primary = one}, {two, three}, n.all(), by_hand(), [&](const failover_report& r) {
        events.push_back(r.event);
        throw std::runtime_error{"the log is full"};
      }};
  keeper.step();
  n.down = true;
  for (int i = 0; i < 3; ++i) {
    test_clock::advance(1s);
    keeper.step();
    keeper.step(test_clock::time_point{});  // an older time changes nothing
  }
  CHECK(events.empty());
  test_clock::advance(1s);
  keeper.step();
  using enum failover_event;
  CHECK(events == std::vector{suspected, started, fenced, chosen, promoted, repointed, follows, follows, finished});
  CHECK(keeper.primary() == three);
  CHECK(n.primary == 3);
  CHECK(keeper.replicas() == std::vector{two, one});
  CHECK(keeper.epoch() == 2);
  CHECK(keeper.settled());
  CHECK_FALSE(keeper.fail_over(one));
  CHECK_FALSE(keeper.switch_over(three));  // no stop_writes
  CHECK_FALSE(keeper.accept_loss());
  CHECK_FALSE(keeper.add_replica(two));
  CHECK(keeper.add_replica(endpoint_id{9}));
  CHECK(keeper.remove_replica(endpoint_id{9}));
  CHECK_FALSE(keeper.remove_replica(endpoint_id{9}));
}

// A compiler that forgets what was there before a call that throws fails here.
TEST_CASE("failover: an action that throws has failed, whichever it is", "[replica][failover]") {
  using action = banyan::detail::failover_action;
  using result = banyan::detail::failover_result;
  bool works = true;
  const auto say = [&] {
    if (!works) throw std::runtime_error{"no"};
    return true;
  };
  const auto half_way = [&](endpoint_id id) {
    std::optional<failover_position> found{failover_position{id.value()}};
    if (!works) throw std::runtime_error{"no"};
    return found;
  };
  const auto changes = [&](endpoint_id, std::uint32_t) { return say(); };
  const auto asks = [&](endpoint_id) { return say(); };
  const auto actions = std::make_shared<const failover_actions>(
      failover_actions{.probe = half_way,
                       .confirm = asks,
                       .fence = changes,
                       .position = half_way,
                       .promote = changes,
                       .repoint = [&](const failover_handover&) { return say(); },
                       .follow = [&](endpoint_id, endpoint_id, std::uint32_t) { return say(); },
                       .stop_writes = changes,
                       .resume_writes = changes,
                       .drain = asks,
                       .save = [&](const failover_record&, const failover_record&) { return say(); }});
  const auto events = std::make_shared<banyan::detail::signal>();
  for (auto each = action::probe; each <= action::follow; each = static_cast<action>(static_cast<int>(each) + 1)) {
    for (const bool now_works : {true, false, true, false}) {
      works = now_works;
      const auto run = std::make_shared<banyan::detail::failover_run>(
          banyan::detail::failover_order{.number = 1, .action = each, .node = two});
      banyan::detail::failover_task{actions, run, events}();
      REQUIRE(run->at() == banyan::detail::failover_run::stage::ended);
      CHECK(run->answer().result == (works ? result::done : result::failed));
      if (!works) CHECK(run->answer().position == failover_position{});
    }
  }
}

TEST_CASE("failover: on its own threads, with actions that throw and one that hangs", "[replica][failover]") {
  nodes n;
  std::atomic<bool> release{false};
  std::atomic<int> hanging{0};
  std::atomic<int> tries{0};
  failover_actions actions = n.all();
  actions.position = [&](endpoint_id id) -> std::optional<failover_position> {
    if (id == three) {
      ++hanging;
      while (!release) std::this_thread::sleep_for(1ms);
      --hanging;
    }
    return failover_position{id.value()};
  };
  actions.promote = [&](endpoint_id, std::uint32_t) -> bool {
    if (++tries < 3) throw std::runtime_error{"not yet"};
    return true;
  };
  failover_options options = quick();
  options.timeout = 1s;  // of all: also on a machine that is busy, nothing but the hanging one takes so long
  options.choose_patience = 1ms;
  options.promote_attempts = 1000;
  std::mutex lock;
  std::vector<failover_event> events;
  {
    banyan::failover keeper{{.primary = one}, {two, three}, actions, options, [&](const failover_report& r) {
                              const std::lock_guard guard{lock};
                              events.push_back(r.event);
                            }};
    n.down = true;
    while (n.primary != 2) std::this_thread::sleep_for(1ms);
    CHECK(hanging <= 1);  // once, however often it was due
    release = true;
    while (!keeper.settled()) std::this_thread::sleep_for(1ms);
    CHECK(keeper.primary() == two);
  }
  CHECK(tries == 3);
  const std::lock_guard guard{lock};
  CHECK(events.back() == failover_event::finished);
}

TEST_CASE("failover: ends with what is under way, and does not begin what is not", "[replica][failover]") {
  nodes n;
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  failover_actions actions = n.all();
  actions.probe = [&](endpoint_id) -> std::optional<failover_position> {
    ++begun;
    std::this_thread::sleep_for(2ms);
    ++ended;
    return failover_position{1};
  };
  for (int round = 0; round < 20; ++round) {
    {
      const banyan::failover keeper{{.primary = one}, {two}, actions, quick()};
      while (begun <= round) std::this_thread::yield();
    }
    REQUIRE(begun == ended);
    begun = ended = round + 1;
  }
}

namespace {

// Runs what it got when it is told to.
class held_executor {
 public:
  void execute(banyan::task work) {
    const std::lock_guard lock{lock_};
    waiting_.push_back(std::move(work));
  }
  void run_one() {
    banyan::task next;
    {
      const std::lock_guard lock{lock_};
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next();
  }

 private:
  std::mutex lock_;
  std::deque<banyan::task> waiting_;
};

}  // namespace

TEST_CASE("failover: at its end what has not begun is not begun any more, also behind what is under way",
          "[replica][failover]") {
  // The second action is run within the first, which the end waits for. Whether that comes before the end has begun is
  // up to the scheduler, so it is enough to see it once.
  bool seen = false;
  for (int round = 0; round < 100 && !seen; ++round) {
    held_executor held;
    std::atomic<int> begun{0};
    std::atomic<bool> ending{false};
    nodes n;
    failover_actions actions = n.all();
    actions.follow = [&](endpoint_id, endpoint_id, std::uint32_t) {
      if (++begun == 1) {
        while (!ending) std::this_thread::yield();
        std::this_thread::sleep_for(1ms);
        held.run_one();
      }
      return true;
    };
    failover_options options = by_hand();
    options.executor = banyan::any_executor{std::ref(held)};
    options.timeout = 1h;
    std::optional<banyan::testing::joining_thread> runner;
    {
      banyan::failover keeper{{.primary = one, .settled = false}, {two, three}, actions, options};
      keeper.step();
      held.run_one();  // the probe
      runner.emplace([&] { held.run_one(); });
      while (begun == 0) std::this_thread::yield();
      ending = true;
    }
    runner.reset();
    seen = begun == 1;
  }
  CHECK(seen);
}

TEST_CASE("failover: goes on when memory was short", "[replica][failover]") {
  const auto report = banyan::testing::for_every_failing_allocation([] {
    test_clock::set({});
    nodes n;
    banyan::failover<test_clock> keeper{{.primary = one}, {two, three}, n.all(), by_hand()};
    const auto look = [&](int times) {
      for (int i = 0; i < times; ++i) {
        test_clock::advance(1s);
        try {
          keeper.step();
        } catch (const std::bad_alloc&) {  // again the next time
        }
      }
    };
    look(10);
    if (keeper.primary() != one || !keeper.settled()) throw std::logic_error{"one that works was replaced"};
    n.down = true;
    look(30);
    if (keeper.primary() != three || !keeper.settled()) throw std::logic_error{"it has stopped"};
  });
  INFO(report.describe());
  CHECK(report.clean());
  test_clock::set({});
}

TEST_CASE("failover: goes on from what was saved", "[replica][failover]") {
  for (const auto phase : {banyan::failover_phase::stopping, banyan::failover_phase::fencing,
                           banyan::failover_phase::promoting, banyan::failover_phase::repointing}) {
    test_clock::set({});
    nodes n;
    failover_record kept{.epoch = 5, .phase = phase, .primary = one};
    const bool named = phase == banyan::failover_phase::promoting || phase == banyan::failover_phase::repointing;
    if (named) kept.candidate = two;
    bool resumed = false;
    failover_actions actions = n.all();
    actions.stop_writes = [](endpoint_id, std::uint32_t) { return true; };
    actions.resume_writes = [&](endpoint_id, std::uint32_t) { return resumed = true; };
    actions.save = [&](const failover_record& record, const failover_record& before) {
      if (kept != before && kept != record) return false;
      kept = record;
      return true;
    };
    banyan::failover<test_clock> keeper{kept, {two, three}, actions, by_hand()};
    keeper.step();
    const bool stopping = phase == banyan::failover_phase::stopping;
    CHECK(keeper.primary() == (stopping ? one : named ? two : three));
    CHECK(resumed == stopping);
    CHECK(kept.phase == banyan::failover_phase::watching);
    CHECK(kept.epoch > 5);
    CHECK(kept.primary == keeper.primary());
    CHECK_FALSE(keeper.superseded());
    kept.epoch = 99;  // another one
    CHECK(keeper.fail_over(keeper.primary()));
    keeper.step();
    CHECK(keeper.superseded());
  }
}

TEST_CASE("failover: bad options, nodes and actions", "[replica][failover]") {
  using banyan::testing::refused_field;
  const auto with = [](auto change) {
    return refused_field([&] {
      failover_options options = by_hand();
      change(options);
      return check(options), 0;
    });
  };
  CHECK(with([](auto& o) { o.probe_interval = 0ns; }) == "failover_options.probe_interval");
  CHECK(with([](auto& o) { o.probes = 0; }) == "failover_options.probes");
  CHECK(with([](auto& o) { o.failures = 6; }) == "failover_options.failures");
  CHECK(with([](auto& o) { o.timeout = -1ns; }) == "failover_options.timeout");
  CHECK(with([](auto& o) { o.retry_interval = 0ns; }) == "failover_options.retry_interval");
  CHECK(with([](auto& o) { o.quiet_period = -1ns; }) == "failover_options.quiet_period");
  CHECK(with([](auto& o) { o.fence_patience = -1ns; }) == "failover_options.fence_patience");
  CHECK(with([](auto& o) { o.choose_patience = 25h; }) == "failover_options.choose_patience");
  CHECK(with([](auto& o) { o.promote_attempts = 0; }) == "failover_options.promote_attempts");
  CHECK(with([](auto& o) { o.drain_patience = -1ns; }) == "failover_options.drain_patience");
  CHECK(with([](auto& o) { o.switchover_timeout = 0ns; }) == "failover_options.switchover_timeout");

  nodes n;
  const auto made = [&](const failover_record& record, const std::vector<endpoint_id>& replicas, auto change) {
    return refused_field([&] {
      failover_actions actions = n.all();
      change(actions);
      return banyan::failover<test_clock>{record, replicas, actions, by_hand()}.epoch();
    });
  };
  const auto same = [](failover_actions&) {};
  CHECK(made({.primary = one}, {}, same).empty());
  CHECK(made({}, {two}, same) == "failover_record.primary");
  CHECK(made({.phase = banyan::failover_phase::promoting, .primary = one}, {two}, same) == "failover_record.candidate");
  using enum banyan::failover_phase;
  for (const auto phase : {confirming, draining, catching_up, choosing, static_cast<banyan::failover_phase>(99)})
    CHECK(made({.phase = phase, .primary = one}, {two}, same) == "failover_record.phase");
  for (const auto phase : {watching, fencing, promoting, repointing})
    CHECK(made({.phase = phase, .primary = one, .candidate = two}, {two}, same).empty());
  CHECK(made({.phase = stopping, .primary = one}, {two}, same) == "failover_actions.resume_writes");
  CHECK(made({.primary = one}, {one}, same) == "failover.replicas");
  CHECK(made({.primary = one}, {two, two}, same) == "failover.replicas");
  CHECK(made({.primary = one}, {endpoint_id{}}, same) == "failover.replicas");
  CHECK(made({.primary = one}, {two}, [](auto& a) { a.fence = nullptr; }) == "failover_actions.fence");
  CHECK(made({.primary = one}, {two}, [](auto& a) {
          a.stop_writes = [](endpoint_id, std::uint32_t) { return true; };
        }) == "failover_actions.resume_writes");
}
