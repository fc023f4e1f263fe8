#pragma once

#include <banyan/adapters/libpq.hpp>
#include <banyan/balance/random_choice.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/failover_actions.hpp>
#include <banyan/replica/replica_set.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../examples/private_postgres_set.hpp"
#include "support/catch.hpp"

/// A real PostgreSQL primary and its two replicas, as a replica_set's members and as a failover's nodes.
namespace postgres {

/// They live as long as the program; one set for all tests. None where no PostgreSQL is installed.
inline private_postgres_set* servers() {
  static private_postgres_set only;
  if (only.missing().empty()) return &only;
  WARN(only.missing());
  return nullptr;
}

inline banyan::pq_connection connect(std::size_t server) {
  return banyan::pq_connection::connect(servers()->conninfo(server) + " connect_timeout=5");
}
inline std::string ask(banyan::pq_connection& c, const std::string& sql) {
  return std::string{c.exec(sql).value(0, 0).value_or("")};
}
inline std::uint64_t number(std::string_view text) { return std::strtoull(std::string{text}.c_str(), nullptr, 10); }

/// A setting of the server, now and after restarts; known to what asks from then on.
inline void set_option(banyan::pq_connection& c, const std::string& name, const std::string& value) {
  (void)c.exec("alter system set " + name + " = " + value);
  (void)c.exec("select pg_reload_conf()");
}

/// A connection that is kept, as logging in costs milliseconds of computing on both sides; after an error a new one.
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
  std::optional<banyan::pq_connection> connection_;
};

struct database {
  std::size_t server = 0;
  std::shared_ptr<link> monitored = std::make_shared<link>(server);
};
using set_type = banyan::replica_set<database, banyan::random_choice>;

/// In SQL: how far a server's log goes, as a number: what it has applied, or written and flushed. An LSN is a count of
/// bytes.
inline const std::string position_here =
    "case when pg_is_in_recovery() then pg_last_wal_replay_lsn() - '0/0' else pg_current_wal_flush_lsn() - '0/0' end";

/// How far a replica is behind by the clock of whoever asks: it has all that had been committed when the primary was
/// asked and was no further than the replica is. What the servers say of their lag is not enough: a replica that has
/// lost its primary has applied all it received, and an idle primary's last transaction grows old.
class primary_positions {
 public:
  using time_point = banyan::steady_clock::time_point;

  void heard(std::uint64_t position, time_point asked) {
    const std::lock_guard lock{lock_};
    auto& known = positions_[position];
    known = std::max(known, asked);
  }
  [[nodiscard]] std::chrono::nanoseconds lag(std::uint64_t position, time_point asked) const {
    const std::lock_guard lock{lock_};
    const auto above = positions_.upper_bound(position);
    return above == positions_.begin() ? std::chrono::hours{1} : asked - std::prev(above)->second;
  }

  /// The probe of a lag monitor. A replica that has just started may have applied a transaction and not show it: one
  /// that had been logged and waited for an acknowledgement at the checkpoint from which the replica began, so that it
  /// counts as running until a later one has ended. Until then it has nothing.
  banyan::replica_report how_far(database& d) {
    const auto asked = banyan::steady_clock::now();
    const auto row = d.monitored->use([](banyan::pq_connection& c) {
      return c.exec("select (" + position_here +
                    ")::text, pg_is_in_recovery(), not pg_is_in_recovery() or split_part((pg_control_checkpoint())."
                    "next_xid, ':', 2)::bigint <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
    });
    if (row.value(0, 2) != "t") return nothing;
    const std::uint64_t position = number(row.value(0, 0).value_or("0"));
    if (row.value(0, 1) == "f") heard(position, asked);
    return {.position = position, .lag = lag(position, asked)};
  }

  static constexpr banyan::replica_report nothing{.position = 1, .lag = std::chrono::hours{1}};

 private:
  mutable std::mutex lock_;
  std::map<std::uint64_t, time_point> positions_;
};

/// The servers' part of a failover. Epochs are kept by the set's promotions; fencing is by the processes.
struct failover_of_servers {
  set_type& set;
  std::vector<banyan::endpoint_id> ids;  // of server 0, 1, 2
  /// Told of a new primary before clients are.
  std::function<void(const banyan::failover_handover&)> before_repointing{};
  banyan::steady_clock::time_point promoting{};  // when that began last
  std::mutex files{};                            // private_postgres_set takes one thread at a time
  link links[3]{link{0}, link{1}, link{2}};

