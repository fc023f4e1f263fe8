#include <banyan/replica/primary_group.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <banyan/balance/rendezvous_affinity.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/replica/versioned_value.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::health;
using banyan::home_fallback;
using banyan::primary_outcome;
using clock_type = banyan::manual_clock;
using databases = banyan::cluster<std::string, clock_type>;
using group = banyan::primary_group<std::string, banyan::peak_ewma, clock_type>;

constexpr std::uint64_t keys = 300;

std::vector<endpoint_id> homes_in(const group& users) {
  std::vector<endpoint_id> all;
  for (std::uint64_t key = 0; key < keys; ++key) all.push_back(users.home(key));
  return all;
}

}  // namespace

TEST_CASE("primary_group: a key's home does not move because it is away", "[replica][primary_group]") {
  databases members;
  group users{members};
  CHECK_FALSE(users.home(1));
  CHECK(users.write({.key = 1}).outcome() == primary_outcome::no_primary);
  CHECK(users.write().outcome() == primary_outcome::no_primary);
  std::vector<endpoint_id> ids;
  for (const char* name : {"a", "b", "c", "d"}) ids.push_back(members.add(name));
  const auto before = homes_in(users);
  for (const endpoint_id id : ids) CHECK(std::ranges::count(before, id) > 40);
  members.set_health(ids[0], health::unhealthy);
  members.eject(ids[1]);
  members.drain(ids[2]);
  CHECK(homes_in(users) == before);
  members.resume(ids[2]);

  // Who comes or goes takes or gives its own keys; one without weight has none.
  const endpoint_id more = members.add("e");
  const auto with_more = homes_in(users);
  for (std::uint64_t key = 0; key < keys; ++key) CHECK((with_more[key] == before[key] || with_more[key] == more));
  CHECK(std::ranges::count(with_more, more) > 30);
  members.set_weight(more, 0);
  CHECK(homes_in(users) == before);
  members.remove(more);
  members.remove(ids[0]);
  const auto with_less = homes_in(users);
  for (std::uint64_t key = 0; key < keys; ++key) CHECK((with_less[key] == before[key]) == (before[key] != ids[0]));
}

TEST_CASE("primary_group: homes are those of rendezvous_affinity, by name", "[replica][primary_group]") {
  databases members;
  databases others;  // on another machine, in another order
  for (const char* name : {"a", "b", "c"}) members.add(name, {.weight = name[0] == 'b' ? 2.5 : 1});
  for (const char* name : {"c", "a", "b"}) others.add(name, {.weight = name[0] == 'b' ? 2.5 : 1});
  const group users{members};
  const group same{others};
  banyan::balancer<std::string, banyan::rendezvous_affinity, clock_type> affine{members};
  for (std::uint64_t key = 0; key < keys; ++key) {
    REQUIRE(members.name_of(users.home(key)) == others.name_of(same.home(key)));
    REQUIRE(affine.pick({.key = key}).id() == users.home(key));
  }
}

