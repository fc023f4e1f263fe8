// What each level of consistency costs on a real PostgreSQL primary with two streaming replicas, and what it buys: four
// sessions, each of which writes and reads with a pause of a millisecond between, at one level after the other, while
// the replicas follow as fast as they can, one of them applies 50 ms late, or both do. Then what a write costs that
// waits for replicas. Levels take turns; the figures are medians of the rounds. Everything runs on this machine, and
// the servers do not wait for the disk. Prints Markdown; about a minute.

#include <cstdio>

#if !defined(BANYAN_BENCH_LIBPQ)

int main() { std::puts("skipped: this build has no libpq"); }

#else

#include <banyan/adapters/libpq.hpp>
#include <banyan/balance/power_of_two.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/lag_monitor.hpp>
#include <banyan/replica/replica_set.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../../examples/private_postgres_set.hpp"
#include "timing.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::pq_connection;
using banyan::read_outcome;
using clock_type = banyan::steady_clock;

constexpr std::size_t sessions = 4;
constexpr int rounds = 3;
constexpr auto turn = 170ms;   // of one level in one round
constexpr auto pause = 1ms;    // of a session, between what it does
constexpr auto late = "50ms";  // how late a lagging replica applies
constexpr auto report_interval = 5ms;

std::uint64_t number(std::string_view text) { return std::strtoull(std::string{text}.c_str(), nullptr, 10); }
double milliseconds(std::chrono::nanoseconds t) { return static_cast<double>(t.count()) * 1e-6; }

double quantile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

// --- the servers ----------------------------------------------------------------------------------------------------

struct connections {
  explicit connections(const private_postgres_set& servers) {
    for (std::size_t i = 0; i < private_postgres_set::size; ++i)
      to.push_back(pq_connection::connect(servers.conninfo(i)));
  }
  std::vector<pq_connection> to;
};

void set_option(pq_connection& c, const std::string& name, const std::string& value) {
  (void)c.exec("alter system set " + name + " = '" + value + "'");
  (void)c.exec("select pg_reload_conf()");
  while (c.exec("show " + name).value(0, 0) != value) std::this_thread::sleep_for(1ms);
}

const std::string position_here =
    "(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() - '0/0' else pg_current_wal_flush_lsn() - '0/0' "
    "end)::text";

// What each session has written last, and the position after that was read.
struct answer {
  std::array<std::uint64_t, sessions> last{};
  std::uint64_t position = 0;
};
answer read_all(pq_connection& c) {
  const auto row = c.exec("select " + position_here + ", string_agg(value::text, ' ' order by session) from written");
  answer found;
  found.position = number(row.value(0, 0).value());
  std::string_view text = row.value(0, 1).value();
  for (std::uint64_t& each : found.last) {
    each = number(text);
    text.remove_prefix(std::min(text.find(' '), text.size() - 1) + 1);
  }
  return found;
}
std::uint64_t write(pq_connection& c, std::size_t session, std::uint64_t value) {
  (void)c.exec("update written set value = " + std::to_string(value) + " where session = " + std::to_string(session));
  return number(c.exec("select " + position_here).value(0, 0).value());
}

struct database {
  std::size_t server = 0;
  std::shared_ptr<pq_connection> monitored;
};
using set_type = banyan::replica_set<database, banyan::power_of_two>;

banyan::replica_report how_far(database& d) {
  const auto row = d.monitored->exec(
      "select " + position_here +
      ", case when not pg_is_in_recovery() or pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 else "
      "coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000, 0) end::bigint");
  return {.position = number(row.value(0, 0).value()),
          .lag = std::chrono::milliseconds{number(row.value(0, 1).value())}};
}

// --- one turn -------------------------------------------------------------------------------------------------------

struct level {
  const char* name;
  banyan::consistency_level consistency;
  std::chrono::milliseconds wait{0};
  bool replies_report = true;  // each reply tells the set how far the replica is; else only the monitor does
};
const level levels[]{{"eventual", banyan::eventual},
                     {"bounded_staleness(30ms)", banyan::bounded_staleness(30ms)},
                     {"monotonic_reads", banyan::monotonic_reads},
                     {"monotonic_reads", banyan::monotonic_reads, 0ms, false},
                     {"read_your_writes", banyan::read_your_writes},
                     {"read_your_writes", banyan::read_your_writes, 20ms},
                     {"read_your_writes_within(100ms)", banyan::read_your_writes_within(100ms)},
                     {"causal", banyan::causal},
                     {"strong", banyan::strong}};

std::string name_of(const level& of) {
  std::string name = std::string{"`"} + of.name + '`';
  if (of.wait > 0ms) name += ", wait " + std::to_string(of.wait.count()) + " ms";
  if (!of.replies_report) name += ", only the monitor reports";
  return name;
}

