#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <banyan/balance/power_of_two.hpp>
#include <banyan/balance/random_choice.hpp>
#include <banyan/balance/rendezvous_affinity.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"

using namespace std::chrono_literals;
using banyan::testing::refused_field;

namespace {

using banyan::consistency_token;
using banyan::endpoint_id;
using banyan::health;
using banyan::read_fallback;
using banyan::read_outcome;
using banyan::replica_set_options;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using at = test_clock::time_point;
using set = banyan::replica_set<int, banyan::random_choice, test_clock>;

replica_set_options seeded(replica_set_options options = {}) {
  options.balance.seed = 7;
  options.cluster.stripes = 2;
  return options;
}

/// A primary and three replicas.
struct four {
  explicit four(replica_set_options options = {}) : users{seeded(std::move(options))} {
    p = users.add_primary(0);
    for (int i = 1; i <= 3; ++i) r.push_back(users.add_replica(i));
  }
  set users;
  endpoint_id p;
  std::vector<endpoint_id> r;
};

consistency_token wrote(std::uint64_t position) {
  consistency_token session;
  session.wrote(position, at{});
  return session;
}

/// Where `count` reads go.
std::set<endpoint_id> places(set& users, const consistency_token& session, const banyan::read_options& options, at now,
                             int count = 200) {
  std::set<endpoint_id> all;
  for (int i = 0; i < count; ++i) all.insert(users.read(session, options, now).id());
  return all;
}

const auto own_writes = banyan::read_options{.consistency = banyan::read_your_writes};
const auto refusing = banyan::read_options{.consistency = banyan::read_your_writes, .fallback = read_fallback::refuse};

}  // namespace

TEST_CASE("replica_set: eventual reads go to all replicas and not to the primary", "[replica][replica_set]") {
  four s;
  CHECK(places(s.users, {}, {}, at{}) == std::set<endpoint_id>(s.r.begin(), s.r.end()));
  auto r = s.users.read();
  CHECK(r.outcome() == read_outcome::replica);
  CHECK(*r == static_cast<int>(r.id().value()) - 1);
  CHECK(s.users.members().in_flight(r.id()) == 1);
  r = {};
  CHECK(s.users.members().in_flight(s.r[0]) == 0);
}

TEST_CASE("replica_set: reads of a session's writes go to who has them", "[replica][replica_set]") {
  four s;
  s.users.report(s.r[0], {.position = 99}, at{1s});
  s.users.report(s.r[1], {.position = 100}, at{1s});
  CHECK(places(s.users, wrote(100), own_writes, at{1s}) == std::set<endpoint_id>{s.r[1]});
  CHECK(places(s.users, wrote(99), own_writes, at{1s}) == std::set<endpoint_id>{s.r[0], s.r[1]});
  CHECK(places(s.users, {}, own_writes, at{1s}) == std::set<endpoint_id>(s.r.begin(), s.r.end()));
  for (const auto level : {banyan::monotonic_reads, banyan::causal})
    CHECK(places(s.users, wrote(100), {.consistency = level}, at{1s}) == std::set<endpoint_id>{s.r[1]});

  auto none = s.users.read(wrote(101), refusing, at{1s});
  CHECK_FALSE(none);
  CHECK(none.outcome() == read_outcome::none_fresh);
  auto fallback = s.users.read(wrote(101), own_writes, at{1s});
  CHECK(fallback.id() == s.p);
  CHECK(fallback.outcome() == read_outcome::fallback);
  CHECK(s.users.read(wrote(1), {.consistency = banyan::strong}, at{1s}).id() == s.p);
}

TEST_CASE("replica_set: where positions are not known, the time of the write stands for it", "[replica][replica_set]") {
  four s;
  consistency_token session;
  session.wrote(at{10s});
  s.users.report(s.r[0], {.lag = 1s}, at{10s});
  CHECK_FALSE(s.users.read(session, refusing, at{10s}));
  s.users.report(s.r[1], {.lag = 2s}, at{12s});
  CHECK(places(s.users, session, refusing, at{12s}) == std::set<endpoint_id>{s.r[1]});
  s.users.report(s.r[1], {.lag = 2001ms}, at{12s});  // not an hour later, by chance of the same moment
  CHECK_FALSE(s.users.read(session, refusing, at{12s}));
}

