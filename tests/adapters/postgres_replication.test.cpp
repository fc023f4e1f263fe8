#include "support/catch.hpp"

#if !defined(BANYAN_TEST_LIBPQ)

TEST_CASE("postgres replication: skipped, this build has no libpq") { SUCCEED(); }

#else

#include <banyan/replica/failover.hpp>
#include <banyan/replica/lag_monitor.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "postgres_servers.hpp"
#include "postgres_sessions.hpp"
#include "support/session_promises.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::failover_event;
using banyan::testing::broken_promises;
using banyan::testing::session_event;

/// The steps of a failover, for a test that waits for one and says how far it has come when it does not.
class step_list {
 public:
  void add(const banyan::failover_report& step, std::size_t server) {
    const std::lock_guard lock{lock_};
    events_.push_back(step.event);
    text_ += std::string{to_string(step.event)} + " s" + std::to_string(server) + " epoch " +
             std::to_string(step.epoch) + " at " + std::to_string(step.position) + '\n';
  }
  [[nodiscard]] std::ptrdiff_t count(failover_event event) const {
    const std::lock_guard lock{lock_};
    return std::count(events_.begin(), events_.end(), event);
  }
  [[nodiscard]] std::string text() const {
    const std::lock_guard lock{lock_};
    return text_;
  }

  /// Gives up after minutes, far beyond what the slowest machine takes, to tell the steps rather than be killed.
  template <class Condition>
  void wait_until(const char* what, Condition holds) const {
    const auto end = std::chrono::steady_clock::now() + 5min;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) {
        std::fprintf(stderr, "waited for: %s\n%s", what,
                     text().c_str());  // now: a writer may keep the test from ending
        FAIL("waited for: " << what);
      }
      std::this_thread::sleep_for(5ms);
    }
  }

 private:
  mutable std::mutex lock_;
  std::vector<failover_event> events_;
  std::string text_;
};

bool has(const postgres::database& d, std::uint64_t id) {
  return d.monitored->use([&](banyan::pq_connection& c) {
    return c.exec_params("select 1 from post where id = $1::int", {std::to_string(id)}).rows() == 1;
  });
}

std::chrono::nanoseconds now() { return banyan::steady_clock::now().time_since_epoch(); }

}  // namespace

