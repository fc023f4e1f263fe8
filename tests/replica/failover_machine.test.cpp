#include <banyan/replica/detail/failover_machine.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::failover_event;
using banyan::failover_options;
using banyan::failover_phase;
using banyan::failover_record;
using banyan::detail::failover_action;
using banyan::detail::failover_answer;
using banyan::detail::failover_machine;
using banyan::detail::failover_order;
using banyan::detail::failover_result;
using banyan::testing::random_source;

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t second = 1'000 * ms;

// Servers that replicate, of which any may crash or be cut off. Writes have numbers; each server has a prefix of its
// own history.
struct world {
  struct server {
    std::vector<int> log;  // values of history h are from h * 1,000,000 on

    bool up = true;
    bool reachable = true;
    bool takes_writes = false;
    bool stopped = false;                // takes none for now
    std::optional<std::size_t> follows;  // whom it copies
    std::uint32_t epoch = 1;
  };

  explicit world(std::size_t count, std::uint32_t acknowledgements, std::uint64_t seed)
      : servers(count), acks{acknowledgements}, random{seed} {
    servers[0].takes_writes = true;
    for (std::size_t i = 1; i < count; ++i) servers[i].follows = 0;
  }

  static endpoint_id id(std::size_t index) { return endpoint_id{index + 1}; }
  static std::size_t index(endpoint_id node) { return static_cast<std::size_t>(node.value() - 1); }

  // A client writes to whom it takes for the primary.
  void write(std::size_t at) {
    server& s = servers[at];
    if (!s.up || !s.reachable || !s.takes_writes || s.stopped) return;
    const int value = static_cast<int>(s.epoch) * 1'000'000 + next++;
    s.log.push_back(value);
    if (acks == 0) {
      acknowledged.insert(value);
      return;
    }
    std::uint32_t got = 0;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (got < acks && i != at && copies(i, at)) {
        servers[i].log = s.log;
        ++got;
      }
    }
    if (got >= acks) acknowledged.insert(value);
  }

  [[nodiscard]] bool copies(std::size_t replica, std::size_t from) const {
    const server& r = servers[replica];
    const server& p = servers[from];
    return r.follows == from && r.up && p.up && r.reachable && p.reachable && r.epoch <= p.epoch &&
           r.log.size() <= p.log.size() && std::equal(r.log.begin(), r.log.end(), p.log.begin());
  }

  void replicate() {
    for (std::size_t i = 0; i < servers.size(); ++i) {
      server& r = servers[i];
      if (!r.follows || !copies(i, *r.follows) || !random.chance(1, 2)) continue;
      const auto& from = servers[*r.follows].log;
      while (r.log.size() < from.size() && random.chance(3, 4)) r.log.push_back(from[r.log.size()]);
    }
  }

  [[nodiscard]] std::size_t primaries() const {
    return static_cast<std::size_t>(
        std::count_if(servers.begin(), servers.end(), [](const server& s) { return s.takes_writes; }));
  }
  [[nodiscard]] bool lost() const {  // an acknowledged write that no writing primary has
    for (const server& s : servers) {
      if (!s.takes_writes) continue;
      const std::set<int> has(s.log.begin(), s.log.end());
      return !std::includes(has.begin(), has.end(), acknowledged.begin(), acknowledged.end());
    }
    return false;
  }

  // What an action does. Whether it is heard of is another matter.
  failover_answer perform(const failover_order& order) {
    server& s = servers[index(order.node)];
    const failover_answer failed{};
    const auto history = s.log.empty() ? 0U : static_cast<std::uint32_t>(s.log.back() / 1'000'000);
    const failover_answer done{failover_result::done, {s.log.size(), history}};
    const failover_answer no{failover_result::refused, {}};
    switch (order.action) {
      case failover_action::probe:
        return s.up && s.reachable && s.takes_writes ? done : failed;
      case failover_action::confirm:
        return s.up && s.reachable ? no : done;
      case failover_action::fence:  // of the machine, whether it is up or not
        s.takes_writes = false;
        s.follows.reset();
        s.up = false;
        s.epoch = std::max(s.epoch, order.epoch);
        return done;
      case failover_action::position:
        return s.up && s.reachable ? done : failed;
      case failover_action::promote:
        if (!s.up || !s.reachable || order.epoch < s.epoch) return failed;
        s.takes_writes = true;
        s.stopped = false;
        s.follows.reset();
        s.epoch = order.epoch;
        return done;
      case failover_action::repoint:
        client = index(order.node);
        return done;
      case failover_action::follow: {
        const server& p = servers[index(order.other)];
        if (!s.reachable || !p.up || !p.reachable || order.epoch < s.epoch) return failed;
        s.up = true;
        s.takes_writes = false;
        s.stopped = false;
        s.follows = index(order.other);
        s.epoch = order.epoch;
        const auto [mine, theirs] = std::mismatch(s.log.begin(), s.log.end(), p.log.begin(), p.log.end());
        static_cast<void>(theirs);
        s.log.erase(mine, s.log.end());  // rewound
        return done;
      }
      case failover_action::stop_writes:
        if (!s.up || !s.reachable || !s.takes_writes || order.epoch < s.epoch) return failed;
        s.epoch = order.epoch;
        s.stopped = true;
        return done;
      case failover_action::resume_writes:
        if (!s.up || !s.reachable || order.epoch < s.epoch) return failed;
        s.epoch = order.epoch;
        s.stopped = false;
        return done;
      case failover_action::drain:
        return done;
      case failover_action::save:
        if (saved != order.before && saved != order.record) return no;
        saved = order.record;
        return done;
    }
    return failed;
  }

  std::vector<server> servers;
  std::uint32_t acks;
  random_source random;
  int next = 1;
  std::set<int> acknowledged;
  std::size_t client = 0;
  failover_record saved{};
};