struct tally {
  std::vector<double> latencies{};  // of reads that were answered, with what they waited for a replica
  std::size_t asked = 0;
  std::size_t primary = 0;
  std::size_t waited = 0;
  std::size_t refused = 0;
  std::size_t own_missed = 0;  // the session's own last write was not in the answer
  std::size_t went_back = 0;   // something was not in the answer that the session had been shown before
};

struct session {
  std::mutex lock;
  banyan::consistency_token token{};
  connections servers;
  std::uint64_t written = 0;  // the value, which grows over all turns
  explicit session(const private_postgres_set& all) : servers{all} {}
};

class workload {
 public:
  explicit workload(const private_postgres_set& all) : monitored_(private_postgres_set::size) {
    for (std::size_t i = 0; i < sessions; ++i) people_.emplace_back(all);
    connections c{all};
    for (std::size_t i = 0; i < monitored_.size(); ++i)
      monitored_[i] = std::make_shared<pq_connection>(std::move(c.to[i]));
  }

  tally run(const level& how, unsigned writes_percent) {
    set_type set{{.primary_burst = 16}};
    const auto primary = set.add_primary(database{0, monitored_[0]});
    const auto first = set.add_replica(database{1, monitored_[1]});
    const auto second = set.add_replica(database{2, monitored_[2]});
    banyan::lag_monitor monitor{
        set, how_far, {.interval = report_interval, .executor = banyan::any_executor{banyan::inline_executor{}}}};
    for (const auto id : {primary, first, second}) {
      while (set.status(id)->position == 0) std::this_thread::sleep_for(1ms);
    }
    for (session& each : people_) each.token = {};
    std::vector<tally> tallies(sessions);
    {
      std::vector<std::thread> threads;
      for (std::size_t i = 0; i < sessions; ++i) {
        threads.emplace_back([&, i] { tallies[i] = of_one(set, i, how, writes_percent); });
      }
      for (std::thread& each : threads) each.join();
    }
    tally all;
    for (const tally& each : tallies) {
      all.latencies.insert(all.latencies.end(), each.latencies.begin(), each.latencies.end());
      all.asked += each.asked;
      all.primary += each.primary;
      all.waited += each.waited;
      all.refused += each.refused;
      all.own_missed += each.own_missed;
      all.went_back += each.went_back;
    }
    return all;
  }

 private:
  tally of_one(set_type& set, std::size_t which, const level& how, unsigned writes_percent) {
    session& self = people_[which];
    std::minstd_rand random{static_cast<unsigned>(which + 1)};
    const banyan::read_options options{.consistency = how.consistency, .wait = how.wait};
    banyan::read_options at_once = options;
    at_once.wait = 0ms;
    at_once.fallback = banyan::read_fallback::refuse;
    std::array<std::uint64_t, sessions> shown{};
    std::uint64_t own = 0;  // written in this turn
    tally mine;
    const auto end = clock_type::now() + turn;
    while (clock_type::now() < end) {
      std::this_thread::sleep_for(pause);
      if (random() % 100 < writes_percent) {
        auto w = set.write();
        const std::uint64_t position = write(self.servers.to[w->server], which, ++self.written);
        own = self.written;
        if (how.consistency == banyan::monotonic_reads) continue;  // it is about reads alone
        const std::lock_guard lock{self.lock};
        w.wrote(self.token, position);
        continue;
      }
      // One in ten reads rests on what another session has said.
      if (how.consistency == banyan::causal && random() % 10 == 0) hear(self, people_[random() % sessions]);
      ++mine.asked;
      const auto began = clock_type::now();
      if (how.wait > 0ms && set.read(self.token, at_once).outcome() == read_outcome::none_fresh) ++mine.waited;
      auto r = set.read(self.token, options);
      if (!r) {
        ++mine.refused;
        continue;
      }
      if (r.outcome() != read_outcome::replica) ++mine.primary;
      const answer found = read_all(self.servers.to[r->server]);
      const auto took = clock_type::now() - began;
      mine.latencies.push_back(milliseconds(took));
      r.succeeded(took);
      if (how.replies_report && r.outcome() == read_outcome::replica)
        set.report(r.id(), {.position = found.position, .epoch = r.epoch()}, began);
      if (found.last[which] < own) ++mine.own_missed;
      bool back = false;
      for (std::size_t i = 0; i < sessions; ++i) {
        back = back || found.last[i] < shown[i];
        shown[i] = std::max(shown[i], found.last[i]);
      }
      if (back) ++mine.went_back;
      const std::lock_guard lock{self.lock};
      // A level that needs it is fed what was seen; others would pay for it.
      if (how.consistency == banyan::monotonic_reads || how.consistency == banyan::causal)
        r.observed(self.token, found.position);
    }
    return mine;
  }

  static void hear(session& to, session& from) {
    if (&to == &from) return;
    const std::scoped_lock both{to.lock, from.lock};
    (void)to.token.merge(from.token);
  }

  std::deque<session> people_;
  std::vector<std::shared_ptr<pq_connection> > monitored_;
};

// --- the tables -----------------------------------------------------------------------------------------------------

