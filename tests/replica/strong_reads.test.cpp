#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <banyan/balance/power_of_two.hpp>
#include <banyan/balance/random_choice.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/quorum.hpp>
#include <banyan/replica/read_quorum_size.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::quorum_state;
using banyan::read_outcome;
using banyan::read_quorum_size;
using banyan::replica_report;
using banyan::testing::refused_field;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using at = test_clock::time_point;
using replica_set = banyan::replica_set<int, banyan::random_choice, test_clock>;
using pick = replica_set::pick;

/// A primary and replicas.
struct members {
  explicit members(int count, banyan::replica_set_options options = {}) : users{seeded(std::move(options))} {
    for (int i = 0; i < count; ++i) {
      const std::string zone = i % 2 == 0 ? "far" : "here";
      ids.push_back(i == 0 ? users.add_primary(i, {.zone = zone}) : users.add_replica(i, {.zone = zone}));
    }
  }
  static banyan::replica_set_options seeded(banyan::replica_set_options options) {
    options.balance.seed = 11;
    options.cluster.stripes = 2;
    return options;
  }
  [[nodiscard]] std::int64_t in_flight() const {
    std::int64_t sum = 0;
    for (const endpoint_id id : ids) sum += users.members().in_flight(id);
    return sum;
  }
  replica_set users;
  std::vector<endpoint_id> ids;
};

template <std::size_t Size>
std::set<endpoint_id> ids_of(const std::array<pick, Size>& picks) {
  std::set<endpoint_id> all;
  for (const pick& each : picks) all.insert(each.id());
  return all;
}

}  // namespace

TEST_CASE("read_quorum_size: any so many have a member of any k", "[replica][strong]") {
  static_assert(read_quorum_size(3, 2) == 2);
  for (unsigned n = 1; n <= 6; ++n) {
    for (unsigned k = 1; k <= n; ++k) {
      const std::size_t r = read_quorum_size(n, k);
      bool always = true;
      bool with_one_less = true;
      for (unsigned wrote = 0; wrote < 1U << n; ++wrote) {
        for (unsigned asked = 0; asked < 1U << n; ++asked) {
          if (__builtin_popcount(wrote) != static_cast<int>(k)) continue;
          const auto size = static_cast<std::size_t>(__builtin_popcount(asked));
          if (size == r) always = always && (wrote & asked) != 0;
          if (size == r - 1) with_one_less = with_one_less && (wrote & asked) != 0;
        }
      }
      CHECK(always);
      CHECK_FALSE(with_one_less);
    }
  }
  CHECK(refused_field([] { return read_quorum_size(3, 0); }) == "read_quorum_size.acknowledgements");
  CHECK(refused_field([] { return read_quorum_size(3, 4); }) == "read_quorum_size.acknowledgements");
  CHECK(refused_field([] { return read_quorum_size(0, 0); }) == "read_quorum_size.acknowledgements");
}

TEST_CASE("read_quorum: different members, the primary only when it is needed", "[replica][strong]") {
  members s{4};
  std::array<pick, 3> three;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(s.users.read_quorum(three));
    CHECK(ids_of(three) == std::set<endpoint_id>{s.ids[1], s.ids[2], s.ids[3]});
    for (const pick& each : three) CHECK(each.outcome() == read_outcome::replica);
    CHECK(s.in_flight() == 3);  // those of the last time were given back
  }
  std::array<pick, 4> four;
  REQUIRE(s.users.read_quorum(four));
  CHECK(ids_of(four) == std::set<endpoint_id>(s.ids.begin(), s.ids.end()));
  CHECK(four[3].outcome() == read_outcome::primary);
  CHECK(*four[3] == 0);
  four = {};
  three = {};
  CHECK(s.in_flight() == 0);
}

TEST_CASE("read_quorum: all or none", "[replica][strong]") {
  members s{3};
  std::array<pick, 3> three;
  REQUIRE(s.users.read_quorum(three));
  SECTION("too few") {
    std::array<pick, 4> four;
    CHECK_FALSE(s.users.read_quorum(four));
    for (const pick& each : four) {
      CHECK_FALSE(each);
      CHECK(each.outcome() == read_outcome::no_quorum);
      CHECK_FALSE(went_somewhere(each.outcome()));
    }
    CHECK(s.in_flight() == 3);
  }
  SECTION("one drains") {
    s.users.members().drain(s.ids[1]);
    CHECK_FALSE(s.users.read_quorum(three));
    CHECK(s.in_flight() == 0);
  }
  SECTION("the primary is not fit") {
    s.users.members().set_health(s.ids[0], banyan::health::unhealthy);
    CHECK_FALSE(s.users.read_quorum(three));
    std::array<pick, 2> two;
    CHECK(s.users.read_quorum(two));
  }
  SECTION("there is no primary") {
    s.users.demote();
    CHECK(s.users.read_quorum(three));  // it is a replica now
    s.users.remove(s.ids[0]);
    CHECK_FALSE(s.users.read_quorum(three));
  }
  SECTION("nobody is asked for") { CHECK_FALSE(s.users.read_quorum({})); }
}