failover_options quick() {
  failover_options options;
  options.probe_interval = 100ms;
  options.timeout = 200ms;
  options.retry_interval = 100ms;
  options.quiet_period = 0s;
  options.choose_patience = 300ms;
  options.drain_patience = 100ms;
  options.switchover_timeout = 2s;
  return options;
}

constexpr failover_machine::abilities all_abilities{.confirm = true, .drain = true, .save = true, .switchover = true};

// A machine with its orders carried out at once.
struct exact_run {
  explicit exact_run(failover_options with = quick(), failover_machine::abilities has = {}, std::size_t servers = 3)
      : w{servers, with.acknowledgements, 1},
        options{with},
        machine{options, has, {.primary = world::id(0)}, others(servers)} {
    w.saved = {.primary = world::id(0)};
  }

  static std::vector<endpoint_id> others(std::size_t servers) {
    std::vector<endpoint_id> ids;
    for (std::size_t i = 1; i < servers; ++i) ids.push_back(world::id(i));
    return ids;
  }

  // `fails`: these actions do nothing and answer so.
  void run(std::int64_t length, const std::set<failover_action>& fails = {}) {
    for (const std::int64_t end = now + length; now < end; now += 10 * ms) {
      for (bool again = true; again;) {
        machine.advance(now);
        for (const auto& r : machine.take_reports()) events.push_back(r.event);
        const auto orders = machine.take_orders();
        again = !orders.empty();
        for (const auto& o : orders) {
          done.push_back(o);
          const auto answer = fails.count(o.action) != 0 ? failover_answer{} : w.perform(o);
          machine.answer(o.number, answer, now);
        }
      }
    }
  }
  [[nodiscard]] std::size_t count(failover_event e) const {
    return static_cast<std::size_t>(std::count(events.begin(), events.end(), e));
  }
  [[nodiscard]] std::size_t count(failover_action a) const {
    return static_cast<std::size_t>(
        std::count_if(done.begin(), done.end(), [a](const failover_order& o) { return o.action == a; }));
  }

  world w;
  failover_options options;
  failover_machine machine;
  std::int64_t now = 0;
  std::vector<failover_event> events;
  std::vector<failover_order> done;
};

}  // namespace

TEST_CASE("failover_machine: a crashed primary is fenced, the most advanced replica promoted, the rest follows",
          "[replica][failover]") {
  exact_run r{quick(), all_abilities};
  r.w.servers[0].log = {1, 2, 3, 4};
  r.w.servers[1].log = {1};
  r.w.servers[2].log = {1, 2, 3};
  r.run(1 * second);
  CHECK(r.events.empty());
  r.w.servers[0].up = false;
  r.run(2 * second);
  using enum failover_event;
  CHECK(r.events ==
        std::vector{suspected, started, fenced, drained, chosen, promoted, repointed, follows, follows, finished});
  CHECK(r.machine.primary() == world::id(2));
  CHECK(r.machine.epoch() == 2);
  CHECK(r.machine.settled());
  CHECK(r.w.client == 2);
  CHECK(r.w.servers[0].follows == 2U);
  CHECK(r.w.servers[1].follows == 2U);
  CHECK((r.w.saved == failover_record{.epoch = 2, .phase = failover_phase::watching, .primary = world::id(2)}));
}