TEST_CASE("replica_set: or nothing at all is known but how long ago it was", "[replica][replica_set]") {
  four s;
  consistency_token session;
  session.wrote(100, at{10s});
  const banyan::read_options within{.consistency = banyan::read_your_writes_within(2s)};
  CHECK(s.users.read(session, within, at{12s}).id() == s.p);
  CHECK(s.users.read(session, within, at{9s}).id() == s.p);  // a clock that was set back
  CHECK(s.users.read(session, within, at{12s + 1ns}).outcome() == read_outcome::replica);
  CHECK(s.users.read({}, within, at{12s}).outcome() == read_outcome::replica);
}

TEST_CASE("replica_set: bounded staleness grows with the age of the report", "[replica][replica_set]") {
  four s;
  const auto within = [&](std::chrono::nanoseconds bound, at now) {
    return static_cast<bool>(
        s.users.read({.consistency = banyan::bounded_staleness(bound), .fallback = read_fallback::refuse}, now));
  };
  CHECK_FALSE(within(1h, at{10s}));
  s.users.report(s.r[2], {.lag = 80ms}, at{10s});
  CHECK(within(80ms, at{10s}));
  CHECK_FALSE(within(79ms, at{10s}));
  CHECK(within(100ms, at{10020ms}));
  CHECK_FALSE(within(100ms, at{10021ms}));
  CHECK(within(std::chrono::nanoseconds::max(), at{10s}));
  CHECK_FALSE(within(0ms, at{10s}));
  CHECK(s.users.status(s.r[2], at{11s})->staleness == 1080ms);
  CHECK(s.users.status(s.r[2], at{11s})->silence == 1s);
  // A clock of a node that is ahead: less than nothing is nothing.
  s.users.report(s.r[2], {.lag = -5s}, at{12s});
  CHECK(s.users.status(s.r[2], at{12s})->staleness == 0ns);
  // The largest lag there is.
  s.users.report(s.r[2], {.lag = std::chrono::nanoseconds::max()}, at{13s});
  CHECK_FALSE(within(24h, at{13s}));
}

TEST_CASE("replica_set: over max_lag a replica is out until it is well below", "[replica][replica_set]") {
  four s{{.max_lag = 1s, .resume_at = 0.8}};
  CHECK_FALSE(s.users.read({.fallback = read_fallback::refuse}, at{}));  // nobody has reported
  const auto readable = [&](std::chrono::nanoseconds lag, int second) {
    s.users.report(s.r[0], {.lag = lag}, at{std::chrono::seconds{second}});
    return s.users.read({.fallback = read_fallback::refuse}, at{std::chrono::seconds{second}}).id() == s.r[0];
  };
  CHECK(readable(999ms, 1));
  CHECK_FALSE(readable(1s, 2));
  CHECK(s.users.status(s.r[0], at{2s})->lagging);
  CHECK_FALSE(readable(999ms, 3));
  CHECK_FALSE(readable(801ms, 4));
  CHECK(readable(800ms, 5));
  CHECK(readable(999ms, 6));
  CHECK_FALSE(readable(5s, 7));
  CHECK(readable(0s, 8));
}

TEST_CASE("replica_set: a replica that falls silent is out", "[replica][replica_set]") {
  const auto out_after = [](replica_set_options options) {
    four s{std::move(options)};
    s.users.report(s.r[0], {.position = 1, .lag = 0ms}, at{});
    for (int seconds = 0; seconds < 60; ++seconds) {
      if (!s.users.read({.fallback = read_fallback::refuse}, at{std::chrono::seconds{seconds}})) return seconds;
    }
    return 60;
  };
  CHECK(out_after({.max_lag = 1s}) == 10);
  CHECK(out_after({.max_lag = 20s}) == 20);
  CHECK(out_after({.max_lag = 1s, .report_timeout = 3s}) == 3);
  CHECK(out_after({.report_timeout = 3s}) == 3);
  CHECK(out_after({}) == 60);
}

