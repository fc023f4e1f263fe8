#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include <banyan/balance/ring_affinity.hpp>
#include <banyan/balance/round_robin.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"

// What happens between two steps of a read, a report or a change.

using namespace std::chrono_literals;

namespace {

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using at = test_clock::time_point;

/// Does something in the middle of a read, and of a change; knows nobody.
struct interrupted {
  struct table {};
  table build(std::span<const banyan::candidate>) const {
    if (*in_change) (*in_change)();
    return {};
  }
  std::uint32_t choose(const table&, std::span<const banyan::candidate>, banyan::pick_context&) const noexcept {
    if (*in_read) (*in_read)();
    return banyan::pick_context::none;
  }
  const std::function<void()>* in_read;
  const std::function<void()>* in_change;
};

banyan::read_options causally() { return {.consistency = banyan::causal, .fallback = banyan::read_fallback::refuse}; }

banyan::consistency_token that_saw(std::uint64_t position) {
  banyan::consistency_token token;
  token.read_at(position);
  return token;
}

}  // namespace

TEST_CASE("replica_set: the primary reports while it is being demoted", "[replica][replica_set][meanwhile]") {
  std::function<void()> nothing;
  std::function<void()> in_change;
  banyan::replica_set<int, interrupted, test_clock> users{{}, {&nothing, &in_change}};
  const auto primary = users.add_primary(0);
  const auto other = users.add_replica(1);
  users.report(primary, {.position = 5}, at{1s});
  users.report(other, {.position = 5}, at{1s});

  in_change = [&] { users.report(primary, {.position = 100}, at{2s}); };
  REQUIRE(users.demote());
  in_change = nullptr;
  REQUIRE(users.status(primary, at{3s})->position == 100);
  CHECK(users.read(that_saw(100), causally(), at{3s}).id() == primary);
}

TEST_CASE("replica_set: one of two outside the latency window drains during the read",
          "[replica][replica_set][meanwhile]") {
  const std::uint64_t seed = banyan::testing::derived_seed("drains");
  CAPTURE(seed);
  for (std::uint64_t round = 0; round < 16; ++round) {
    std::function<void()> in_read;
    std::function<void()> nothing;
    banyan::replica_set_options options{.latency_window = 1ms};
    options.balance.seed = (seed + round) | 1U;
    banyan::replica_set<int, interrupted, test_clock> users{options, {&in_read, &nothing}};
    (void)users.add_primary(0);
    const auto near = users.add_replica(1);
    const auto one = users.add_replica(2);
    const auto other = users.add_replica(3);
    users.report(near, {.position = 5, .round_trip = 1ms}, at{1s});
    for (const auto id : {one, other}) users.report(id, {.position = 9, .round_trip = 9ms}, at{1s});
    in_read = [&] { (void)users.members().drain(one); };
    CHECK(users.read(that_saw(9), causally(), at{1s}).id() == other);
  }
}

TEST_CASE("replica_set: what a replica is known to have, a read finds there", "[replica][replica_set][meanwhile]") {
  banyan::replica_set<int, banyan::round_robin, test_clock> users;
  (void)users.add_primary(0);
  const auto replica = users.add_replica(1);
  std::atomic<bool> stop{false};
  int seen = 0;
  int found = 0;
  {
    const banyan::testing::joining_thread reports{[&] {
      for (std::uint64_t i = 1; !stop.load(); ++i) users.report(replica, {.position = i, .lag = 0ns}, at{1s});
    }};
    const auto enough = std::chrono::steady_clock::now() + 1s;
    std::uint64_t last = 0;
    while (seen < 1000 && std::chrono::steady_clock::now() < enough) {
      const std::uint64_t position = users.status(replica, at{1s})->position;
      if (position == last) {
        std::this_thread::yield();
        continue;
      }
      last = position;
      ++seen;
      if (users.read(that_saw(position), causally(), at{1s})) ++found;
    }
    stop = true;
  }
  CHECK(found == seen);
}

TEST_CASE("replica_set: the policy chooses among those outside the latency window when only they have it",
          "[replica][replica_set][meanwhile]") {
  banyan::replica_set<int, banyan::ring_affinity, test_clock> users{{.max_lag = 1s, .latency_window = 1ms}};
  (void)users.add_primary(0);
  const auto nearest = users.add_replica(1);
  users.report(nearest, {.lag = 5s, .round_trip = 1ms}, at{1s});
  for (int i = 2; i < 8; ++i) users.report(users.add_replica(i), {.lag = 1ms, .round_trip = 9ms}, at{1s});

  std::set<banyan::endpoint_id> of_all;
  for (std::uint64_t key = 0; key < 50; ++key) {
    std::set<banyan::endpoint_id> of_key;
    for (int i = 0; i < 20; ++i) of_key.insert(users.read({.request = {.key = key}}, at{1s}).id());
    CHECK(of_key.size() == 1);
    of_all.insert(of_key.begin(), of_key.end());
    const auto elsewhere = users.read({.request = {.avoid = *of_key.begin(), .key = key}}, at{1s});
    CHECK((elsewhere && elsewhere.id() != nearest && of_key.count(elsewhere.id()) == 0));
  }
  CHECK(of_all.size() == 6);
  CHECK(of_all.count(nearest) == 0);
}

TEST_CASE("replica_set: a read waits at the end of all times", "[replica][replica_set][meanwhile]") {
  banyan::replica_set<int, banyan::round_robin, test_clock> users{{.wait = 1ms}};
  (void)users.add_primary(0);
  users.report(users.add_replica(1), {.lag = 0ns}, at{1s});
  CHECK_FALSE(users.read(that_saw(1), causally(), at::max()));
  // Fresher than what is there, by whatever can be told of it.
  const banyan::read_options fresh{.consistency = banyan::bounded_staleness(1s), .fallback = causally().fallback};
  CHECK_FALSE(users.read(fresh, at::max()));
  CHECK(users.read(fresh, at::min()));
}
