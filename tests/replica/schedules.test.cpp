#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <banyan/balance/random_choice.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/consistency_token_text.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/seed.hpp"
#include "support/session_promises.hpp"

/// What the levels of consistency promise, on a simulated replication: nodes with logs, that lag, crash, are cut off,
/// restored from backups and promoted; two processes that use them, each with its own view; sessions that go from one
/// process to the other with their token as text; reports that are late and overtake each other. What a read sees is
/// compared with what its session has written and seen, by the checker of session_promises.hpp.

using namespace std::chrono_literals;

namespace {

using banyan::consistency_token;
using banyan::endpoint_id;
using banyan::read_outcome;
using banyan::testing::primary_change;
using banyan::testing::random_source;
using banyan::testing::session_event;
using banyan::testing::session_message;
using banyan::testing::session_read;
using banyan::testing::session_write;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using at = test_clock::time_point;
using set = banyan::replica_set<std::size_t, banyan::random_choice, test_clock>;

const banyan::consistency_level levels[]{banyan::read_your_writes,        banyan::monotonic_reads, banyan::causal,
                                         banyan::bounded_staleness(20ms), banyan::strong,          banyan::eventual};

struct entry {
  std::uint64_t id;
  at committed;
};

struct node {
  std::vector<entry> log;
  std::uint32_t epoch = 1;  // whose log it is part of
  bool up = true;
  bool cut_off = false;  // from the primary, not from the clients

  [[nodiscard]] bool has(std::size_t position, std::uint64_t id) const {
    return position <= log.size() && log[position - 1].id == id;
  }
};

// A mistake, for the checker to find.
struct fault {
  bool drops_token = false;                            // after a write
  std::optional<banyan::consistency_level> ignored{};  // reads that ask for it are eventual ones
};

struct delivery {
  std::size_t to;
  endpoint_id who;
  banyan::replica_report report;
  at measured;
};

struct tally {
  std::size_t reads = 0;
  std::size_t from_replicas = 0;
  std::size_t failovers = 0;
  std::size_t lost = 0;
  std::string violation{};  // the first
};

/// One schedule.
class world {
 public:
  world(std::uint64_t seed, tally& results, const fault& planted = {})
      : random_{seed}, tally_{results}, planted_{planted} {
    // Sessions that do not tell the epoch cannot be protected from a process that has not heard of a failover.
    untold_ = chance(4);
    for (auto& each : processes_) {
      banyan::replica_set_options options{.name = "simulated", .epoch = 1};
      options.primary_share = 1;
      options.balance.seed = seed | 1U;
      options.cluster.stripes = 1;
      if (chance(3)) options.max_lag = 50ms;
      each = std::make_unique<set>(options);
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const endpoint_id id = i == 0 ? each->add_primary(i, {}, now_) : each->add_replica(i, {}, now_);
        ids_.resize(std::max(ids_.size(), i + 1));
        ids_[i] = id;
      }
    }
    for (std::string& each : sessions_) each = to_text(consistency_token{}, now_, wall());
  }

  void run(std::size_t steps) {
    for (std::size_t i = 0; i < steps && tally_.violation.empty(); ++i) {
      now_ += std::chrono::milliseconds{random_.below(10)};
      const std::uint64_t what = random_.below(100);
      if (what < 15) {
        write();
      } else if (what < 35) {
        replicate();
      } else if (what < 55) {
        if (chance(3)) {
          for (std::size_t which = 0; which < nodes_.size(); ++which) measure(which);
        } else {
          measure(random_.below(nodes_.size()));
        }
      } else if (what < 65) {
        deliver();
      } else if (what < 92) {
        read();
      } else if (what < 95) {
        trouble();
      } else if (what < 97) {
        learn();
      } else if (what < 98) {
        restore();
      } else {
        chance(3) ? switch_over() : fail_over();
      }
    }
    const auto broken = banyan::testing::broken_promises(history_);
    if (!broken.empty()) note(broken.front());
  }

 private:
  bool chance(std::uint64_t one_in) { return random_.below(one_in) == 0; }