TEST_CASE("replica_set: of several reports the latest holds", "[replica][replica_set]") {
  four s;
  CHECK(s.users.report(s.r[0], {.position = 100, .lag = 1s}, at{10s}));
  CHECK_FALSE(s.users.report(s.r[0], {.position = 200, .lag = 0s}, at{9s}));
  CHECK(s.users.status(s.r[0], at{10s})->position == 100);
  CHECK(s.users.status(s.r[0], at{10s})->staleness == 1s);
  // Restored from a backup: it has less than it had.
  CHECK(s.users.report(s.r[0], {.position = 50, .lag = 60s}, at{11s}));
  CHECK_FALSE(s.users.read(wrote(51), refusing, at{11s}));
  CHECK(s.users.read(wrote(50), refusing, at{11s}).id() == s.r[0]);
  CHECK(s.users.status(s.r[0], at{11s})->staleness == 60s);
  // A report of one thing leaves the other.
  CHECK(s.users.report(s.r[0], {.position = 60}, at{12s}));
  CHECK(s.users.status(s.r[0], at{12s})->staleness == 61s);
  CHECK(s.users.report(s.r[0], {.round_trip = 3ms}, at{1s}));  // has no order
  CHECK(s.users.status(s.r[0], at{12s})->round_trip == 3ms);
  CHECK(s.users.status(s.r[0], at{12s})->silence == 0s);
  CHECK_FALSE(s.users.report(endpoint_id{}, {.position = 1}, at{}));
  CHECK_FALSE(s.users.report(endpoint_id{99}, {.position = 1}, at{}));
}

TEST_CASE("replica_set: replicas outside the latency window are for when no other qualifies",
          "[replica][replica_set]") {
  four s{{.latency_window = 15ms}};
  CHECK(places(s.users, {}, {}, at{}).size() == 3);  // nothing is known
  s.users.report(s.r[0], {.position = 10, .round_trip = 5ms}, at{});
  s.users.report(s.r[1], {.position = 10, .round_trip = 20ms}, at{});
  s.users.report(s.r[2], {.position = 11, .round_trip = 21ms}, at{});
  CHECK(places(s.users, {}, {}, at{}) == std::set<endpoint_id>{s.r[0], s.r[1]});
  CHECK(places(s.users, wrote(11), refusing, at{}) == std::set<endpoint_id>{s.r[2]});
  // The nearest goes away: the window moves.
  for (int i = 0; i < 50; ++i) s.users.report(s.r[0], {.round_trip = 50ms}, at{});
  CHECK(places(s.users, {}, {}, at{}) == std::set<endpoint_id>{s.r[1], s.r[2]});
  s.users.remove(s.r[1]);
  s.users.remove(s.r[2]);
  CHECK(places(s.users, {}, {}, at{}) == std::set<endpoint_id>{s.r[0]});
  s.users.report(s.r[0], {.round_trip = 0ms}, at{});
  s.users.report(s.r[0], {.round_trip = -1ms}, at{});
  CHECK(places(s.users, {}, {}, at{}) == std::set<endpoint_id>{s.r[0]});
}

TEST_CASE("replica_set: the caller's zone first, then anybody who has it", "[replica][replica_set]") {
  replica_set_options options;
  options.balance.zone = {.zone = "here", .callers_share = 0.01, .min_endpoints = 2};
  set users{seeded(options)};
  users.add_primary(0);
  const auto near = users.add_replica(1, {.zone = "here"});
  const auto far = users.add_replica(2, {.zone = "there"});
  users.report(near, {.position = 10}, at{});
  users.report(far, {.position = 11}, at{});
  CHECK(places(users, wrote(10), refusing, at{}) == std::set<endpoint_id>{near});
  CHECK(places(users, wrote(11), refusing, at{}) == std::set<endpoint_id>{far});
}

