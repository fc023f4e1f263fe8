#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <banyan/balance/random_choice.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/quorum.hpp>
#include <banyan/replica/read_quorum_size.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/linearizability.hpp"
#include "support/models.hpp"
#include "support/seed.hpp"

/// Strong reads of a simulated synchronous set: a write is acknowledged when k of n members have applied it. Members
/// lag, crash, are cut off from each other or from clients, and are replaced as primaries; two processes, of which one
/// may hear of that late, and their clients write and read one value. What they have seen must be linearizable. Each
/// part of what a strong read does is left out once, and the checker must find what that does.
///
/// The servers keep to the rules of docs/replica.md: a member is in an epoch when it has all that the epoch began with;
/// the next primary is the furthest of n - k + 1 members, which follow no earlier one from then on.

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::quorum_state;
using banyan::replica_report;
using banyan::testing::random_source;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using set = banyan::replica_set<std::size_t, banyan::random_choice, test_clock>;
using model = banyan::testing::register_model<std::uint64_t>;
using call = banyan::testing::call_of<model>;

/// How strong reads are done, and what is left out.
struct method {
  bool by_primary = false;    // ask the primary how far it is, and read from anybody who has that
  bool confirm = true;        // the answer is used when k members have it
  std::size_t too_small = 0;  // so many members too few are asked
  bool failovers = true;
  bool fenced = false;  // an old primary is stopped before the next one begins
  bool untold = false;  // members do not say in which epoch they are
};

struct node {
  std::vector<std::uint64_t> log;
  std::uint32_t epoch = 1;     // whose log it is
  std::uint32_t promised = 1;  // follows nobody of an earlier one
  bool leads = false;          // believes that it is the primary
  bool up = true;
  bool cut_off = false;  // from the others, not from the clients
};

struct reply {
  replica_report report{};
  std::uint64_t value = 0;
};

struct pending_write {
  std::uint32_t epoch = 0;
  std::size_t position = 0;
  std::unique_ptr<banyan::quorum> acknowledged{};
  std::vector<banyan::quorum_vote> votes{};  // of the members
};

struct client {
  enum class doing { nothing, writing, asking, finding, confirming } now = doing::nothing;
  std::size_t process = 0;
  std::size_t record = 0;  // of its call
  pending_write write{};
  std::vector<set::pick> asked{};
  banyan::consistency_token index{};
  reply best{};
};

struct tally {
  std::size_t reads = 0;
  std::size_t writes = 0;
  std::size_t failovers = 0;
  std::size_t confirmed_later = 0;
  std::size_t given_up = 0;
};

class world {
 public:
  world(std::uint64_t seed, const method& how, tally& results) : random_{seed}, how_{how}, tally_{results} {
    do {
      members_ = 3 + random_.below(3);
      acknowledgements_ = 1 + random_.below(members_);
    } while (ask() == 0);
    nodes_.resize(members_);
    nodes_[0].leads = true;
    for (auto& each : processes_) {
      banyan::replica_set_options options{.name = "simulated", .epoch = 1};
      options.balance.seed = seed | 1U;
      options.cluster.stripes = 1;
      each = std::make_unique<set>(options);
      ids_.clear();
      for (std::size_t i = 0; i < members_; ++i)
        ids_.push_back(i == 0 ? each->add_primary(i, {}, now_) : each->add_replica(i, {}, now_));
    }
    for (std::size_t i = 0; i < clients_.size(); ++i) clients_[i].process = i % 2;
  }