struct figures {
  std::vector<double> p50, p99, primary, waited, refused, own_missed, went_back;

  void add(tally& of) {
    const auto share = [](std::size_t part, std::size_t all) {
      return all == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(all);
    };
    p50.push_back(quantile(of.latencies, 0.5));
    p99.push_back(quantile(of.latencies, 0.99));
    primary.push_back(share(of.primary, of.asked));
    waited.push_back(share(of.waited, of.asked));
    refused.push_back(share(of.refused, of.asked));
    own_missed.push_back(share(of.own_missed, of.latencies.size()));
    went_back.push_back(share(of.went_back, of.latencies.size()));
  }
};

void measure_reads(connections& servers, workload& work) {
  constexpr unsigned mixes[]{5, 50};
  constexpr std::size_t of_levels = std::size(levels);
  std::puts(
      "| replicas that lag | writes | level | p50, ms | p99, ms | primary, % | waited, % | refused, % | own write "
      "missed, % | went back, % |\n|---|---:|---|---:|---:|---:|---:|---:|---:|---:|");
  for (std::size_t lagging = 0; lagging <= 2; ++lagging) {
    for (std::size_t i = 1; i <= 2; ++i)
      set_option(servers.to[i], "recovery_min_apply_delay", i <= lagging ? late : "0");
    std::vector<figures> all(std::size(mixes) * of_levels);
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        tally one = work.run(levels[i % of_levels], mixes[i / of_levels]);
        all[i].add(one);
      }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const figures& f = all[i];
      constexpr const char* names[]{"none", "one", "both"};
      std::printf("| %s | %u %% | %s | %.2f | %.1f | %.0f | %.0f | %.0f | %.1f | %.1f |\n", names[lagging],
                  mixes[i / of_levels], name_of(levels[i % of_levels]).c_str(), bench::median(f.p50),
                  bench::median(f.p99), bench::median(f.primary), bench::median(f.waited), bench::median(f.refused),
                  bench::median(f.own_missed), bench::median(f.went_back));
    }
  }
}

void measure_writes(connections& servers) {
  struct kind {
    const char* commit;
    int acknowledgements;
    std::array<std::vector<double>, 2> p50{}, p99{};  // without lag, with one replica that lags
  };
  std::vector<kind> kinds{{"local", 1}};
  for (const char* commit : {"remote_write", "on", "remote_apply"}) {
    for (const int k : {1, 2}) kinds.push_back({commit, k});
  }
  pq_connection& c = servers.to[0];
  set_option(servers.to[2], "recovery_min_apply_delay", "0");
  for (const std::size_t lagging : {std::size_t{0}, std::size_t{1}}) {
    set_option(servers.to[1], "recovery_min_apply_delay", lagging == 0 ? "0" : late);
    for (int round = 0; round < rounds; ++round) {
      for (const int k : {1, 2}) {
        set_option(c, "synchronous_standby_names", "ANY " + std::to_string(k) + " (s1, s2)");
        for (kind& each : kinds) {
          if (each.acknowledgements != k) continue;
          (void)c.exec(std::string{"set synchronous_commit = "} + each.commit);
          std::vector<double> took;
          const auto end = clock_type::now() + turn;
          while (clock_type::now() < end) {
            const auto began = clock_type::now();
            (void)c.exec("update written set value = value + 1 where session = 0");
            took.push_back(milliseconds(clock_type::now() - began));
            std::this_thread::sleep_for(pause);
          }
          each.p50[lagging].push_back(quantile(took, 0.5));
          each.p99[lagging].push_back(quantile(took, 0.99));
        }
      }
    }
  }
  std::puts(
      "\n| `synchronous_commit` | replicas waited for | p50, ms | p99, ms | p50, one lags | p99, one lags "
      "|\n|---|---|---:|---:|---:|---:|");
  for (const kind& each : kinds) {
    const std::string who =
        std::string{each.commit} == "local" ? "none" : std::to_string(each.acknowledgements) + " of 2";
    std::printf("| `%s` | %s | %.2f | %.1f | %.2f | %.1f |\n", each.commit, who.c_str(), bench::median(each.p50[0]),
                bench::median(each.p99[0]), bench::median(each.p50[1]), bench::median(each.p99[1]));
  }
}

}  // namespace

int main() {
  const private_postgres_set all;
  if (!all.missing().empty()) {
    std::puts(all.missing().c_str());
    return 0;
  }
  connections servers{all};
  (void)servers.to[0].exec("create table written (session int primary key, value bigint)");
  (void)servers.to[0].exec("insert into written select generate_series(0, " + std::to_string(sessions - 1) + "), 0");
  for (pq_connection& each : servers.to) {
    while (each.exec("select 1 from pg_tables where tablename = 'written'").rows() == 0 ||
           each.exec("select 1 from written").rows() != static_cast<int>(sessions))
      std::this_thread::sleep_for(1ms);
  }
  workload work{all};
  measure_reads(servers, work);
  measure_writes(servers);
}

#endif