TEST_CASE("read_quorum: the policy is not asked again when there is nobody else", "[replica][strong]") {
  struct counts {
    struct table {};
    table build(std::span<const banyan::candidate>) const noexcept { return {}; }
    std::uint32_t choose(const table&, std::span<const banyan::candidate>, banyan::pick_context&) const noexcept {
      ++*asked;
      return banyan::pick_context::none;
    }
    int* asked;
  };
  int asked = 0;
  banyan::replica_set<int, counts, test_clock> users{{.max_lag = 1s}, counts{&asked}};
  (void)users.add_primary(0);
  const auto one = users.add_replica(1);
  for (int i = 0; i < 2; ++i) users.report(users.add_replica(2), {.lag = 5s}, at{1s});
  std::array<decltype(users)::pick, 3> three;
  SECTION("nobody is fit for a read") {
    REQUIRE(users.read_quorum(three, at{1s}));
    CHECK(asked == 1);
  }
  SECTION("one is") {
    users.report(one, {.lag = 0s}, at{1s});
    REQUIRE(users.read_quorum(three, at{1s}));
    CHECK(three[0].id() == one);
    CHECK(asked == 2);
  }
}

TEST_CASE("read_quorum: those of the zone first, and the others by turns", "[replica][strong]") {
  banyan::replica_set_options options;
  options.balance.zone = {.zone = "here", .min_endpoints = 1};
  members s{7, options};  // 1, 3 and 5 are here; 2, 4 and 6 far; and the primary
  // As far as the policy names them: their zone's share of this caller's requests is one third at least.
  std::map<endpoint_id, int> count;
  std::array<pick, 2> two;
  for (int i = 0; i < 600; ++i) {
    REQUIRE(s.users.read_quorum(two));
    REQUIRE(ids_of(two).size() == 2);
    for (const pick& each : two) ++count[each.id()];
  }
  CHECK(count[s.ids[0]] == 0);
  const int here = count[s.ids[1]] + count[s.ids[3]] + count[s.ids[5]];
  CAPTURE(here);
  CHECK(here > 550);
  for (const endpoint_id id : {s.ids[1], s.ids[3], s.ids[5]}) CHECK(count[id] > here / 5);
}

TEST_CASE("read_quorum: by the policy, which knows who is busy", "[replica][strong]") {
  banyan::replica_set<int, banyan::power_of_two, test_clock> users{members::seeded({})};
  users.add_primary(0);
  const endpoint_id busy_one = users.add_replica(1);
  std::vector<decltype(users)::pick> busy;
  for (int i = 0; i < 50; ++i) busy.push_back(users.read());
  for (int i = 2; i < 6; ++i) users.add_replica(i);
  int with_the_busy_one = 0;
  std::array<decltype(users)::pick, 2> two;
  for (int i = 0; i < 500; ++i) {
    REQUIRE(users.read_quorum(two));
    REQUIRE(two[0].id() != two[1].id());
    for (const auto& each : two) with_the_busy_one += each.id() == busy_one ? 1 : 0;
  }
  CHECK(with_the_busy_one < 100);  // 200, if the policy were not asked
}

TEST_CASE("has_quorum: counts members that have reported it, the primary among them", "[replica][strong]") {
  members s{3};
  CHECK(s.users.has_quorum({}, 3));  // nothing: everybody has that
  CHECK_FALSE(s.users.has_quorum({.position = 10}, 1));
  s.users.report(s.ids[0], {.position = 10}, at{1s});
  CHECK(s.users.has_quorum({.position = 10}, 1));
  CHECK_FALSE(s.users.has_quorum({.position = 10}, 2));
  s.users.report(s.ids[1], {.position = 9}, at{1s});
  CHECK_FALSE(s.users.has_quorum({.position = 10}, 2));
  CHECK(s.users.has_quorum({.position = 9}, 2));
  s.users.report(s.ids[2], {.position = 12}, at{1s});
  CHECK(s.users.has_quorum({.position = 10}, 2));
  CHECK_FALSE(s.users.has_quorum({.position = 10}, 3, 1ms));
  CHECK_FALSE(s.users.has_quorum({.position = 10}, 3, std::chrono::nanoseconds::min()));
}

TEST_CASE("has_quorum: of the present epoch", "[replica][strong]") {
  members s{3, {.epoch = 4}};
  for (const endpoint_id id : s.ids) s.users.report(id, {.position = 10, .epoch = 4}, at{1s});
  CHECK(s.users.has_quorum({.position = 10, .epoch = 4}, 3));
  CHECK_FALSE(s.users.has_quorum({.position = 10, .epoch = 3}, 1, 1h));  // it is over: nothing to wait for
  CHECK_FALSE(s.users.has_quorum({.position = 10, .epoch = 5}, 1));      // not told yet
  // A member that follows another primary by now tells nothing of this epoch.
  s.users.report(s.ids[2], {.position = 10, .epoch = 5}, at{2s});
  CHECK(s.users.has_quorum({.position = 10, .epoch = 4}, 2));
  CHECK_FALSE(s.users.has_quorum({.position = 10, .epoch = 4}, 3));
  REQUIRE(s.users.promote(s.ids[2], {.epoch = 5}));
  CHECK_FALSE(s.users.has_quorum({.position = 10, .epoch = 4}, 1));
  CHECK_FALSE(s.users.has_quorum({.position = 10, .epoch = 5}, 1));
  s.users.report(s.ids[2], {.position = 10, .epoch = 5}, at{3s});
  CHECK(s.users.has_quorum({.position = 10, .epoch = 5}, 1));
}