  std::vector<call> run(std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
      now_ += 1ms;
      const std::uint64_t what = random_.below(100);
      if (what < 55) {
        step(clients_[random_.below(clients_.size())]);
      } else if (what < 82) {
        replicate();
      } else if (what < 93) {
        measure(*processes_[random_.below(2)], random_.below(members_));
      } else if (what < 97) {
        trouble(nodes_[random_.below(members_)]);
      } else if (how_.failovers && what < 98) {
        learn(random_.below(2));
      } else if (how_.failovers) {
        fail_over();
      }
    }
    std::erase_if(calls_, [](const call& each) { return each.pending() && is_read(each); });
    return std::move(calls_);
  }

 private:
  bool chance(std::uint64_t one_in) { return random_.below(one_in) == 0; }
  static bool is_read(const call& one) { return one.operation.what == model::kind::read; }
  [[nodiscard]] std::size_t ask() const {
    return banyan::read_quorum_size(members_, acknowledgements_) - how_.too_small;
  }

  // The servers.

  void trouble(node& one) {
    if (one.up && !one.cut_off && chance(2)) {
      (chance(2) ? one.up : one.cut_off) ^= true;
    } else {
      one.up = true;
      one.cut_off = false;
    }
  }

  void replicate() {
    node& from = nodes_[random_.below(members_)];
    const std::size_t which = random_.below(members_);
    node& to = nodes_[which];
    if (&from == &to || !from.leads || !from.up || !to.up || from.cut_off || to.cut_off) return;
    if (to.promised > from.epoch) return;
    to.promised = from.epoch;
    if (to.epoch != from.epoch) {  // with all that the epoch began with, and nothing else
      to.log.assign(from.log.begin(), from.log.begin() + static_cast<std::ptrdiff_t>(begins_at_[from.epoch]));
      to.epoch = from.epoch;
      to.leads = false;
    }
    for (std::uint64_t some = random_.below(3); some > 0 && to.log.size() < from.log.size(); --some)
      to.log.push_back(from.log[to.log.size()]);
    for (client& each : clients_) {
      const pending_write& write = each.write;
      if (write.acknowledged && write.epoch == to.epoch && write.position <= to.log.size())
        each.write.votes[which].acknowledge();
    }
  }

  void fail_over() {
    std::vector<node*> voters;
    for (node& each : nodes_) {
      if (each.up && !each.cut_off) voters.push_back(&each);
    }
    if (voters.size() < banyan::read_quorum_size(members_, acknowledgements_)) return;
    if (how_.fenced) {
      for (node& each : nodes_) each.leads = false;
    }
    ++epoch_;
    ++tally_.failovers;
    node* next = voters.front();
    for (node* const each : voters) {
      each->promised = epoch_;
      each->leads = false;
      if (std::tuple{each->epoch, each->log.size()} > std::tuple{next->epoch, next->log.size()}) next = each;
    }
    next->epoch = epoch_;
    next->leads = true;
    begins_at_.push_back(next->log.size());
    primary_ = static_cast<std::size_t>(next - nodes_.data());
    learn(random_.below(2));
  }

  // The processes.

  void learn(std::size_t process) { (void)processes_[process]->promote(ids_[primary_], {.epoch = epoch_}); }

  [[nodiscard]] std::optional<reply> answer_of(std::size_t which) const {
    const node& one = nodes_[which];
    if (!one.up) return std::nullopt;
    return reply{.report = {.position = one.log.size(), .epoch = how_.untold ? 0 : one.epoch},
                 .value = one.log.empty() ? 0 : one.log.back()};
  }

  void measure(set& process, std::size_t which) {
    if (const auto known = answer_of(which)) process.report(ids_[which], known->report, now_);
  }

  // The clients.

  void begin(client& who, const model::operation& what) {
    who.record = calls_.size();
    calls_.push_back({static_cast<std::size_t>(&who - clients_.data()), what, std::nullopt, ++time_});
  }
  void end(client& who, std::uint64_t value) {
    calls_[who.record].result = model::result{.value = value};
    calls_[who.record].responded = ++time_;
    who.now = client::doing::nothing;
    ++(is_read(calls_[who.record]) ? tally_.reads : tally_.writes);
  }
  void give_up(client& who) {
    who.now = client::doing::nothing;
    who.asked.clear();
    who.write = {};
    ++tally_.given_up;
  }

  void step(client& who) {
    set& process = *processes_[who.process];
    if (who.now != client::doing::nothing && chance(30)) return give_up(who);
    switch (who.now) {
      case client::doing::nothing:
        return chance(2) ? start_to_write(who, process) : start_to_read(who, process);
      case client::doing::writing:
        if (who.write.acknowledged->state() == quorum_state::reached) {
          who.write = {};
          end(who, 0);
        }
        return;
      case client::doing::asking:
        return ask_one(who, process);
      case client::doing::finding:
        return find(who, process);
      case client::doing::confirming:
        if (how_.confirm && !process.has_quorum(who.best.report, acknowledgements_)) {
          ++tally_.confirmed_later;
          return measure(process, random_.below(members_));
        }
        return end(who, who.best.value);
    }
  }

  void start_to_write(client& who, set& process) {
    const auto w = process.write();
    if (!w || !nodes_[*w].up || !nodes_[*w].leads) return;
    node& primary = nodes_[*w];
    begin(who, {model::kind::write, ++last_value_, 0});
    primary.log.push_back(last_value_);
    who.write = {primary.epoch, primary.log.size(),
                 std::make_unique<banyan::quorum>(static_cast<std::uint32_t>(acknowledgements_),
                                                  static_cast<std::uint32_t>(members_))};
    for (std::size_t i = 0; i < members_; ++i) who.write.votes.push_back(who.write.acknowledged->vote());
    who.write.votes[*w].acknowledge();
    who.now = client::doing::writing;
  }

  void start_to_read(client& who, set& process) {
    who.best = {};
    if (how_.by_primary) {
      const auto w = process.write();
      if (!w || !nodes_[*w].up || !nodes_[*w].leads) return;
      begin(who, {});
      const reply primary = *answer_of(*w);
      who.index = {};
      (void)w.observed(who.index, *primary.report.position, primary.report.epoch);
      who.now = client::doing::finding;
      return;
    }
    who.asked.resize(ask());
    if (!process.read_quorum(who.asked, now_)) return;
    begin(who, {});
    who.now = client::doing::asking;
  }

  // One of those that were picked answers.
  void ask_one(client& who, set& process) {
    std::swap(who.asked[random_.below(who.asked.size())], who.asked.back());
    const auto got = answer_of(*who.asked.back());
    if (!got) return give_up(who);
    process.report(who.asked.back().id(), got->report, now_);
    const auto rank = [](const reply& one) { return std::tuple{one.report.epoch, one.report.position}; };
    if (!who.best.report.position || rank(*got) > rank(who.best)) who.best = *got;
    who.asked.pop_back();
    if (who.asked.empty()) who.now = client::doing::confirming;
  }

  void find(client& who, set& process) {
    const auto r =
        process.read(who.index, {.consistency = banyan::causal, .fallback = banyan::read_fallback::refuse}, now_);
    const auto got = r ? answer_of(*r) : std::nullopt;
    if (!got) return measure(process, random_.below(members_));
    process.report(r.id(), got->report, now_);
    who.best = *got;
    who.now = client::doing::confirming;
  }

  random_source random_;
  method how_;
  tally& tally_;
  test_clock::time_point now_{1s};
  std::size_t members_ = 0;
  std::size_t acknowledgements_ = 0;
  std::vector<node> nodes_;
  std::uint32_t epoch_ = 1;  // the latest
  std::size_t primary_ = 0;  // of the latest
  std::vector<std::size_t> begins_at_{0, 0};
  std::uint64_t last_value_ = 0;
  std::vector<std::unique_ptr<set>> processes_ = std::vector<std::unique_ptr<set>>(2);
  std::vector<endpoint_id> ids_;
  std::vector<client> clients_ = std::vector<client>(4);
  std::vector<call> calls_;
  std::uint64_t time_ = 0;
};