  [[nodiscard]] std::chrono::system_clock::time_point wall() const {
    return std::chrono::system_clock::time_point{
        std::chrono::duration_cast<std::chrono::system_clock::duration>(now_.time_since_epoch() + 400'000h)};
  }

  [[nodiscard]] node& primary() { return nodes_[primary_]; }

  consistency_token token_of(std::size_t who) { return *parse_consistency_token(sessions_[who], now_, wall(), 0us); }
  void keep(std::size_t who, const consistency_token& token) { sessions_[who] = to_text(token, now_, wall()); }

  [[nodiscard]] static std::vector<std::uint64_t> writes_of(const node& one) {
    std::vector<std::uint64_t> ids;
    for (const entry& each : one.log) ids.push_back(each.id);
    return ids;
  }

  void write() {
    const std::size_t who = random_.below(sessions_.size());
    auto w = processes_[random_.below(2)]->write();
    if (!w || *w != primary_ || !primary().up) return;  // fenced, or down: nothing is acknowledged
    primary().log.push_back({++last_id_, now_});
    history_.push_back(session_write{.session = who, .id = last_id_, .epoch = primary().epoch, .at = since_start()});
    now_ += 1ms;
    consistency_token token = token_of(who);
    if (untold_) {
      token.wrote(primary().log.size(), now_);
    } else if (chance(4)) {
      if (!w.wrote(token, now_, primary().epoch)) note("a token of the same set is refused");
    } else if (!w.wrote(token, primary().log.size(), now_, primary().epoch)) {
      note("a token of the same set is refused");
    }
    if (!planted_.drops_token) keep(who, token);
  }

  // A replica takes over some of the primary's log; one that has what the primary has not is rewound first.
  void replicate() {
    const std::size_t which = random_.below(nodes_.size());
    node& one = nodes_[which];
    if (which == primary_ || !one.up || one.cut_off || !primary().up || primary().cut_off) return;
    follow(one, random_.below(12));
  }

  void follow(node& one, std::size_t entries) {
    const node& from = primary();
    if (one.epoch != from.epoch) {
      std::size_t common = 0;
      while (common < one.log.size() && from.has(common + 1, one.log[common].id)) ++common;
      one.log.resize(common);
      one.epoch = from.epoch;
    }
    for (; entries > 0 && one.log.size() < from.log.size(); --entries) one.log.push_back(from.log[one.log.size()]);
  }

  [[nodiscard]] banyan::replica_report look_at(const node& one) {
    banyan::replica_report report{.position = one.log.size(), .epoch = one.epoch};
    if (one.epoch == primary().epoch) {
      report.lag = one.log.size() < primary().log.size() ? now_ - primary().log[one.log.size()].committed + 1ns : 0ns;
    }
    return report;
  }

  void measure(std::size_t which) {
    if (!nodes_[which].up) return;
    for (std::size_t to = 0; to < processes_.size(); ++to)
      deliveries_.push_back({to, ids_[which], look_at(nodes_[which]), now_});
    if (chance(2)) {
      deliver();
      deliver();
    }
  }

  void deliver() {
    if (deliveries_.empty()) return;
    // The last or any: they overtake each other, and some are lost.
    const std::size_t which = chance(2) ? deliveries_.size() - 1 : random_.below(deliveries_.size());
    const delivery one = deliveries_[which];
    deliveries_.erase(deliveries_.begin() + static_cast<std::ptrdiff_t>(which));
    if (!chance(8)) processes_[one.to]->report(one.who, one.report, one.measured);
  }

  void trouble() {
    node& one = nodes_[random_.below(nodes_.size())];
    (chance(2) ? one.up : one.cut_off) ^= true;
  }

  // It comes back with less than it had, and says so before it is read from.
  void restore() {
    const std::size_t which = random_.below(nodes_.size());
    node& one = nodes_[which];
    if (which == primary_ || one.log.empty()) return;
    // Nobody can tell a primary that has been restored from one that has not: that is for whoever restores it to
    // prevent.
    for (const auto& each : processes_) {
      if (each->primary() == ids_[which]) return;
    }
    one.log.resize(random_.below(one.log.size()));
    now_ += 1ms;
    banyan::replica_report report = look_at(one);
    if (!report.lag) report.lag = 1h;  // how far it is behind a primary that it does not follow, nobody can tell
    for (auto& each : processes_) each->report(ids_[which], report, now_);
    now_ += 1ms;
  }

  void fail_over() {
    std::optional<std::size_t> next;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (i == primary_ || !nodes_[i].up) continue;
      const bool better = !next || (chance(5) ? chance(2) : nodes_[i].log.size() > nodes_[*next].log.size());
      if (better && nodes_[i].epoch == primary().epoch) next = i;
    }
    if (!next) return;
    tally_.lost += primary().log.size() - std::min(primary().log.size(), nodes_[*next].log.size());
    if (chance(2)) primary().up = false;
    appoint(*next, false);
  }

  // Writes have stopped, and the next primary has caught up.
  void switch_over() {
    const std::size_t next = random_.below(nodes_.size());
    if (next == primary_ || !nodes_[next].up || !primary().up) return;
    follow(nodes_[next], primary().log.size());
    appoint(next, true);
  }

  void appoint(std::size_t next, bool planned) {
    ++tally_.failovers;
    const std::uint32_t epoch = primary().epoch + 1;
    // Planned: whoever followed goes on to follow, and has a part of the log.
    if (planned) {
      for (node& each : nodes_) {
        if (each.epoch == epoch - 1) each.epoch = epoch;
      }
    }
    primary_ = next;
    primary().epoch = epoch;
    primary().cut_off = false;
    history_.push_back(primary_change{.epoch = epoch, .at = since_start(), .kept = writes_of(primary())});
    news_.assign(2, {.epoch = epoch, .planned = planned && all_follow(epoch)});
    for (auto& each : news_) {
      if (chance(2)) each.position = primary().log.size();
    }
    // One process or both hear of it at once, or later.
    if (untold_ || !chance(3)) learn_at(0);
    if (untold_ || !chance(3)) learn_at(1);
  }

  [[nodiscard]] bool all_follow(std::uint32_t epoch) const {
    return std::all_of(nodes_.begin(), nodes_.end(), [epoch](const node& each) { return each.epoch == epoch; });
  }

  void learn() { learn_at(random_.below(2)); }

  // What was planned is news only while nobody has written since.
  void learn_at(std::size_t process) {
    if (news_.empty() || processes_[process]->epoch() == news_[process].epoch) return;
    banyan::replica_promotion how = news_[process];
    if (how.epoch != processes_[process]->epoch() + 1) how.planned = false;  // it has missed one before
    if (!processes_[process]->promote(ids_[primary_], how)) note("a later epoch is refused");
  }

  void read() {
    const std::size_t who = random_.below(sessions_.size());
    set& process = *processes_[random_.below(2)];
    consistency_token token = token_of(who);
    banyan::read_options options{.consistency = levels[random_.below(std::size(levels))]};
    const banyan::consistency_level level = options.consistency;
    std::optional<std::size_t> other;
    if (level == banyan::causal && chance(2)) {  // a message from another session
      other = random_.below(sessions_.size());
      if (!token.merge(token_of(*other))) note("tokens of one set do not merge");
    }
    if (chance(2)) options.fallback = banyan::read_fallback::refuse;
    if (planted_.ignored == level) options.consistency = banyan::eventual;
    auto r = process.read(token, options, now_);
    if (r && nodes_[*r].up) {
      ++tally_.reads;
      if (r.outcome() == read_outcome::replica) ++tally_.from_replicas;
      const node& from = nodes_[*r];
      if (other) history_.push_back(session_message{.from = *other, .to = who});
      history_.push_back(session_read{.session = who,
                                      .level = level,
                                      .seen = writes_of(from),
                                      .epoch = process.epoch(),
                                      .began = since_start(),
                                      .ended = since_start()});
      now_ += 1ms;
      if (untold_) {
        token.read_at(from.log.size());
      } else if (chance(3)) {
        if (!r.observed(token, now_, from.epoch)) note("a token of the same set is refused");
      } else if (!r.observed(token, from.log.size(), from.epoch)) {
        note("a token of the same set is refused");
      }
    } else if (other) {
      return;  // the message was not read either
    }
    keep(who, token);
  }

  [[nodiscard]] std::chrono::nanoseconds since_start() const { return now_.time_since_epoch(); }

  void note(const std::string& what) {
    if (tally_.violation.empty()) tally_.violation = what;
  }

  random_source random_;
  tally& tally_;
  const fault planted_;
  bool untold_ = false;
  at now_{1s};
  std::vector<node> nodes_ = std::vector<node>(4);
  std::size_t primary_ = 0;
  std::uint64_t last_id_ = 0;
  std::vector<std::unique_ptr<set>> processes_ = std::vector<std::unique_ptr<set>>(2);
  std::vector<endpoint_id> ids_;
  std::vector<std::string> sessions_ = std::vector<std::string>(3);  // their tokens, on the way between the processes
  std::vector<session_event> history_;
  std::vector<delivery> deliveries_;
  std::vector<banyan::replica_promotion> news_;
};

}  // namespace