TEST_CASE("primary_group: what happens while the home is away", "[replica][primary_group]") {
  databases members;
  group strict{members};
  group lenient{members, {.when_away = home_fallback::next}};
  for (const char* name : {"a", "b", "c"}) members.add(name);
  for (std::uint64_t key = 0; key < keys; ++key) {
    const endpoint_id home = strict.home(key);
    {
      const auto w = strict.write({.key = key});
      REQUIRE(w.outcome() == primary_outcome::home);
      REQUIRE(w.id() == home);
      REQUIRE(members.in_flight(home) == 1);
    }
    REQUIRE(members.in_flight(home) == 0);
    const auto check_away = [&](endpoint_id avoid) {
      REQUIRE(strict.home(key) == home);
      const auto refused = strict.write({.avoid = avoid, .key = key});
      REQUIRE_FALSE(refused);
      REQUIRE(refused.outcome() == primary_outcome::home_is_away);
      const auto w = lenient.write({.avoid = avoid, .key = key});
      REQUIRE(w.outcome() == primary_outcome::elsewhere);
      REQUIRE(w.id() != home);
      const auto r = strict.read({.avoid = avoid, .key = key});
      REQUIRE(r.outcome() == primary_outcome::elsewhere);
      REQUIRE(r.id() == w.id());
      return w.id();
    };
    const endpoint_id next = check_away(home);
    REQUIRE(strict.write({.avoid = next, .key = key}).id() == home);
    members.set_health(home, health::unhealthy);
    REQUIRE(check_away({}) == next);
    members.set_health(home, health::degraded);
    REQUIRE(strict.write({.key = key}).id() == home);
    members.set_health(home, health::healthy);
    members.eject(home);
    REQUIRE(check_away({}) == next);
    members.readmit(home);
    members.drain(home);
    REQUIRE(check_away({}) == next);
    members.resume(home);
    // The next is who would be at home without it: it goes there when it is gone for good.
    if (key % 50 == 0) {
      databases without;
      for (const char* name : {"a", "b", "c"}) {
        if (members.find(name) != home) without.add(name);
      }
      REQUIRE(without.name_of(group{without}.home(key)) == members.name_of(next));
    }
  }
  for (const endpoint_id id : members.ids()) members.set_health(id, health::unhealthy);
  CHECK(lenient.write({.key = 1}).outcome() == primary_outcome::home_is_away);
  CHECK(strict.read({.key = 1}).outcome() == primary_outcome::home_is_away);
}

TEST_CASE("primary_group: without a key to the own zone, then to the others, never to one that is away",
          "[replica][primary_group]") {
  databases members;
  group users{members, {.zone = "eu", .seed = banyan::testing::derived_seed("primary group, nearest")}};
  const endpoint_id eu = members.add("a", {.zone = "eu"});
  std::vector<endpoint_id> us;
  for (const char* name : {"b", "c", "d", "e"}) us.push_back(members.add(name, {.zone = "us"}));
  const auto count = [&](auto wanted) {
    int right = 0;
    for (int i = 0; i < 200; ++i) {
      const auto w = i % 2 == 0 ? users.write() : users.read();
      if (w && w.outcome() == primary_outcome::nearest && wanted(w.id())) ++right;
    }
    return right;
  };
  CHECK(count([&](endpoint_id id) { return id == eu; }) == 200);
  members.set_health(eu, health::unhealthy);
  CHECK(count([&](endpoint_id id) { return id != eu; }) == 200);
  for (std::size_t i = 0; i < 3; ++i) members.set_health(us[i], health::unhealthy);
  CHECK(count([&](endpoint_id id) { return id == us[3]; }) == 200);
  members.set_health(us[3], health::unhealthy);
  CHECK(users.write().outcome() == primary_outcome::no_primary);
  members.set_health(eu, health::healthy);
  CHECK(count([&](endpoint_id id) { return id == eu; }) == 200);
}

TEST_CASE("primary_group: the own zone suffices, whatever it weighs and however the others are",
          "[replica][primary_group]") {
  databases members;
  group users{members, {.zone = "eu", .seed = banyan::testing::derived_seed("primary group, a light zone")}};
  const double weight = GENERATE(1.0, 1e-300);
  const endpoint_id eu = members.add("a", {.weight = weight, .zone = "eu"});
  std::vector<endpoint_id> us;
  for (const char* name : {"b", "c", "d", "e"}) us.push_back(members.add(name, {.weight = 0x1p32, .zone = "us"}));
  const auto all_at_home = [&] {
    for (int i = 0; i < 200; ++i) {
      if (users.write().id() != eu) return false;
    }
    return true;
  };
  CHECK(all_at_home());
  for (const endpoint_id id : us) {
    members.set_health(id, health::degraded);
    CHECK(all_at_home());
  }
  members.set_health(eu, health::degraded);
  CHECK(all_at_home());
  members.set_health(us[2], health::healthy);
  CHECK(users.write().id() == us[2]);  // health goes before the zone
}