constexpr std::size_t schedules = BANYAN_INTERLEAVINGS ? 3'000 : 600;  // fewer under the sanitizers

/// What the checker finds wrong first; empty when there is nothing.
std::string first_violation(const method& how, tally& results, std::size_t most = schedules) {
  random_source seeds{banyan::testing::derived_seed("strong reads of a synchronous set")};
  for (std::size_t i = 0; i < most; ++i) {
    const std::uint64_t seed = seeds();
    const auto report = banyan::testing::check_linearizable(model{}, world{seed, how, results}.run(150 + seed % 150));
    if (!report.linearizable())
      return "schedule " + std::to_string(i) + ", seed " + std::to_string(seed) + ": " + report.explanation;
  }
  return {};
}

}  // namespace

TEST_CASE("strong reads: of a quorum, through crashes, partitions and failovers", "[replica][strong][schedules]") {
  tally seen;
  CHECK(first_violation({}, seen) == "");
  INFO(seen.reads << " reads, " << seen.writes << " writes, " << seen.failovers << " failovers, "
                  << seen.confirmed_later << " not confirmed at once, " << seen.given_up << " given up");
  CHECK(seen.reads > 2 * schedules);
  CHECK(seen.writes > 2 * schedules);
  CHECK(seen.failovers > schedules);
  CHECK(seen.confirmed_later > schedules);
}

TEST_CASE("strong reads: by the primary's position, where an old primary is stopped first",
          "[replica][strong][schedules]") {
  tally seen;
  CHECK(first_violation({.by_primary = true, .fenced = true}, seen) == "");
  CHECK(seen.reads > schedules);
  CHECK(seen.failovers > schedules);
  // Without failovers nothing that was seen is lost, so nobody needs to confirm it.
  CHECK(first_violation({.by_primary = true, .confirm = false, .failovers = false}, seen) == "");
}

TEST_CASE("strong reads: nothing of that can be left out", "[replica][strong][schedules]") {
  tally seen;
  constexpr std::size_t enough = 20'000;  // the first violation ends it, after a thousand at most as a rule
  CHECK(first_violation({.confirm = false, .failovers = false}, seen, enough) != "");
  CHECK(first_violation({.too_small = 1, .failovers = false}, seen, enough) != "");
  CHECK(first_violation({.untold = true}, seen, enough) != "");
  CHECK(first_violation({.by_primary = true, .confirm = false, .fenced = true}, seen, enough) != "");
}