TEST_CASE("replica_set: those that have it share the reads, however few of many they are", "[replica][replica_set]") {
  for (const std::size_t few : {std::size_t{2}, std::size_t{10}, std::size_t{100}}) {
    banyan::replica_set<int, banyan::power_of_two, test_clock> users{seeded()};
    (void)users.add_primary(0);
    std::map<endpoint_id, int> reads;
    for (std::size_t i = 0; i < 200; ++i) {
      const endpoint_id id = users.add_replica(static_cast<int>(i));
      const bool has = i % (200 / few) == 0;
      users.report(id, {.position = has ? 10U : 9U}, at{});
      if (has) reads[id] = 0;
    }
    REQUIRE(reads.size() == few);
    constexpr int count = 40'000;
    for (int i = 0; i < count; ++i) {
      const auto r = users.read(wrote(10), refusing, at{});
      const auto one = reads.find(r.id());
      if (one != reads.end()) ++one->second;
    }
    int sum = 0;
    for (const auto& [id, each] : reads) {
      sum += each;
      CHECK(each * static_cast<int>(few) > count / 4);
      CHECK(each * static_cast<int>(few) < count * 4);
    }
    CHECK(sum == count);
  }
}

TEST_CASE("replica_set: with a key, reads go on to whom the policy names next", "[replica][replica_set]") {
  banyan::replica_set<int, banyan::rendezvous_affinity, test_clock> users{seeded()};
  (void)users.add_primary(0);
  std::vector<endpoint_id> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(users.add_replica(i));
  for (const endpoint_id id : ids) users.report(id, {.position = 10}, at{1s});
  const auto of_key = [&](std::uint64_t key, std::uint64_t position) {
    return users.read(wrote(position), {.consistency = banyan::causal, .request = {.key = key}}, at{1s}).id();
  };
  for (std::uint64_t key = 0; key < 50; ++key) {
    const endpoint_id home = of_key(key, 10);
    CHECK(of_key(key, 10) == home);
    for (const endpoint_id id : ids) users.report(id, {.position = id == home ? 10U : 11U}, at{2s});
    const endpoint_id next = of_key(key, 11);
    CHECK(next != home);
    for (int i = 0; i < 10; ++i) CHECK(of_key(key, 11) == next);
    for (const endpoint_id id : ids) users.report(id, {.position = 10}, at{2s});
  }
}

TEST_CASE("replica_set: whom the cluster takes out is not read from", "[replica][replica_set]") {
  four s;
  for (const endpoint_id each : s.r) s.users.report(each, {.position = 10}, at{});
  s.users.members().set_health(s.r[0], health::unhealthy);
  s.users.members().drain(s.r[1]);
  CHECK(places(s.users, wrote(10), refusing, at{}) == std::set<endpoint_id>{s.r[2]});
  s.users.members().resume(s.r[1]);
  CHECK(places(s.users, wrote(10), refusing, at{}) == std::set<endpoint_id>{s.r[1], s.r[2]});
  CHECK(places(s.users, wrote(10), {.consistency = banyan::read_your_writes, .request = {.avoid = s.r[2]}}, at{}) ==
        std::set<endpoint_id>{s.r[1]});
  s.users.remove(s.r[1]);
  CHECK(places(s.users, wrote(10), {.consistency = banyan::read_your_writes, .request = {.avoid = s.r[2]}}, at{}) ==
        std::set<endpoint_id>{s.r[2]});
  // The primary is not read from when it is unfit, but is still written to.
  s.users.members().set_health(s.p, health::unhealthy);
  CHECK(s.users.read(wrote(99), own_writes, at{}).outcome() == read_outcome::no_primary);
  CHECK(s.users.write().id() == s.p);
  s.users.members().drain(s.p);
  CHECK(s.users.write().outcome() == read_outcome::no_primary);
}