TEST_CASE("postgres replication: positions, a paused replica, a killed primary, planned switchovers",
          "[replica][postgres]") {
  using postgres::ask;
  if (postgres::servers() == nullptr) return;
  std::uint64_t created = 0;
  for (std::size_t server = 0; server < 3; ++server) {
    banyan::pq_connection c = postgres::connect(server);
    if (server == 0) (void)c.exec("create table post (id int primary key)");
    // A write is acknowledged when one replica has it on its disk, whoever is the primary. A server's own name in the
    // list does no harm.
    postgres::set_option(c, "synchronous_standby_names", "'ANY 1 (s0, s1, s2)'");
    if (server == 0) created = postgres::number(ask(c, "select (" + postgres::position_here + ")::text"));
  }

  step_list steps;
  postgres::primary_positions positions;
  postgres::set_type set{{.wait = 0ms, .primary_share = 1}};
  postgres::failover_of_servers act{set, {}};
  const postgres::database two{2};
  act.ids.push_back(set.add_primary(postgres::database{0}));
  act.ids.push_back(set.add_replica(postgres::database{1}));
  act.ids.push_back(set.add_replica(two));
  banyan::lag_monitor monitor{
      set, [&](postgres::database& d) { return positions.how_far(d); }, {.interval = 20ms, .timeout = 10s}};
  steps.wait_until("replicas that have the table", [&] {
    return set.status(act.ids[1])->position >= created && set.status(act.ids[2])->position >= created;
  });
  const banyan::read_options own_writes{.consistency = banyan::read_your_writes, .wait = 20s};

  // 1. A session reads what it has written, from a replica, while one of the two has stopped applying.
  banyan::consistency_token session;
  banyan::pq_connection paused = postgres::connect(2);
  const auto pause = [&] {
    (void)paused.exec("select pg_wal_replay_pause()");
    steps.wait_until("a pause", [&] { return ask(paused, "select pg_get_wal_replay_pause_state()") == "paused"; });
  };
  pause();
  {
    // Beside it, what its history would be with a mistake: the checker sees it.
    std::vector<session_event> right;
    std::vector<session_event> without_token;
    std::vector<session_event> without_level;
    banyan::pq_connection c = postgres::connect(0);
    for (std::uint64_t i = 1; i <= 20; ++i) {
      auto w = set.write();
      REQUIRE(w->server == 0);
      w.wrote(session, postgres::insert(c, i));
      const auto shown = [&](auto r) {
        return banyan::testing::session_read{.level = banyan::read_your_writes,
                                             .seen = r->monitored->use(postgres::read_all).ids,
                                             .began = now(),
                                             .ended = now()};
      };
      for (auto* each : {&right, &without_token, &without_level})
        each->push_back(banyan::testing::session_write{.id = i, .at = now()});
      for (int reads = 0; reads < 2; ++reads) {
        auto r = set.read(session, own_writes);
        REQUIRE(r.outcome() == banyan::read_outcome::replica);
        REQUIRE(r->server == 1);
        right.push_back(shown(std::move(r)));
        without_token.push_back(shown(set.read(banyan::consistency_token{}, own_writes)));
        without_level.push_back(shown(set.read(session, {.consistency = banyan::eventual})));
      }
    }
    CHECK(broken_promises(right).empty());
    CHECK_FALSE(broken_promises(without_token).empty());
    CHECK_FALSE(broken_promises(without_level).empty());
    CHECK_FALSE(has(two, 20));
  }

  // 2. The same with several sessions at all levels, whose history is recorded; and what was not applied comes.
  postgres::recorded_sessions sessions{set, 4};
  const auto goes_on = [&] {
    steps.wait_until("writes and reads of replicas",
                     [&, writes = sessions.acknowledged() + 10, reads = sessions.replica_reads() + 40] {
                       return sessions.acknowledged() >= writes && sessions.replica_reads() >= reads;
                     });
  };
  goes_on();
  CHECK_FALSE(has(two, 20));
  (void)paused.exec("select pg_wal_replay_resume()");
  steps.wait_until("what was not applied",
                   [&] { return set.status(act.ids[2])->position >= session.position() && has(two, 20); });
  pause();  // when it is promoted, or its primary's successor is, it must apply what it has received all the same

  // 3. The primary dies under load. Its most advanced replica takes over.
  std::uint32_t told = 1;
  act.before_repointing = [&](const banyan::failover_handover& to) {
    if (told == to.epoch) return;  // asked again
    sessions.new_primary(to.epoch, act.promoting, act.links[act.server(to.primary)].use(postgres::read_all).ids);
    told = to.epoch;
  };
  banyan::failover keeper{{.primary = act.ids[0]},
                          {act.ids[1], act.ids[2]},
                          act.all(),
                          {.probe_interval = 50ms,
                           .probes = 3,
                           .failures = 2,
                           .timeout = 1min,
                           .retry_interval = 100ms,
                           .quiet_period = 0s,
                           .acknowledgements = 1,
                           .choose_patience = 20s,
                           .switchover_timeout = 1min},
                          [&](const banyan::failover_report& r) { steps.add(r, act.server(r.node)); }};
  act.kill(0);
  steps.wait_until("a new primary", [&] { return steps.count(failover_event::repointed) == 1; });
  goes_on();
  steps.wait_until("its replicas", [&] { return steps.count(failover_event::finished) == 1 && keeper.settled(); });
  const auto second = keeper.primary();
  CHECK(second != act.ids[0]);

  // 4. Planned switchovers under load: back to server 0, which has caught up as a replica, and away from it again.
  for (const auto& [from, to] : {std::pair{second, act.ids[0]}, std::pair{act.ids[0], second}}) {
    const auto before = steps.count(failover_event::repointed);
    REQUIRE(keeper.switch_over(from, to));
    steps.wait_until("a switchover", [&] {
      return steps.count(failover_event::repointed) > before || steps.count(failover_event::aborted) != 0;
    });
    INFO(steps.text());
    REQUIRE(steps.count(failover_event::aborted) == 0);
    CHECK(keeper.primary() == to);
    CHECK(set.primary() == to);
    goes_on();
    steps.wait_until("its replicas", [&] { return keeper.settled(); });
  }
  CHECK(keeper.epoch() > 3);
  sessions.stop();

  // Of what was acknowledged nothing is lost, no promise was broken, and the session that began under the first primary
  // still reads what it wrote.
  INFO(steps.text());
  const std::size_t last = act.server(second);
  banyan::pq_connection c = postgres::connect(last);
  CHECK(ask(c, "show synchronous_standby_names") == "ANY 1 (s0, s1, s2)");
  const auto there = postgres::read_all(c).ids;
  const auto missing =
      std::count_if(sessions.acknowledged_ids().begin(), sessions.acknowledged_ids().end(),
                    [&](std::uint64_t id) { return std::find(there.begin(), there.end(), id) == there.end(); });
  CHECK(missing == 0);
  CHECK(banyan::testing::lost_writes(sessions.history()).empty());
  const auto broken = broken_promises(sessions.history());
  CHECK(broken.size() == 0);
  if (!broken.empty()) FAIL_CHECK(broken.front());
  CHECK(sessions.acknowledged_ids().size() >= 40);
  CHECK(sessions.replica_reads() >= 160);
  for (int i = 0; i < 4; ++i) {
    auto r = set.read(session, own_writes);
    REQUIRE(r);
    CHECK(r.outcome() == banyan::read_outcome::replica);
    CHECK(has(*r, 20));
  }
}

#endif