TEST_CASE("failover_machine: one failed probe, or as many as are not enough, is no reason", "[replica][failover]") {
  exact_run r;
  for (int i = 0; i < 20; ++i) {  // three of five
    r.run(300 * ms, {failover_action::probe});
    r.run(200 * ms);
  }
  CHECK(r.events.empty());
  r.run(400 * ms, {failover_action::probe});
  CHECK(r.count(failover_event::suspected) == 1);
}

TEST_CASE("failover_machine: what others do not confirm is no failover", "[replica][failover]") {
  exact_run r{quick(), {.confirm = true}};
  r.run(2 * second, {failover_action::probe});
  CHECK(r.count(failover_event::suspected) >= 1);
  CHECK(r.count(failover_event::cleared) == r.count(failover_event::suspected));
  CHECK(r.count(failover_action::fence) == 0);
  CHECK(r.machine.phase() == failover_phase::watching);
}

TEST_CASE("failover_machine: without a fence there is no new primary, unless it is told so", "[replica][failover]") {
  exact_run r;
  r.w.servers[0].up = false;
  r.run(60 * second, {failover_action::fence});
  CHECK(r.count(failover_action::promote) == 0);
  CHECK(r.machine.phase() == failover_phase::fencing);
  r.run(1 * second);
  CHECK(r.machine.primary() == world::id(1));

  failover_options rash = quick();
  rash.fence_patience = 5s;
  exact_run s{rash};
  s.w.servers[0].up = false;
  s.run(4 * second, {failover_action::fence});
  CHECK(s.count(failover_action::promote) == 0);
  s.run(4 * second, {failover_action::fence});
  CHECK(s.count(failover_event::fence_given_up) == 1);
  CHECK(s.machine.primary() == world::id(1));
}

TEST_CASE("failover_machine: not to and fro", "[replica][failover]") {
  failover_options options = quick();
  options.quiet_period = 1min;
  exact_run r{options};
  r.w.servers[0].up = false;
  r.run(3 * second);
  REQUIRE(r.machine.primary() == world::id(1));
  r.w.servers[1].up = false;
  r.run(30 * second);
  CHECK(r.count(failover_event::held_back) == 1);
  CHECK(r.machine.primary() == world::id(1));
  CHECK_FALSE(r.machine.request_failover(world::id(0)));  // that was long ago
  CHECK(r.machine.request_failover(world::id(1)));
  CHECK_FALSE(r.machine.request_failover(world::id(1)));
  r.run(2 * second);
  CHECK(r.machine.primary() != world::id(1));
}

TEST_CASE("failover_machine: with acknowledgements, so many replicas answer that one has the last write",
          "[replica][failover]") {
  failover_options options = quick();
  options.acknowledgements = 1;
  exact_run r{options};
  r.w.servers[0].log = {1, 2};
  r.w.servers[1].log = {1};
  r.w.servers[2].log = {1, 2};  // has acknowledged
  r.w.servers[2].up = false;
  r.w.servers[0].up = false;
  r.run(10 * second);
  CHECK(r.count(failover_event::waiting) == 1);
  CHECK(r.count(failover_action::promote) == 0);
  SECTION("it comes back") {
    r.w.servers[2].up = true;
    r.run(1 * second);
    CHECK(r.machine.primary() == world::id(2));
  }
  SECTION("somebody decides that it does not") {
    CHECK(r.machine.accept_loss());
    r.run(1 * second);
    CHECK(r.machine.primary() == world::id(1));
  }
}

TEST_CASE("failover_machine: a replica too far behind is not promoted", "[replica][failover]") {
  failover_options options = quick();
  options.max_loss = 1;
  exact_run r{options};
  r.w.servers[0].log = {1, 2, 3};
  r.w.servers[1].log = {1};
  r.run(1 * second);
  r.w.servers[0].up = false;
  r.run(5 * second);
  CHECK(r.count(failover_event::waiting) == 1);
  r.w.servers[2].log = {1, 2};
  r.run(1 * second);
  CHECK(r.machine.primary() == world::id(2));
}

