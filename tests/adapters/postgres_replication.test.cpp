#include "support/catch.hpp"

#if !defined(BANYAN_TEST_LIBPQ)

TEST_CASE("postgres replication: skipped, this build has no libpq") { SUCCEED(); }

#else

#include <banyan/adapters/libpq.hpp>
#include <banyan/balance/round_robin.hpp>
#include <banyan/replica/failover.hpp>
#include <banyan/replica/lag_monitor.hpp>
#include <banyan/replica/replica_set.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../../examples/private_postgres_set.hpp"
#include "support/joining_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::failover_event;
using banyan::failover_position;
using banyan::pq_connection;
using banyan::replica_report;

// The servers live as long as the program; one set for all tests here. None where no PostgreSQL is installed.
private_postgres_set* servers() {
  static private_postgres_set only;
  if (only.missing().empty()) return &only;
  WARN(only.missing());
  return nullptr;
}

pq_connection connect(std::size_t server) {
  return pq_connection::connect(servers()->conninfo(server) + " connect_timeout=5");
}
std::string ask(pq_connection& c, const std::string& sql) { return std::string{c.exec(sql).value(0, 0).value_or("")}; }

// An LSN as the number that it is.
const std::string as_number = " - '0/0')::numeric::text";
std::uint64_t number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

// A connection that is kept, as logging in costs milliseconds of computing on both sides; after an error a new one.
class link {
 public:
  explicit link(std::size_t server) : server_{server} {}

  template <class F>
  auto use(F f) {
    const std::lock_guard lock{lock_};
    try {
      if (!connection_) connection_.emplace(connect(server_));
      return f(*connection_);
    } catch (...) {
      connection_.reset();
      throw;
    }
  }

 private:
  const std::size_t server_;
  std::mutex lock_;
  std::optional<pq_connection> connection_;
};

struct database {
  std::size_t server = 0;
  std::shared_ptr<link> monitored = std::make_shared<link>(server);
};
using set_type = banyan::replica_set<database, banyan::round_robin>;

// What it has applied, or written, and how far its clock says that is behind: 0 when it has applied all it received.
replica_report how_far(database& d) {
  const auto row = d.monitored->use([](pq_connection& c) {
    return c.exec(
        "select case when pg_is_in_recovery() then (pg_last_wal_replay_lsn()" + as_number +
        " else (pg_current_wal_flush_lsn()" + as_number +
        " end, case when not pg_is_in_recovery() or pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 else "
        "coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000, 0) end::bigint");
  });
  return {.position = number(std::string{row.value(0, 0).value_or("0")}),
          .lag = std::chrono::milliseconds{number(std::string{row.value(0, 1).value_or("0")})}};
}

// Inserts, and the position after it.
std::uint64_t insert(pq_connection& c, int value) {
  c.exec_params("insert into post (id) values ($1::int)", {std::to_string(value)});
  return number(ask(c, "select (pg_current_wal_flush_lsn()" + as_number));
}
bool has(const database& d, int value) {
  return d.monitored->use([&](pq_connection& c) {
    return c.exec_params("select 1 from post where id = $1::int", {std::to_string(value)}).rows() == 1;
  });
}

template <class Condition>
void wait_until(Condition holds) {
  while (!holds()) std::this_thread::sleep_for(5ms);
}

// The servers' part of a failover. Epochs are kept by the set's promotions; fencing is by the processes.
struct actions {
  set_type& set;
  std::vector<endpoint_id> ids;  // of server 0, 1, 2
  std::mutex files{};            // private_postgres_set takes one thread at a time
  link links[3]{link{0}, link{1}, link{2}};

  [[nodiscard]] std::size_t server(endpoint_id id) const {
    std::size_t at = 0;
    while (ids.at(at) != id) ++at;
    return at;
  }