TEST_CASE("replica_set: ten thousand schedules of lags, crashes, partitions, restorations and promotions",
          "[replica][schedules]") {
  const std::uint64_t seed = banyan::testing::derived_seed("schedules of a replica set");
  CAPTURE(seed);
  random_source seeds{seed};
  tally results;
  constexpr std::size_t schedules = BANYAN_INTERLEAVINGS ? 10'000 : 2'000;  // fewer under the sanitizers
  for (std::size_t i = 0; i < schedules && results.violation.empty(); ++i) {
    const std::uint64_t each = seeds();
    world{each, results}.run(60 + each % 64);
    if (!results.violation.empty()) UNSCOPED_INFO("schedule " << i << ", seed " << each);
  }
  CHECK(results.violation == "");
  // And all of it was there.
  INFO(results.reads << " reads, " << results.from_replicas << " from replicas, " << results.failovers << " failovers, "
                     << results.lost << " writes lost");
  CHECK(results.reads > 5 * schedules);
  CHECK(results.from_replicas * 3 > results.reads);
  CHECK(2 * results.failovers > schedules);
  CHECK(10 * results.lost > schedules);
}

TEST_CASE("replica_set: the checker of the schedules finds a token that is dropped and each level that is ignored",
          "[replica][schedules]") {
  const std::uint64_t seed = banyan::testing::derived_seed("schedules with a fault");
  CAPTURE(seed);
  const auto found = [seed](const fault& planted) {
    random_source seeds{seed};
    tally results;
    for (std::size_t i = 0; i < 1'000 && results.violation.empty(); ++i) world{seeds(), results, planted}.run(120);
    return results.violation;
  };
  CHECK(found({.drops_token = true}).find("which it has written") != std::string::npos);
  for (const auto& each : levels) {
    if (each == banyan::eventual) continue;
    CAPTURE(static_cast<int>(each.what));
    CHECK(found({.ignored = each}) != "");
  }
}
