#include <banyan/balance/random_choice.hpp>
#include <banyan/cluster/outlier_detector.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/replica_set.hpp>

#include <chrono>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::endpoint_id;
using banyan::read_outcome;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using at = test_clock::time_point;
using set = banyan::replica_set<int, banyan::random_choice, test_clock>;

/// A primary and two replicas, and a detector that looks when it is told to.
struct watched_set {
  watched_set() {
    primary = users.add_primary(0);
    for (int i = 1; i <= 2; ++i) {
      replicas.push_back(users.add_replica(i));
      users.report(replicas.back(), {.position = 10, .lag = 0ns}, at{});
    }
  }

  /// Reads that fail at `broken` and succeed elsewhere; how many went to `broken`.
  int read_with_failures_of(endpoint_id broken, int reads, at now) {
    int there = 0;
    for (int i = 0; i < reads; ++i) {
      auto r = users.read({.consistency = banyan::eventual}, now);
      if (r.id() == broken) {
        ++there;
        r.failed();
      } else {
        r.succeeded(1ms, now);
      }
    }
    return there;
  }

  [[nodiscard]] bool ejected(endpoint_id id) const {
    const auto counts = users.members().stats(id, at{});
    return counts && counts->ejected;
  }

  set users{{.primary_share = 1, .balance = {.seed = 7}}};
  endpoint_id primary;
  std::vector<endpoint_id> replicas;
  banyan::outlier_detector<int, test_clock> detector{
      users.members(), {.consecutive_failures = 5, .base_ejection = 30s, .max_ejected = 0.5, .background = false}};
};

}  // namespace

TEST_CASE("replica_set: a replica that fails is ejected from the reads, and comes back", "[replica][replica_set]") {
  watched_set s;
  const endpoint_id broken = s.replicas[0];
  CHECK(s.read_with_failures_of(broken, 100, at{1s}) >= 5);

  s.detector.evaluate(at{1s});
  CHECK(s.ejected(broken));
  CHECK(s.read_with_failures_of(broken, 100, at{2s}) == 0);
  CHECK(s.users.status(broken, at{2s})->position == 10);  // what is known of it stays

  s.detector.evaluate(at{32s});
  CHECK_FALSE(s.ejected(broken));
  CHECK(s.read_with_failures_of(broken, 100, at{33s}) > 0);
}

TEST_CASE("replica_set: an ejected primary still takes the writes, as nobody else can, and no reads that fall back",
          "[replica][replica_set]") {
  watched_set s;
  for (int i = 0; i < 5; ++i) s.users.write().failed();
  s.detector.evaluate(at{1s});
  REQUIRE(s.ejected(s.primary));

  CHECK(s.users.write().id() == s.primary);
  banyan::consistency_token session;
  session.wrote(11, at{1s});  // nobody has it
  CHECK(s.users.read(session, {.consistency = banyan::read_your_writes}, at{1s}).outcome() == read_outcome::no_primary);
  CHECK(s.users.read(session, {.consistency = banyan::eventual}, at{1s}).outcome() == read_outcome::replica);
}
