#include <chrono>
#include <string>
#include <vector>

#include <banyan/replica/consistency_level.hpp>

#include "support/catch.hpp"
#include "support/session_promises.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::testing::broken_promises;
using banyan::testing::lost_writes;
using banyan::testing::primary_change;
using banyan::testing::session_event;
using banyan::testing::session_message;
using banyan::testing::session_read;
using banyan::testing::session_write;

session_write wrote(std::size_t session, std::uint64_t id, std::chrono::nanoseconds at, std::uint32_t epoch = 1) {
  return {.session = session, .id = id, .epoch = epoch, .at = at};
}
session_read read(std::size_t session, const banyan::consistency_level& level, std::vector<std::uint64_t> seen,
                  std::chrono::nanoseconds at, std::uint32_t epoch = 1) {
  return {.session = session, .level = level, .seen = std::move(seen), .epoch = epoch, .began = at, .ended = at};
}

using history = std::vector<session_event>;

}  // namespace

TEST_CASE("session_promises: each level's promise, kept and broken", "[session_promises]") {
  const auto own = banyan::read_your_writes;
  CHECK(broken_promises({}).empty());
  CHECK(broken_promises(history{wrote(1, 7, 1s), read(1, own, {3, 7}, 2s)}).empty());
  CHECK(broken_promises(history{wrote(1, 7, 1s), read(1, own, {3}, 2s)}).size() == 1);
  CHECK(broken_promises(history{wrote(2, 7, 1s), read(1, own, {}, 2s)}).empty());
  CHECK(broken_promises(history{wrote(1, 7, 1s), read(1, banyan::eventual, {}, 2s)}).empty());

  const auto forward = banyan::monotonic_reads;
  CHECK(broken_promises(history{read(1, forward, {3, 4}, 1s), read(1, forward, {4, 3, 5}, 2s)}).empty());
  CHECK(broken_promises(history{read(1, forward, {3, 4}, 1s), read(1, forward, {3}, 2s)}).size() == 1);
  CHECK(broken_promises(history{read(1, banyan::eventual, {3}, 1s), read(1, forward, {}, 2s)}).size() == 1);
  CHECK(broken_promises(history{read(2, forward, {3}, 1s), read(1, forward, {}, 2s)}).empty());

  const auto recent = banyan::bounded_staleness(1s);
  CHECK(broken_promises(history{wrote(2, 7, 1s), read(1, recent, {}, 2s)}).empty());
  CHECK(broken_promises(history{wrote(2, 7, 1s), read(1, recent, {}, 2s + 1ns)}).size() == 1);
  CHECK(broken_promises(history{read(1, recent, {}, 3s), wrote(2, 7, 1s)}).size() == 1);  // told later
  CHECK(broken_promises(history{wrote(2, 7, 1s), read(1, banyan::strong, {}, 1s + 1ns)}).size() == 1);
  CHECK(broken_promises(history{wrote(2, 7, 1s), read(1, banyan::strong, {7}, 1s + 1ns)}).empty());
}

TEST_CASE("session_promises: what a message rests on is seen by whoever has had it", "[session_promises]") {
  const history before{wrote(1, 7, 1s), read(1, banyan::eventual, {3}, 1s)};
  history told = before;
  told.push_back(session_message{.from = 1, .to = 2});
  for (const bool message : {false, true}) {
    history all = message ? told : before;
    all.push_back(read(2, banyan::causal, {}, 2s));
    CHECK(broken_promises(all).size() == (message ? 2U : 0U));
    all.back() = read(2, banyan::causal, {3, 7}, 2s);
    CHECK(broken_promises(all).empty());
  }
}

TEST_CASE("session_promises: what a later primary began without is lost, from then on", "[session_promises]") {
  const primary_change change{.epoch = 2, .at = 5s, .kept = {6}};
  history all{wrote(1, 6, 1s), wrote(1, 7, 1s), change, wrote(1, 8, 5s, 2)};
  CHECK(lost_writes(all) == std::vector<std::uint64_t>{7});
  all.push_back(read(1, banyan::read_your_writes, {6, 8}, 6s, 2));
  CHECK(broken_promises(all).empty());
  all.push_back(read(1, banyan::read_your_writes, {6, 8}, 4s, 1));  // not yet lost
  CHECK(broken_promises(all).size() == 1);
  all.back() = read(1, banyan::read_your_writes, {8}, 6s, 2);  // not lost
  CHECK(broken_promises(all).size() == 1);
  all.back() = read(1, banyan::read_your_writes, {6}, 6s, 2);  // not lost either
  CHECK(broken_promises(all).size() == 1);

  // Who has not heard of the new primary is promised nothing by time.
  all.back() = read(2, banyan::strong, {6}, 6s, 1);
  CHECK(broken_promises(all).empty());
  all.back() = read(2, banyan::strong, {6}, 6s, 2);
  CHECK(broken_promises(all).size() == 1);
}

TEST_CASE("session_promises: a primary that waits for its replicas may show a write later than they",
          "[session_promises]") {
  history all{read(1, banyan::monotonic_reads, {3, 7}, 1s), wrote(2, 7, 3s)};
  auto at_primary = read(1, banyan::monotonic_reads, {3}, 2s);
  all.push_back(at_primary);
  CHECK(broken_promises(all).size() == 1);
  at_primary.waits_for_replicas = true;
  all.back() = at_primary;
  CHECK(broken_promises(all).empty());
  at_primary.began = at_primary.ended = 4s;  // acknowledged by then
  all.back() = at_primary;
  CHECK(broken_promises(all).size() == 1);
}

TEST_CASE("session_promises: nobody is shown what was never acknowledged, and who has seen it keeps it",
          "[session_promises]") {
  history all{session_write{.session = 1, .id = 7, .at = 1s, .acknowledged = false}, read(1, banyan::strong, {}, 2s),
              read(1, banyan::causal, {}, 2s), read(1, banyan::causal, {7}, 3s), read(1, banyan::causal, {7}, 4s)};
  CHECK(broken_promises(all).empty());
  all.push_back(read(1, banyan::causal, {}, 5s));
  CHECK(broken_promises(all).size() == 1);
  all.insert(all.end() - 1, primary_change{.epoch = 2, .at = 5s});
  CHECK(broken_promises(all).empty());
  CHECK(lost_writes(all).empty());
}