TEST_CASE("failover_machine: a candidate that cannot be promoted is fenced before another is", "[replica][failover]") {
  exact_run r;
  r.w.servers[1].log = {1, 2};
  r.w.servers[2].log = {1};
  r.w.servers[0].log = {1, 2};
  r.w.servers[0].up = false;
  r.run(790 * ms, {failover_action::promote});
  CHECK(r.count(failover_event::not_promoted) == 3);
  CHECK(r.count(failover_event::candidate_failed) == 1);
  CHECK_FALSE(r.w.servers[1].up);  // fenced
  r.run(2 * second);
  CHECK(r.machine.primary() == world::id(2));
  CHECK(r.machine.epoch() == 3);
}

TEST_CASE("failover_machine: planned, no write is lost and none is acknowledged twice", "[replica][failover]") {
  exact_run r{quick(), all_abilities};
  CHECK_FALSE(r.machine.request_switchover(world::id(1), {}));
  CHECK_FALSE(r.machine.request_switchover(world::id(0), world::id(7)));
  REQUIRE(r.machine.request_switchover(world::id(0), world::id(2)));
  r.w.servers[0].log = {1, 2, 3};
  r.w.servers[1].log = {1, 2, 3};
  r.run(1 * second);
  CHECK(r.machine.phase() == failover_phase::catching_up);
  CHECK(r.w.servers[0].stopped);
  r.w.servers[2].log = {1, 2, 3};
  r.run(1 * second);
  CHECK(r.machine.primary() == world::id(2));
  CHECK(r.w.servers[2].log.size() == 3);
  CHECK(r.machine.settled());
}

TEST_CASE("failover_machine: a switchover that takes too long, or fails, lets writes go on", "[replica][failover]") {
  for (const auto fails : {failover_action::probe, failover_action::stop_writes, failover_action::drain,
                           failover_action::position, failover_action::save}) {
    CAPTURE(static_cast<int>(fails));
    exact_run r{quick(), all_abilities};
    r.w.servers[0].log = {1, 2, 3};
    if (fails == failover_action::save) r.w.servers[1].log = r.w.servers[0].log;
    REQUIRE(r.machine.request_switchover(world::id(0), {}));
    r.run(100 * ms, {fails});
    r.run(3 * second, {fails == failover_action::probe ? failover_action::confirm : fails});
    CHECK(r.count(failover_event::aborted) == 1);
    CHECK(r.count(failover_event::writes_resumed) == 1);
    CHECK(r.count(failover_action::fence) == 0);
    CHECK_FALSE(r.w.servers[0].stopped);
    CHECK(r.machine.primary() == world::id(0));
    r.run(3 * second);
    CHECK(r.machine.settled());
    if (fails == failover_action::save) CHECK(r.w.saved.phase == failover_phase::watching);
  }
}

TEST_CASE("failover_machine: whose record is refused does nothing any more", "[replica][failover]") {
  failover_machine machine{quick(), {.save = true}, {.primary = world::id(0)}, exact_run::others(3)};
  REQUIRE(machine.request_failover(world::id(0)));
  machine.advance(0);
  const auto orders = machine.take_orders();
  REQUIRE(orders.size() == 1);
  CHECK(orders[0].action == failover_action::save);
  machine.answer(orders[0].number, {failover_result::refused, {}}, 0);
  machine.advance(1000 * second);
  CHECK(machine.superseded());
  CHECK(machine.take_orders().empty());
  CHECK_FALSE(machine.request_failover(world::id(0)));
}

TEST_CASE("failover_machine: an action that hangs is not begun again, and its late answer says nothing",
          "[replica][failover]") {
  failover_machine machine{quick(), {}, {.primary = world::id(0)}, exact_run::others(3)};
  machine.advance(0);
  auto orders = machine.take_orders();
  REQUIRE(orders.size() == 1);
  const auto hanging = orders[0].number;
  std::int64_t now = 0;
  for (; machine.phase() == failover_phase::watching && now < 100 * second; now += 10 * ms) {
    machine.advance(now);
    REQUIRE(machine.next_event() > now);  // nobody looks again and again meanwhile
    for (const auto& o : machine.take_orders()) REQUIRE(o.action != failover_action::probe);
  }
  CHECK(machine.phase() == failover_phase::fencing);  // the hanging one failed again and again
  CHECK(now < 2 * second);
  machine.answer(hanging, {failover_result::done, {5}}, now);
  CHECK(machine.phase() == failover_phase::fencing);
}

