#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include <banyan/balance/power_of_two.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::consistency_token;
using banyan::endpoint_id;
using banyan::read_outcome;
using set = banyan::replica_set<int, banyan::power_of_two>;

}  // namespace

TEST_CASE("replica_set: reads, writes and reports go on while any thread stands still", "[replica][replica_set]") {
  set users{{.max_lag = 1h, .latency_window = 1ms, .primary_share = 0.5, .cluster = {.stripes = 2}}};
  (void)users.add_primary(0);
  std::vector<endpoint_id> r;
  for (int i = 1; i <= 4; ++i) r.push_back(users.add_replica(i));
  std::atomic<std::uint64_t> position{1};
  for (const auto mode : {banyan::testing::stop_mode::one, banyan::testing::stop_mode::all_but_one}) {
    const auto result = banyan::testing::stop_a_thread({.workers = 4, .mode = mode}, [&](std::size_t worker) {
      consistency_token session;
      if (auto w = users.write()) w.wrote(session, position.fetch_add(1));
      users.report(r[worker], {.position = position.load(), .lag = 0ms, .round_trip = 1ms});
      if (auto read = users.read(session, {.consistency = banyan::read_your_writes})) read.succeeded(1us);
      if (auto read = users.read()) read.observed(session, position.load());
    });
    INFO(result.describe());
    CHECK(result.passed());
  }
  for (const endpoint_id each : users.members().ids()) CHECK(users.members().in_flight(each) == 0);
}

// What is checked is the promise as far as one can see it from outside: a replica is only read from when it has said
// that it has what is asked for, in the epoch in which it is picked.
TEST_CASE("replica_set: reads find who has it while reports, members and primaries change", "[replica][replica_set]") {
  const std::uint64_t seed = banyan::testing::derived_seed("replica set with threads");
  CAPTURE(seed);
  set users{{.primary_share = 1, .cluster = {.stripes = 2}}};
  const endpoint_id p = users.add_primary(0);
  constexpr int replicas = 4;
  std::vector<endpoint_id> r;
  for (int i = 1; i <= replicas; ++i) r.push_back(users.add_replica(i));
  std::atomic<std::uint64_t> applied[replicas]{};  // before it is reported
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> nobody{0};
  std::atomic<std::uint64_t> from_replicas{0};
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        banyan::testing::random_source random{seed + static_cast<std::uint64_t>(t)};
        while (!stop.load(std::memory_order_relaxed)) {
          consistency_token session;
          const std::uint64_t wanted = applied[random.below(replicas)].load() + random.below(3);
          session.read_at(wanted);
          auto pick = users.read(session, {.consistency = banyan::causal});
          if (!pick) nobody.fetch_add(1);
          if (pick.outcome() != read_outcome::replica || *pick == 0 || *pick > replicas) continue;
          from_replicas.fetch_add(1, std::memory_order_relaxed);
          if (applied[*pick - 1].load() < wanted) wrong.fetch_add(1);
        }
      });
    }
    threads.emplace_back([&] {
      banyan::testing::random_source random{seed + 7};
      while (!stop.load(std::memory_order_relaxed)) {
        const std::uint64_t which = random.below(replicas);
        const std::uint64_t next = applied[which].load() + 1;
        applied[which].store(next);
        users.report(r[which], {.position = next, .lag = 0ms});
      }
    });
    for (int i = 0; i < 300 || from_replicas.load() == 0; ++i) {
      const endpoint_id more = users.add_replica(100 + i);
      users.report(more, {.position = 1});
      if (i % 8 == 0) users.promote(r[0]);
      if (i % 8 == 4) users.promote(p);
      users.remove(more);
      if (i % 64 == 0) std::this_thread::yield();
    }
    stop.store(true);
  }
  CHECK(wrong.load() == 0);
  CHECK(nobody.load() == 0);
  CHECK(from_replicas.load() > 0);
  for (const endpoint_id each : users.members().ids()) CHECK(users.members().in_flight(each) == 0);
}

TEST_CASE("replica_set: many wait, and each is woken", "[replica][replica_set]") {
  set users;
  (void)users.add_primary(0);
  const endpoint_id r = users.add_replica(1);
  for (int round = 0; round < 20; ++round) {
    const auto first = static_cast<std::uint64_t>(round * 10 + 1);
    std::atomic<int> found{0};
    {
      std::vector<banyan::testing::joining_thread> readers;
      for (std::uint64_t t = 0; t < 4; ++t) {
        readers.emplace_back([&, t] {
          consistency_token session;
          session.read_at(first + t);
          const auto pick = users.read(session, {.consistency = banyan::causal, .wait = 1h});
          if (pick.outcome() == read_outcome::replica) found.fetch_add(1);
        });
      }
      for (std::uint64_t t = 0; t < 4; ++t) users.report(r, {.position = first + t});
    }
    CHECK(found.load() == 4);
  }
}