  std::optional<failover_position> probe(endpoint_id id) {
    return links[server(id)].use([](pq_connection& c) -> std::optional<failover_position> {
      if (ask(c, "select pg_is_in_recovery()") != "f") return std::nullopt;
      return failover_position{number(ask(c, "select (pg_current_wal_flush_lsn()" + as_number))};
    });
  }
  bool fence(endpoint_id id) {
    set.demote();
    const std::lock_guard lock{files};
    servers()->kill(server(id));
    return true;
  }
  std::optional<failover_position> position(endpoint_id id) {
    return links[server(id)].use([](pq_connection& c) {
      const bool primary = ask(c, "select pg_is_in_recovery()") == "f";
      return failover_position{
          number(ask(c, primary ? "select (pg_current_wal_flush_lsn()" + as_number
                                : "select (coalesce(pg_last_wal_receive_lsn(), '0/0')" + as_number))};
    });
  }
  bool promote(endpoint_id id) {
    pq_connection c = connect(server(id));
    if (ask(c, "select pg_is_in_recovery()") == "f") return true;
    (void)c.exec("select pg_wal_replay_resume()");  // a pause would keep what was received from being applied
    return ask(c, "select pg_promote(true, 20)") == "t";
  }
  bool repoint(const banyan::failover_handover& to) {
    return set.promote(to.primary, {.epoch = to.epoch, .position = to.position, .planned = to.planned});
  }
  bool follow(endpoint_id id, endpoint_id primary) {
    const std::lock_guard lock{files};
    servers()->follow(server(id), server(primary));
    return true;
  }

  // No transaction that has written anything; a server that is gone has none.
  bool drained(endpoint_id id) {
    try {
      pq_connection c = connect(server(id));
      return ask(c, "select count(*) from pg_stat_activity where backend_xid is not null") == "0";
    } catch (const banyan::pq_error&) {
      return true;
    }
  }

  banyan::failover_actions all() {
    return {.probe = [this](endpoint_id id) { return probe(id); },
            .fence = [this](endpoint_id id, std::uint32_t) { return fence(id); },
            .position = [this](endpoint_id id) { return position(id); },
            .promote = [this](endpoint_id id, std::uint32_t) { return promote(id); },
            .repoint = [this](const banyan::failover_handover& to) { return repoint(to); },
            .follow = [this](endpoint_id id, endpoint_id primary, std::uint32_t) { return follow(id, primary); },
            .stop_writes =
                [this](endpoint_id id, std::uint32_t) {
                  pq_connection c = connect(server(id));
                  (void)c.exec("alter system set default_transaction_read_only = on");
                  (void)c.exec("select pg_reload_conf()");
                  (void)c.exec(
                      "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client "
                      "backend' and pid <> pg_backend_pid()");
                  return true;
                },
            .resume_writes =
                [this](endpoint_id id, std::uint32_t) {
                  pq_connection c = connect(server(id));
                  (void)c.exec("alter system reset default_transaction_read_only");
                  return c.exec("select pg_reload_conf()").rows() == 1;
                },
            .drain = [this](endpoint_id id) { return drained(id); }};
  }
};

}  // namespace

