#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <banyan/balance/round_robin.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/consistency_token_text.hpp>
#include <banyan/replica/read_model.hpp>
#include <banyan/replica/replica_set.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::consistency_token;
using banyan::read_model;
using banyan::read_outcome;

// Another store than the one that is written to: a table of what the events say.
struct projection {
  void apply_next(const std::vector<std::string>& log) {
    const auto next = static_cast<std::size_t>(model.position());
    lines.push_back(log.at(next));
    model.applied(next + 1);
  }
  read_model model{};
  std::vector<std::string> lines{};
};

}  // namespace

TEST_CASE("read_model: one token from the write to the projection and its copies", "[replica][read_model]") {
  const auto now = banyan::steady_clock::now();
  std::vector<std::string> log;  // an event's position is how many there are with it
  consistency_token session;

  // The write: to the store, whose events come in this log.
  log.push_back("order 1");
  log.push_back("order 2");
  session.wrote(log.size(), now);
  const std::string cookie = banyan::to_text(session);
  log.push_back("order 3");  // somebody else's

  // The read, in another process, from one projection.
  auto token = banyan::parse_consistency_token(cookie, now);
  REQUIRE(token);
  projection orders;
  CHECK_FALSE(orders.model.has(*token));
  orders.apply_next(log);
  CHECK_FALSE(orders.model.wait_for(*token, 0ns));
  orders.apply_next(log);
  CHECK(orders.model.has(*token));
  CHECK(orders.model.wait_for(*token, 1h));
  orders.apply_next(log);
  orders.model.observed(*token);
  CHECK(token->position() == 3);

  // And from copies of it: those are replicas, and the same token goes with the same levels.
  projection copies[2];
  banyan::replica_set<projection*, banyan::round_robin> all{{.fallback = banyan::read_fallback::refuse}};
  const banyan::endpoint_id ids[2] = {all.add_replica(&copies[0], {.name = "0"}),
                                      all.add_replica(&copies[1], {.name = "1"})};
  const auto apply_next = [&](std::size_t one) {
    copies[one].apply_next(log);
    REQUIRE(all.report(ids[one], {.position = copies[one].model.position()}, now));
  };
  apply_next(0);
  apply_next(0);
  apply_next(1);
  auto writer = session;  // it has written 2 and seen nothing
  const auto own = all.read(writer, {.consistency = banyan::read_your_writes}, now);
  REQUIRE(own.id() == ids[0]);
  REQUIRE(own.observed(writer, (*own)->model.position()));
  // The other had seen 3 in the first projection, and shall not see less here.
  CHECK(all.read(*token, {.consistency = banyan::monotonic_reads}, now).outcome() == read_outcome::none_fresh);
  apply_next(1);
  apply_next(1);
  CHECK(all.read(*token, {.consistency = banyan::monotonic_reads}, now).id() == ids[1]);
}

TEST_CASE("read_model: a token that goes by time says nothing of positions", "[replica][read_model]") {
  read_model model;
  model.applied(10);
  consistency_token session;
  CHECK(model.has(session));
  CHECK(model.wait_for(session, 0ns));
  session.read_at(7);
  CHECK(model.has(session));
  session.read_at(banyan::steady_clock::now());
  CHECK_FALSE(model.has(session));
  CHECK_FALSE(model.wait_for(session, std::chrono::nanoseconds::max()));  // at once
  model.observed(session);
  CHECK(session.position() == 10);
}