TEST_CASE("failover_machine: never two primaries, no acknowledged write lost, and one in the end, whatever happens",
          "[replica][failover]") {
  const std::uint64_t seed = banyan::testing::derived_seed("failovers in a bad world");
  CAPTURE(seed);
  random_source seeds{seed};
  std::map<failover_event, int> seen;
  for (int round = 0; round < 800; ++round) {
    const std::uint64_t mine = seeds();
    CAPTURE(round, mine);
    random_source random{mine};
    const std::size_t count = 3 + random.below(2);
    failover_options options = quick();
    options.acknowledgements = 1 + static_cast<std::uint32_t>(random.below(2));
    world w{count, options.acknowledgements, mine};
    failover_machine::abilities has{
        .confirm = random.chance(1, 2), .drain = random.chance(1, 2), .save = true, .switchover = true};
    for (auto& server : w.servers) server.log = {1'000'000};
    w.saved = {.primary = world::id(0)};
    auto machine = std::make_unique<failover_machine>(options, has, w.saved, exact_run::others(count));
    std::multimap<std::int64_t, std::pair<int, failover_order>> running;  // and of which process
    int process = 0;
    std::uint32_t epoch = 1;
    const std::int64_t calm = 10 * second;
    std::int64_t now = 0;
    for (; now < 30 * second; now += 10 * ms) {
      const bool bad = now < calm;
      if (random.chance(1, 8)) w.write(w.client);
      w.replicate();
      if (bad && random.chance(1, 100)) {
        auto& s = w.servers[random.below(count)];
        switch (random.below(4)) {
          case 0:
            s.up = false;
            break;
          case 1:
            s.up = true;  // as what it was
            break;
          case 2:
            s.reachable = false;
            break;
          default:
            s.reachable = true;
        }
      }
      if (!bad) {
        for (auto& s : w.servers) s.up = s.reachable = true;
      }
      if (now < 25 * second && random.chance(1, 200))
        static_cast<void>(machine->request_switchover(machine->primary(), {}));
      if (machine->superseded() || (bad && random.chance(1, 500))) {
        // The process ends, and another goes on from the record. What was under way still happens.
        std::vector<endpoint_id> others;
        for (std::size_t i = 0; i < count; ++i) {
          if (world::id(i) != w.saved.primary) others.push_back(world::id(i));
        }
        machine = std::make_unique<failover_machine>(options, has, w.saved, others);
        ++process;
      }
      machine->advance(now);
      for (const auto& o : machine->take_orders()) {
        const std::int64_t takes = bad && random.chance(1, 5) ? static_cast<std::int64_t>(random.below(600)) * ms
                                                              : static_cast<std::int64_t>(random.below(30)) * ms;
        running.emplace(now + takes, std::pair{process, o});
      }
      while (!running.empty() && running.begin()->first <= now) {
        const auto [owner, o] = running.begin()->second;
        running.erase(running.begin());
        failover_answer answer;
        if (!bad || !random.chance(1, 8)) answer = w.perform(o);     // else it throws before it does anything
        if (bad && random.chance(1, 8)) answer = failover_answer{};  // or after
        if (owner == process) machine->answer(o.number, answer, now);
      }
      for (const auto& r : machine->take_reports()) ++seen[r.event];
      if (w.primaries() > 1) FAIL("two primaries at " << now / ms << " ms");
      if (now % (100 * ms) == 0 && w.lost()) FAIL("a write is lost at " << now / ms << " ms");
      epoch = std::max(epoch, machine->epoch());
    }
    REQUIRE(w.primaries() == 1);
    const auto& primary = w.servers[world::index(machine->primary())];
    REQUIRE(primary.takes_writes);
    REQUIRE(w.client == world::index(machine->primary()));
    REQUIRE_FALSE(primary.stopped);
    REQUIRE(machine->settled());
  }
  for (int i = 0; i <= static_cast<int>(failover_event::finished); ++i) {
    const auto e = static_cast<failover_event>(i);
    CAPTURE(to_string(e));
    const bool never = e == failover_event::held_back || e == failover_event::fence_given_up;
    CHECK((seen[e] == 0) == never);
  }
}