TEST_CASE("postgres replication: positions, a paused replica, a killed primary, a planned switchover",
          "[replica][postgres]") {
  if (servers() == nullptr) return;
  {
    pq_connection c = connect(0);
    (void)c.exec("create table post (id int primary key)");
    // A write is acknowledged when one replica has it on its disk. A server's own name in the list does no harm.
    (void)c.exec("alter system set synchronous_standby_names = 'ANY 1 (s0, s1, s2)'");
    (void)c.exec("select pg_reload_conf()");
  }

  set_type set{{.wait = 0ms, .primary_share = 1}};
  actions act{set, {}};
  const database two{2};
  act.ids.push_back(set.add_primary(database{0}));
  act.ids.push_back(set.add_replica(database{1}));
  act.ids.push_back(set.add_replica(two));
  banyan::lag_monitor monitor{set, how_far, {.interval = 20ms, .timeout = 10s}};
  wait_until([&] { return set.status(act.ids[1])->position != 0 && set.status(act.ids[2])->position != 0; });
  const banyan::read_options own_writes{.consistency = banyan::read_your_writes, .wait = 20s};

  // 1. A session reads what it has written, from a replica, while one of the two has stopped applying.
  banyan::consistency_token session;
  {
    pq_connection paused = connect(2);
    (void)paused.exec("select pg_wal_replay_pause()");
    wait_until([&] { return ask(paused, "select pg_get_wal_replay_pause_state()") == "paused"; });
    pq_connection c = connect(0);
    for (int i = 1; i <= 20; ++i) {
      auto w = set.write();
      REQUIRE(w->server == 0);
      w.wrote(session, insert(c, i));
      for (int reads = 0; reads < 2; ++reads) {
        auto r = set.read(session, own_writes);
        REQUIRE(r.outcome() == banyan::read_outcome::replica);
        REQUIRE(r->server == 1);
        REQUIRE(has(*r, i));
      }
    }
    CHECK_FALSE(has(two, 20));
    (void)paused.exec("select pg_wal_replay_resume()");
    wait_until([&] { return set.status(act.ids[2])->position >= session.position(); });
    CHECK(has(two, 20));
  }

  // 2. The primary dies under load. Its most advanced replica takes over; every write that was acknowledged is there.
  std::mutex lock;
  std::vector<std::pair<failover_event, endpoint_id> > events;
  const auto count = [&](failover_event e) {
    const std::lock_guard guard{lock};
    return std::count_if(events.begin(), events.end(), [e](const auto& each) { return each.first == e; });
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
                          [&](const banyan::failover_report& r) {
                            const std::lock_guard guard{lock};
                            events.emplace_back(r.event, r.node);
                          }};
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  std::vector<int> kept;
  {
    const banyan::testing::joining_thread writer{[&] {
      std::optional<pq_connection> c;
      std::size_t at = 0;
      for (int value = 1000; !stop; ++value) {
        auto w = set.write();
        if (!w) {
          std::this_thread::sleep_for(5ms);
          continue;
        }
        try {
          if (!c || w->server != at) c.emplace(connect(at = w->server));
          const std::uint64_t position = insert(*c, value);
          kept.push_back(value);
          w.wrote(session, position);
          w.succeeded(1ms);
          ++acknowledged;
        } catch (const banyan::pq_error&) {
          w.failed();
          c.reset();
          std::this_thread::sleep_for(5ms);
        }
      }
    }};
    // Also when a requirement below fails, the writer ends.
    struct stop_at_end {
      std::atomic<bool>& flag;
      ~stop_at_end() { flag = true; }
    } const ends{stop};

    wait_until([&] { return acknowledged >= 10; });
    {
      const std::lock_guard guard{act.files};
      servers()->kill(0);
    }
    wait_until([&] { return count(failover_event::repointed) == 1; });
    const int before = acknowledged;
    wait_until([&] { return acknowledged >= before + 10; });
    wait_until([&] { return count(failover_event::finished) == 1; });

    // 3. A planned switchover back to server 0, which has caught up as a replica, under load.
    wait_until([&] { return keeper.settled(); });
    CHECK(keeper.primary() != act.ids[0]);
    REQUIRE(keeper.switch_over(keeper.primary(), act.ids[0]));
    wait_until([&] { return count(failover_event::repointed) == 2 || count(failover_event::aborted) != 0; });
    CHECK(count(failover_event::aborted) == 0);
    const int before_that = acknowledged;
    wait_until([&] { return acknowledged >= before_that + 10; });
  }
  CHECK(keeper.primary() == act.ids[0]);
  CHECK(keeper.epoch() > 2);
  CHECK(set.primary() == act.ids[0]);
  wait_until([&] { return keeper.settled(); });

  // Of what was acknowledged nothing is lost, and the session, which began under the first primary, still reads it.
  {
    pq_connection c = connect(0);
    std::size_t missing = 0;
    for (const int value : kept) {
      if (c.exec_params("select 1 from post where id = $1::int", {std::to_string(value)}).rows() != 1) ++missing;
    }
    CHECK(missing == 0);
    CHECK(kept.size() >= 30);
  }
  for (int i = 0; i < 4; ++i) {
    auto r = set.read(session, own_writes);
    REQUIRE(r);
    pq_connection c = connect(0);
    INFO("session at " << session.position() << ", replicas at " << set.status(act.ids[1])->position << " and "
                       << set.status(act.ids[2])->position << "; to "
                       << ask(c, "select string_agg(application_name || ' ' || state || ' ' || (replay_lsn" +
                                     as_number + ", ', ') from pg_stat_replication"));
    CHECK(r.outcome() == banyan::read_outcome::replica);
    CHECK(has(*r, kept.back()));
  }
}

#endif
