#include <chrono>
#include <string>

#include <banyan/replica.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;

struct database {
  std::string address;
  void exec(const char*) {}
};

}  // namespace

TEST_CASE("replica_set: the example of the page", "[replica][replica_set]") {
  const database db0{"db0"}, db1{"db1"}, db2{"db2"};
  const auto now = banyan::steady_clock::now();
  const std::uint64_t position = 4800;

  banyan::replica_set<database, banyan::peak_ewma> users{{.max_lag = 1s}};
  auto p = users.add_primary(db0);
  auto r1 = users.add_replica(db1, {.zone = "eu-1"});
  auto r2 = users.add_replica(db2);
  users.report(r1, {.position = 4711, .lag = 80ms}, now);

  banyan::consistency_token session;
  auto w = users.write();
  REQUIRE(w);
  w->exec("insert ...");
  CHECK(w.id() == p);
  session.wrote(position, now);
  auto r = users.read(session, {.consistency = banyan::read_your_writes}, now);
  REQUIRE(r);
  CHECK(r.id() == p);  // nobody else has it
  CHECK(r.outcome() == banyan::read_outcome::fallback);
  auto s = users.read(session, {.consistency = banyan::bounded_staleness(500ms)}, now);
  REQUIRE(s);
  CHECK(s.id() == r1);
  CHECK(s.outcome() == banyan::read_outcome::replica);

  users.report(r2, {.position = 4800, .lag = 0ms}, now);
  auto t = users.read(session, {.consistency = banyan::read_your_writes}, now);
  CHECK(t.id() == r2);

  users.promote(r1);
  CHECK(users.write().id() == r1);
}
