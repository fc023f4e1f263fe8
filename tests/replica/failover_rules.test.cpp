#include <banyan/replica/detail/failover_machine.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::failover_phase;
using banyan::failover_position;
using banyan::detail::failover_action;
using banyan::detail::failover_answer;
using banyan::detail::failover_machine;
using banyan::detail::failover_members;
using banyan::detail::failover_order;
using banyan::detail::failover_orders;
using banyan::detail::failover_result;

const endpoint_id one{1};
const endpoint_id two{2};
const endpoint_id three{3};
constexpr std::int64_t ms = 1'000'000;

// A planned switchover, of which each order is answered at once.
struct switchover {
  switchover() {
    banyan::failover_options options;
    options.retry_interval = 100ms;
    options.switchover_timeout = 2s;
    machine.emplace(options, failover_machine::abilities{.switchover = true}, banyan::failover_record{.primary = one},
                    std::vector{two, three});
  }
  void run(std::int64_t length) {
    for (const std::int64_t end = now + length; now < end; now += 10 * ms) {
      machine->advance(now);
      for (const failover_order& each : machine->take_orders()) {
        done.push_back(each);
        failover_answer given{failover_result::done, {}};
        if (each.action == failover_action::position) given.position = at[each.node.value()];
        if (each.action == refused) given = {};
        machine->answer(each.number, given, now);
      }
    }
  }
  [[nodiscard]] std::uint32_t epoch_of(failover_action action) const {
    for (const failover_order& each : done) {
      if (each.action == action) return each.epoch;
    }
    return 0;
  }

  std::optional<failover_machine> machine;
  failover_position at[4]{};  // by node
  failover_action refused = failover_action::confirm;
  std::int64_t now = 0;
  std::vector<failover_order> done;
};

const auto idle = [](endpoint_id) { return false; };

}  // namespace

TEST_CASE("failover_members: of whom it is not known that it follows, only a position with a history counts",
          "[replica][failover]") {
  failover_members members;
  members.add(two);
  members.add(three);
  members.find(two)->to_follow = true;
  members.find(two)->position = failover_position{9};
  members.find(three)->position = failover_position{5};
  const failover_members::rules rules{.max_loss = 100};
  CHECK(members.choose(rules, idle).best == three);
  members.find(two)->position = failover_position{9, 1};
  CHECK(members.choose(rules, idle).best == two);
}

TEST_CASE("failover_members: nobody to whom something is still being done", "[replica][failover]") {
  failover_members members;
  members.add(two);
  members.add(three);
  members.find(two)->position = failover_position{9};
  members.find(three)->position = failover_position{5};
  const auto second_is_busy = [](endpoint_id id) { return id == two; };
  CHECK(members.choose({.max_loss = 100}, second_is_busy).best == three);
  // Where a write is acknowledged by some, the most advanced is waited for.
  CHECK_FALSE(members.choose({.acknowledgements = 1, .max_loss = 100}, second_is_busy).best);
}

TEST_CASE("failover_orders: of what makes a node what it is, one at a time, also of what was given up",
          "[replica][failover]") {
  failover_orders orders;
  const auto issue = [&](failover_action action, endpoint_id node) {
    return orders.issue({.action = action, .node = node}, 100);
  };
  REQUIRE(issue(failover_action::follow, two));
  CHECK_FALSE(issue(failover_action::promote, two));
  CHECK_FALSE(issue(failover_action::stop_writes, two));
  CHECK(issue(failover_action::promote, three));
  CHECK(issue(failover_action::position, two));
  CHECK(issue(failover_action::fence, two));
  const auto number = orders.take().front().number;
  orders.give_up_all();
  CHECK_FALSE(issue(failover_action::promote, two));
  CHECK(orders.busy(two));
  CHECK_FALSE(orders.answered(number));
  CHECK(issue(failover_action::promote, two));
}

TEST_CASE("failure_window: what failed long ago counts no more", "[replica][failover]") {
  banyan::detail::failure_window window{3, 2, 10};
  window.record(0, true);
  window.record(5, true);
  CHECK(window.suspect(10));
  CHECK_FALSE(window.suspect(11));
  window.record(11, true);
  CHECK(window.suspect(11));
  window.record(12, false);
  window.record(13, false);
  CHECK_FALSE(window.suspect(13));
}

TEST_CASE("failover_machine: a switchover goes to nobody whose log is longer, but of another history",
          "[replica][failover]") {
  switchover s;
  s.at[1] = {3, 1};
  s.at[2] = {9, 2};
  s.at[3] = {3, 1};
  REQUIRE(s.machine->request_switchover(one, {}));
  s.run(1'000 * ms);
  CHECK(s.machine->primary() == three);
}

TEST_CASE("failover_machine: a switchover asks for the primary's position anew, not for that of one before",
          "[replica][failover]") {
  switchover s;
  s.at[1] = failover_position{3};
  REQUIRE(s.machine->request_switchover(one, {}));
  s.run(3'000 * ms);
  REQUIRE(s.machine->settled());  // given up: nobody had caught up
  CHECK(s.machine->primary() == one);
  s.at[1] = failover_position{5};
  s.at[2] = failover_position{3};
  REQUIRE(s.machine->request_switchover(one, {}));
  s.run(1'000 * ms);
  CHECK(s.machine->primary() == one);
  s.at[2] = failover_position{5};
  s.run(500 * ms);
  CHECK(s.machine->primary() == two);
}

TEST_CASE("failover_machine: writes are let go on in the name of a later epoch than they were stopped in",
          "[replica][failover]") {
  switchover s;
  s.refused = failover_action::stop_writes;
  REQUIRE(s.machine->request_switchover(one, {}));
  s.run(500 * ms);
  REQUIRE(s.epoch_of(failover_action::stop_writes) == 2);
  CHECK(s.epoch_of(failover_action::resume_writes) == 3);
  CHECK(s.machine->settled());
}