TEST_CASE("primary_group: without zones, by the round trips that the picks report", "[replica][primary_group]") {
  databases members;
  group users{members, {.seed = 7}};
  const endpoint_id near = members.add("near");
  members.add("far");
  const auto start = clock_type::time_point{1h};
  int at_near = 0;
  for (int i = 0; i < 300; ++i) {
    const auto now = start + i * 100ms;
    auto w = users.write({}, now);
    REQUIRE(w);
    if (i >= 100 && w.id() == near) ++at_near;
    w.succeeded(w.id() == near ? 1ms : 80ms, now);
  }
  CHECK(at_near > 180);
}

TEST_CASE("primary_group: may outlive the cluster, and picks may outlive both", "[replica][primary_group]") {
  group::pick kept;
  {
    std::optional<databases> members{std::in_place};
    members->add("a");
    group users{*members};
    members.reset();
    kept = users.write({.key = 1});
  }
  REQUIRE(kept);
  CHECK(*kept == "a");
  databases members;
  members.add("b");
  {
    group users{members};
    kept = users.write({.key = 1});
  }
  REQUIRE(kept);
  CHECK(*kept == "b");
}

TEST_CASE("primary_group: writes at home are never in conflict, and those elsewhere may be",
          "[replica][primary_group]") {
  const std::uint64_t seed = banyan::testing::derived_seed("primary group, conflicts");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (const auto when_away : {home_fallback::refuse, home_fallback::next}) {
    constexpr std::uint64_t rows = 8;
    databases members;
    group users{members, {.when_away = when_away}};
    std::vector<endpoint_id> ids;
    for (const char* name : {"a", "b", "c"}) ids.push_back(members.add(name));
    std::vector<std::array<banyan::versioned_value<int, 4>, rows>> copies(ids.size());
    std::array<bool, rows> was_elsewhere{};
    int conflicts = 0;
    int refused = 0;
    for (int step = 0; step < 5'000; ++step) {
      const std::size_t row = random.below(rows);
      switch (random.below(4)) {
        case 0:
          members.set_health(ids[random.below(3)], random.chance(1, 3) ? health::unhealthy : health::healthy);
          break;
        case 1: {  // replication, some time
          const std::size_t to = random.below(3);
          auto& copy = copies[to][row];
          REQUIRE(copy.merge(copies[random.below(3)][row]));
          if (!copy.conflicting()) break;
          ++conflicts;
          REQUIRE(was_elsewhere[row]);
          break;
        }
        default: {
          const auto w = users.write({.key = banyan::hash_of(row)});
          if (!w) {
            ++refused;
            break;
          }
          if (w.outcome() == primary_outcome::elsewhere) was_elsewhere[row] = true;
          const auto node = static_cast<std::size_t>(std::ranges::find(ids, w.id()) - ids.begin());
          REQUIRE(copies[node][row].write(step, node));
        }
      }
    }
    CHECK((conflicts > 0) == (when_away == home_fallback::next));
    CHECK(refused > 0);
  }
}

TEST_CASE("primary_group: a thread that is stopped keeps no other from its pick", "[replica][primary_group]") {
  databases members;
  group users{members, {.when_away = home_fallback::next}};
  for (const char* name : {"a", "b", "c"})
    members.add(name, {.state = name[0] == 'a' ? health::unhealthy : health::healthy});
  const banyan::testing::stop_options options{
      .workers = 4, .rounds = 20, .seed = banyan::testing::derived_seed("primary group, a thread stopped")};
  const auto result = banyan::testing::stop_a_thread(options, [&](std::size_t worker, std::uint64_t i) {
    auto w = worker % 2 == 0 ? users.write({.key = i}) : users.read();
    w.succeeded(1ms);
  });
  INFO(result.describe());
  CHECK(result.passed());
}