  [[nodiscard]] std::size_t server(banyan::endpoint_id id) const {
    std::size_t at = 0;
    while (ids.at(at) != id) ++at;
    return at;
  }

  void kill(std::size_t which) {
    const std::lock_guard lock{files};
    servers()->kill(which);
  }

  /// How far its log goes, received rather than applied, and on which timeline that is: a primary knows; a replica's
  /// is that of its latest file.
  static std::pair<banyan::failover_position, bool> log_of(banyan::pq_connection& c) {
    const auto row = c.exec(
        "with here as (select pg_is_in_recovery() as follows) select follows, case when follows then greatest("
        "pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0' else pg_current_wal_flush_lsn() - '0/0' "
        "end::text, "
        "('x' || case when follows then (select max(substr(name, 1, 8)) from pg_ls_waldir() where name ~ "
        "'^[0-9A-F]{24}$') else substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) end)::bit(32)::int from "
        "here");
    return {{number(row.value(0, 1).value_or("0")), static_cast<std::uint32_t>(number(row.value(0, 2).value_or("0")))},
            row.value(0, 0) == "f"};
  }

  std::optional<banyan::failover_position> probe(banyan::endpoint_id id) {
    const auto [at, primary] = links[server(id)].use(log_of);
    return primary ? std::optional{at} : std::nullopt;
  }
  std::optional<banyan::failover_position> position(banyan::endpoint_id id) {
    return links[server(id)].use(log_of).first;
  }
  bool fence(banyan::endpoint_id id) {
    set.demote();
    kill(server(id));
    return true;
  }
  bool promote(banyan::endpoint_id id) {
    banyan::pq_connection c = connect(server(id));
    if (ask(c, "select pg_is_in_recovery()") == "t") {
      promoting = banyan::steady_clock::now();
      (void)c.exec("select pg_wal_replay_resume()");  // a pause would keep what was received from being applied
      if (ask(c, "select pg_promote(true, 20)") != "t") return false;
    }
    return resume_writes(id);  // which had been stopped, if it was a primary before
  }
  bool repoint(const banyan::failover_handover& to) {
    if (before_repointing) before_repointing(to);
    return set.promote(to.primary, {.epoch = to.epoch, .position = to.position, .planned = to.planned});
  }
  bool follow(banyan::endpoint_id id, banyan::endpoint_id primary) {
    const std::lock_guard lock{files};
    // It starts anew, with what it has kept: what it said before is not to be believed until it says it again.
    set.report(id, primary_positions::nothing);
    servers()->follow(server(id), server(primary));
    return true;
  }
  bool stop_writes(banyan::endpoint_id id) {
    banyan::pq_connection c = connect(server(id));
    set_option(c, "default_transaction_read_only", "on");
    (void)c.exec(
        "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> "
        "pg_backend_pid()");
    return true;
  }
  bool resume_writes(banyan::endpoint_id id) {
    banyan::pq_connection c = connect(server(id));
    (void)c.exec("alter system reset default_transaction_read_only");
    return ask(c, "select pg_reload_conf()") == "t";
  }

  // No transaction that has written anything; a server that is gone has none.
  bool drained(banyan::endpoint_id id) {
    try {
      banyan::pq_connection c = connect(server(id));
      return ask(c, "select count(*) from pg_stat_activity where backend_xid is not null") == "0";
    } catch (const banyan::pq_error&) {
      return true;
    }
  }

  banyan::failover_actions all() {
    using banyan::endpoint_id;
    return {.probe = [this](endpoint_id id) { return probe(id); },
            .fence = [this](endpoint_id id, std::uint32_t) { return fence(id); },
            .position = [this](endpoint_id id) { return position(id); },
            .promote = [this](endpoint_id id, std::uint32_t) { return promote(id); },
            .repoint = [this](const banyan::failover_handover& to) { return repoint(to); },
            .follow = [this](endpoint_id id, endpoint_id primary, std::uint32_t) { return follow(id, primary); },
            .stop_writes = [this](endpoint_id id, std::uint32_t) { return stop_writes(id); },
            .resume_writes = [this](endpoint_id id, std::uint32_t) { return resume_writes(id); },
            .drain = [this](endpoint_id id) { return drained(id); }};
  }
};

}  // namespace postgres