TEST_CASE("replica_set: reads do not melt the primary", "[replica][replica_set]") {
  const auto fallbacks = [](replica_set_options options, int reads) {
    four s{std::move(options)};
    int taken = 0;
    for (int i = 0; i < reads; ++i) {
      auto r = s.users.read(wrote(1), own_writes, at{});
      if (r.outcome() == read_outcome::fallback) {
        ++taken;
      } else {
        CHECK(r.outcome() == read_outcome::share_spent);
      }
    }
    return taken;
  };
  CHECK(fallbacks({.primary_share = 0.25, .primary_burst = 50}, 16'000) <= 4'050);
  CHECK(fallbacks({.primary_share = 0.25, .primary_burst = 50}, 16'000) >= 4'040);
  CHECK(fallbacks({.primary_share = 0}, 100) == 0);
  CHECK(fallbacks({.primary_share = 1}, 10'000) == 10'000);

  // Without any replicas there is only the primary; strong reads ask for it.
  set alone{seeded({.primary_share = 0})};
  alone.add_primary(0);
  for (int i = 0; i < 100; ++i) CHECK(alone.read().outcome() == read_outcome::fallback);
  four s{{.primary_share = 0}};
  for (int i = 0; i < 100; ++i) CHECK(s.users.read({.consistency = banyan::strong}).outcome() == read_outcome::primary);
  // What is not used adds up, to the burst.
  four saving{{.primary_share = 0.5, .primary_burst = 100}};
  for (int i = 0; i < 10'000; ++i) (void)saving.users.read();
  int taken = 0;
  while (saving.users.read(wrote(1), own_writes, at{})) ++taken;
  CHECK(taken >= 100);
  CHECK(taken <= 216);
}

TEST_CASE("replica_set: no primary, two primaries", "[replica][replica_set]") {
  set users{seeded()};
  CHECK(users.write().outcome() == read_outcome::no_primary);
  CHECK(users.read().outcome() == read_outcome::no_primary);
  CHECK(users.read({.consistency = banyan::strong}).outcome() == read_outcome::no_primary);
  const auto p = users.add_primary(1);
  CHECK(refused_field([&] { return users.add_primary(2); }) == "replica_set.primary");
  CHECK(users.members().size() == 1);
  CHECK(users.primary() == p);
  CHECK(users.epoch() == 1);
  const auto r = users.add_replica(3);
  CHECK_FALSE(users.promote(endpoint_id{99}));
  CHECK_FALSE(users.promote(endpoint_id{}));
  CHECK(users.promote(p));  // as it is
  CHECK(users.epoch() == 1);
  CHECK(users.promote(r));
  CHECK(users.epoch() == 2);
  CHECK(users.primary() == r);
  CHECK(users.write().id() == r);
  CHECK(users.read({.fallback = read_fallback::refuse}).id() == p);  // a replica now
  CHECK(users.remove(r));
  CHECK(users.primary() == endpoint_id{});
  CHECK(users.write().outcome() == read_outcome::no_primary);
  const auto next = users.add_primary(4);
  CHECK(users.epoch() == 3);
  CHECK(users.write().id() == next);
  CHECK(users.demote());
  CHECK_FALSE(users.demote());
  CHECK(users.write().outcome() == read_outcome::no_primary);
  CHECK(users.promote(next));
  CHECK(users.epoch() == 4);
}

TEST_CASE("replica_set: epochs that all processes know", "[replica][replica_set]") {
  four s{{.epoch = 5}};
  CHECK(s.users.epoch() == 5);
  CHECK_FALSE(s.users.promote(s.r[0], {.epoch = 4}));
  CHECK_FALSE(s.users.promote(s.r[0], {.epoch = 5}));  // somebody else's
  CHECK(s.users.promote(s.r[0], {.epoch = 9}));
  CHECK(s.users.promote(s.r[0], {.epoch = 9}));  // told twice
  CHECK_FALSE(s.users.promote(s.r[1], {.epoch = 9}));
  CHECK(s.users.epoch() == 9);
  // Late reports from before do not count.
  CHECK_FALSE(s.users.report(s.r[1], {.position = 100, .epoch = 5}, at{}));
  CHECK(s.users.report(s.r[1], {.position = 100, .epoch = 9}, at{}));

  consistency_token session;
  CHECK(s.users.write().wrote(session, 100, at{}));
  CHECK(session.epoch() == 9);
  CHECK_FALSE(session.epoch_is_local());
  // Another process that has not heard of the failover knows nobody who has it for sure, not even its primary.
  four behind{{.epoch = 5}};
  behind.users.report(behind.r[0], {.position = 1000}, at{});
  CHECK(behind.users.read(session, own_writes, at{}).outcome() == read_outcome::newer_epoch);
  CHECK(behind.users.promote(behind.r[0], {.epoch = std::numeric_limits<std::uint32_t>::max()}));
  CHECK_FALSE(behind.users.promote(behind.r[1]));  // no number is left
}

TEST_CASE("replica_set: after a failover tokens ask for what is not lost", "[replica][replica_set]") {
  four s;
  consistency_token kept;
  consistency_token lost;
  consistency_token untold;
  CHECK(s.users.write().wrote(kept, 90, at{}));
  CHECK(s.users.write().wrote(lost, 100, at{}));
  untold.wrote(100, at{});
  s.users.report(s.r[0], {.position = 95}, at{});
  s.users.report(s.r[1], {.position = 95}, at{});
  s.users.report(s.r[2], {.position = 99}, at{});

  SECTION("known where the new primary began") {
    REQUIRE(s.users.promote(s.r[0], {.position = 95}));
    // Nobody has said anything in this epoch: the third has what is lost, and may not be read from.
    CHECK_FALSE(s.users.read(kept, refusing, at{}));
    s.users.report(s.r[1], {.position = 95}, at{1s});
    CHECK(s.users.read(kept, refusing, at{1s}).id() == s.r[1]);
    CHECK(s.users.read(lost, refusing, at{1s}).id() == s.r[1]);
    CHECK_FALSE(s.users.read(untold, refusing, at{1s}));  // until the positions have passed it
    s.users.report(s.r[1], {.position = 101}, at{2s});
    CHECK(s.users.read(untold, refusing, at{2s}));

    CHECK_FALSE(s.users.settle(kept));
    CHECK(kept.epoch() == 2);
    CHECK(kept.position() == 90);
    CHECK(s.users.settle(lost));
    CHECK(lost.position() == 95);
    CHECK_FALSE(s.users.settle(lost));
    CHECK_FALSE(s.users.settle(untold));
  }
  SECTION("known from the new primary's first report") {
    REQUIRE(s.users.promote(s.r[0]));
    s.users.report(s.r[1], {.position = 96}, at{1s});
    CHECK_FALSE(s.users.read(lost, refusing, at{1s}));
    CHECK(s.users.read(lost, own_writes, at{1s}).id() == s.r[0]);
    s.users.report(s.r[0], {.position = 80}, at{1s});  // may have been measured before
    CHECK_FALSE(s.users.read(lost, refusing, at{1s}));
    s.users.report(s.r[0], {.position = 96, .epoch = s.users.epoch()}, at{2s});
    s.users.report(s.r[0], {.position = 120, .epoch = s.users.epoch()}, at{3s});
    CHECK(s.users.read(lost, refusing, at{2s}).id() == s.r[1]);
  }
  SECTION("a write in the new epoch is asked for though it stands below what was lost") {
    REQUIRE(s.users.promote(s.r[0], {.position = 95}));
    CHECK(s.users.write().wrote(lost, 97, at{}));
    CHECK(lost.position() == 97);
    CHECK(lost.epoch() == 2);
    s.users.report(s.r[1], {.position = 96}, at{1s});
    CHECK_FALSE(s.users.read(lost, refusing, at{1s}));
    s.users.report(s.r[1], {.position = 97}, at{2s});
    CHECK(s.users.read(lost, refusing, at{2s}));
  }
  SECTION("planned: what was reported stays true") {
    s.users.report(s.r[2], {.position = 95}, at{1s});
    REQUIRE(s.users.promote(s.r[0], {.position = 95, .planned = true}));
    CHECK(places(s.users, kept, refusing, at{1s}) == std::set<endpoint_id>{s.r[1], s.r[2]});
  }
  SECTION("many failovers, more than are remembered") {
    for (std::uint64_t i = 0; i < 40; ++i) REQUIRE(s.users.promote(s.r[i % 2], {.position = 95 + 10 * i}));
    const endpoint_id other = s.r[0] == s.users.primary() ? s.r[1] : s.r[0];
    s.users.report(other, {.position = 1000}, at{1s});
    CHECK(s.users.read(lost, refusing, at{1s}).id() == other);
  }
}

TEST_CASE("replica_set: tokens of other sets, from the future, from nobody", "[replica][replica_set]") {
  set a{seeded({.name = "users"})};
  set b{seeded({.name = "orders"})};
  for (set* const each : {&a, &b}) {
    each->add_primary(0);
    each->report(each->add_replica(1), {.position = 1'000'000}, at{});
  }
  consistency_token session;
  CHECK(a.write().wrote(session, 10, at{}));
  CHECK(session.set() == a.set());
  CHECK(b.read(session, own_writes, at{}).outcome() == read_outcome::other_set);
  CHECK(b.read(session, {}, at{}).outcome() == read_outcome::replica);  // asks for nothing
  const consistency_token before = session;
  CHECK_FALSE(b.write().wrote(session, 20, at{}));
  CHECK_FALSE(b.read().observed(session, 20));
  CHECK_FALSE(b.read().observed(session, at{}));
  CHECK_FALSE(b.settle(session));
  CHECK(session == before);

  const std::string text = to_text(session, at{});
  CHECK(a.parse(text)->position() == 10);
  CHECK(b.parse(text).error() == banyan::token_error::other_set);
  CHECK(a.parse("").error() == banyan::token_error::malformed);
  CHECK(a.parse(text.substr(1)).error() == banyan::token_error::malformed);
  // A forged position goes to the primary, not for ever to nobody.
  consistency_token forged;
  forged.read_at(std::numeric_limits<std::uint64_t>::max());
  CHECK(a.read(forged, own_writes, at{}).outcome() == read_outcome::fallback);
  // A time in the future, too.
  consistency_token early;
  early.wrote(at{24h});
  CHECK(a.read(early, own_writes, at{}).outcome() == read_outcome::fallback);
}

TEST_CASE("replica_set: picks bring a session up to date", "[replica][replica_set]") {
  four s;
  s.users.report(s.r[0], {.position = 10, .lag = 0s}, at{1s});
  consistency_token session;
  auto r = s.users.read(session, {.consistency = banyan::monotonic_reads}, at{1s});
  CHECK(r.observed(session, 12));  // what the reply said: more than was known
  CHECK(session.position() == 12);
  CHECK(session.epoch() == 1);
  CHECK_FALSE(session.bound_by_time());
  CHECK_FALSE(s.users.read(session, refusing, at{1s}));
  consistency_token unknown;
  CHECK(r.observed(unknown, at{1s}));
  CHECK(unknown.bound_by_time());
  CHECK(s.users.read(unknown, refusing, at{1s}).id() == s.r[0]);
}

TEST_CASE("replica_set: a read waits until a replica has it", "[replica][replica_set]") {
  banyan::replica_set<int, banyan::power_of_two> users{seeded()};
  const auto p = users.add_primary(0);
  const auto r = users.add_replica(1);
  using clock = banyan::steady_clock;
  SECTION("a report ends it") {
    read_outcome how{};
    {
      const banyan::testing::joining_thread reader{[&] {
        how = users.read(wrote(100), {.consistency = banyan::read_your_writes, .wait = 1h}, clock::now()).outcome();
      }};
      for (std::uint64_t position = 90; position <= 100; ++position) {
        std::this_thread::yield();
        users.report(r, {.position = position});
      }
    }
    CHECK(how == read_outcome::replica);
  }
  SECTION("so does another primary") {
    read_outcome how{};
    std::atomic<bool> ended{false};
    {
      const banyan::testing::joining_thread reader{[&] {
        how = users.read(wrote(100), {.consistency = banyan::read_your_writes, .wait = 1h}, clock::now()).outcome();
        ended = true;
      }};
      users.promote(r);
      while (!ended) {
        users.report(p, {.position = 100});
        std::this_thread::yield();
      }
    }
    CHECK(how == read_outcome::replica);
  }
  SECTION("or time runs out") {
    CHECK(users.read(wrote(100), {.consistency = banyan::read_your_writes, .wait = 1ms}, clock::now()).id() == p);
    CHECK(users
              .read(wrote(100),
                    {.consistency = banyan::read_your_writes, .wait = 1ms, .fallback = read_fallback::refuse},
                    clock::now())
              .outcome() == read_outcome::none_fresh);
    CHECK(users.read(wrote(100), {.consistency = banyan::read_your_writes, .wait = -1ms}, clock::now()).id() == p);
  }
}

TEST_CASE("replica_set: options that are out of range are refused", "[replica][replica_set]") {
  const auto refused = [](replica_set_options options) {
    return refused_field([&] { return std::make_unique<set>(options); });
  };
  using banyan::testing::infinity;
  using banyan::testing::not_a_number;
  CHECK(refused({.max_lag = 0s}) == "replica_set_options.max_lag");
  CHECK(refused({.max_lag = -1s}) == "replica_set_options.max_lag");
  for (const double bad : {-0.1, 1.1, infinity, not_a_number}) {
    CHECK(refused({.resume_at = bad}) == "replica_set_options.resume_at");
    CHECK(refused({.primary_share = bad}) == "replica_set_options.primary_share");
  }
  CHECK(refused({.report_timeout = 0s}) == "replica_set_options.report_timeout");
  CHECK(refused({.latency_window = -1ns}) == "replica_set_options.latency_window");
  CHECK(refused({.wait = -1ns}) == "replica_set_options.wait");
  CHECK(refused({.primary_burst = 15}) == "replica_set_options.primary_burst");
  CHECK(refused({.primary_burst = (1U << 20) + 1}) == "replica_set_options.primary_burst");
  CHECK(refused({.balance = {.zone = {.callers_share = 2}}}) == "zone_options.callers_share");
  CHECK(refused({.cluster = {.latency_half_life = 0s}}) == "cluster_options.latency_half_life");
  CHECK(refused({.max_lag = std::chrono::nanoseconds::max(),
                 .resume_at = 1,
                 .report_timeout = std::chrono::nanoseconds::max(),
                 .latency_window = std::chrono::nanoseconds::max(),
                 .wait = std::chrono::nanoseconds::max()})
            .empty());
}

TEST_CASE("replica_set: a change that finds no memory changes nothing", "[replica][replica_set]") {
  four s;
  s.users.report(s.r[0], {.position = 10}, at{});
  const auto unchanged = [&](std::size_t size) {
    return s.users.members().size() == size && s.users.primary() == s.p && s.users.epoch() == 1 &&
           s.users.write().id() == s.p && s.users.read(wrote(10), refusing, at{}).id() == s.r[0];
  };
  std::uint64_t refused = 0;
  const auto until_it_works = [&](auto change, std::size_t size) {
    for (std::uint64_t n = 1;; ++n) {
      const banyan::testing::fail_nth_allocation nth{n};
      try {
        change();
        if (!nth.fired()) return true;
      } catch (const std::bad_alloc&) {
        ++refused;
      }
      const banyan::testing::unfailing_section checking;
      if (!unchanged(size)) return false;
    }
  };
  CHECK(until_it_works([&] { s.users.add_replica(4); }, 4));
  CHECK(s.users.members().size() == 5);
  CHECK(until_it_works([&] { s.users.promote(s.r[1]); }, 5));
  CHECK(s.users.primary() == s.r[1]);
  CHECK(refused > 20);
}