TEST_CASE("has_quorum: waits for reports, and not beyond the epoch", "[replica][strong]") {
  for (int round = 0; round < 20; ++round) {
    members s{3};
    s.users.report(s.ids[0], {.position = 10}, at{1s});
    std::atomic<bool> has{false};
    {
      const banyan::testing::joining_thread waiting{[&] { has = s.users.has_quorum({.position = 10}, 2, 1h); }};
      if (round % 2 == 0) std::this_thread::yield();
      s.users.report(s.ids[1], {.position = 10}, at{1s});
    }
    CHECK(has);
    {
      // Whether it has begun to wait or not: epoch 2 begins, and with it epoch 1 is over.
      const banyan::testing::joining_thread waiting{
          [&] { has = s.users.has_quorum({.position = 11, .epoch = 1}, 2, 1h); }};
      if (round % 2 == 0) std::this_thread::yield();
      s.users.promote(s.ids[1]);
    }
    CHECK_FALSE(has);
  }
}

namespace {

struct row_reply {
  std::string value{};
  replica_report at{};
};

/// A database whose log is its rows.
struct database {
  std::vector<std::string> log{};
  [[nodiscard]] row_reply query() const {
    return {log.empty() ? std::string{} : log.back(), {.position = log.size(), .epoch = 1}};
  }
};

}  // namespace

TEST_CASE("strong reads: the example of the page", "[replica][strong]") {
  auto db0 = std::make_shared<database>(), db1 = std::make_shared<database>(), db2 = std::make_shared<database>();
  banyan::replica_set<std::shared_ptr<database>, banyan::random_choice> users{{.epoch = 1}};
  users.add_primary(db0);
  users.add_replica(db1);
  users.add_replica(db2);

  // Written when two of three have it: the primary and db2.
  banyan::quorum written{2, 3};
  for (const auto& each : {db0, db2}) {
    each->log.emplace_back("new");
    written.vote().acknowledge();
  }
  REQUIRE(written.wait_for(200ms) == quorum_state::reached);

  // Read from any two of three.
  const auto read = [&]() -> row_reply {
    std::array<decltype(users)::pick, banyan::read_quorum_size(3, 2)> asked;
    if (!users.read_quorum(asked)) return {};
    row_reply best;
    for (auto& each : asked) {  // at once, in earnest
      const auto sent = banyan::steady_clock::now();
      row_reply reply = (*each)->query();
      users.report(each.id(), reply.at, sent);
      if (std::tie(reply.at.epoch, reply.at.position) > std::tie(best.at.epoch, best.at.position)) best = reply;
      each.succeeded(banyan::steady_clock::now() - sent);
    }
    if (!users.has_quorum(best.at, 2)) return {};  // nobody else is known to have it: wait, or ask again
    return best;
  };
  CHECK(read().value.empty());  // db2 alone has told that it has it
  users.report(users.primary(), db0->query().at);
  CHECK(read().value == "new");

  // Or from anybody who has what the primary has.
  banyan::consistency_token index;
  auto p = users.write();
  const replica_report there = (*p)->query().at;
  p.observed(index, *there.position, there.epoch);
  auto r = users.read(index, {.consistency = banyan::causal});
  REQUIRE(r);
  CHECK(r.outcome() == read_outcome::replica);
  CHECK((*r)->query().value == "new");
}

// What docs/replica.md warns of, so that nobody takes it for more than it is.
TEST_CASE("strong reads: the position of an old primary that was not stopped is an old one", "[replica][strong]") {
  members s{4, {.epoch = 1}};  // two acknowledge. This process has not heard of what follows.
  for (const endpoint_id id : s.ids) s.users.report(id, {.position = 10, .epoch = 1}, at{1s});
  // Cut off from 0, the others make 1 the primary; 1 and 2 acknowledge position 11 in epoch 2. 0 and 3 have not heard
  // of it either, and 0 says that it is the primary, at 10.
  banyan::consistency_token index;
  CHECK(s.users.write().observed(index, 10, 1));
  s.users.members().drain(s.ids[1]);
  s.users.members().drain(s.ids[2]);
  const auto r = s.users.read(index, {.consistency = banyan::causal}, at{2s});
  CHECK(r.id() == s.ids[3]);
  CHECK(s.users.has_quorum({.position = 10, .epoch = 1}, 2));  // true of epoch 1, and misses position 11
  // A quorum does not: of any three members one says epoch 2.
  s.users.report(s.ids[2], {.position = 11, .epoch = 2}, at{2s});
  CHECK_FALSE(s.users.has_quorum({.position = 11, .epoch = 2}, 2));
}
