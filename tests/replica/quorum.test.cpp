#include <banyan/replica/quorum.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::quorum;
using banyan::quorum_state;
using banyan::quorum_vote;
using banyan::testing::joining_thread;
using banyan::testing::refused_field;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

}  // namespace

TEST_CASE("quorum: decided by the k-th acknowledgement, or by the refusal that leaves too few", "[replica][quorum]") {
  for (std::uint32_t total = 1; total <= 5; ++total) {
    for (std::uint32_t needed = 1; needed <= total; ++needed) {
      for (std::uint32_t pattern = 0; pattern < (1U << total); ++pattern) {
        int decided = 0;
        quorum q{needed, total, [&] { ++decided; }};
        std::uint32_t yes = 0;
        std::uint32_t no = 0;
        for (std::uint32_t i = 0; i < total; ++i) {
          const bool good = ((pattern >> i) & 1U) != 0;
          quorum_vote v = q.vote();
          REQUIRE(v);
          good ? v.acknowledge() : v.refuse();
          ++(good ? yes : no);
          REQUIRE_FALSE(v);
          v.acknowledge();  // a second time: nothing
          const auto expected = yes >= needed         ? quorum_state::reached
                                : no > total - needed ? quorum_state::impossible
                                                      : quorum_state::pending;
          REQUIRE(q.state() == expected);
          REQUIRE(decided == (expected == quorum_state::pending ? 0 : 1));
          REQUIRE(q.acknowledged() == yes);
          REQUIRE(q.refused() == no);
        }
        REQUIRE(q.state() != quorum_state::pending);
        REQUIRE_FALSE(q.vote());
      }
    }
  }
}

TEST_CASE("quorum: a vote that dies unused has refused; a moved one speaks once", "[replica][quorum]") {
  quorum q{1, 2};
  {
    quorum_vote a = q.vote();
    const quorum_vote b = std::move(a);
    CHECK_FALSE(a);  // NOLINT(bugprone-use-after-move): what it says
    CHECK(b);
  }
  CHECK(q.refused() == 1);
  quorum_vote c = q.vote();
  c = quorum_vote{};  // what was there before has refused
  CHECK(q.refused() == 2);
  CHECK(q.state() == quorum_state::impossible);
}

TEST_CASE("quorum: late votes are harmless, also when the quorum is gone", "[replica][quorum]") {
  int decided = 0;
  std::vector<quorum_vote> late;
  {
    quorum q{2, 3, [&] { ++decided; }};
    for (int i = 0; i < 3; ++i) late.push_back(q.vote());
    CHECK(q.wait_for(0ns) == quorum_state::pending);
    CHECK(q.wait_for(-1h) == quorum_state::pending);
  }
  late[0].acknowledge();
  CHECK(decided == 0);
  late[1].acknowledge();
  CHECK(decided == 1);
  late.clear();
  CHECK(decided == 1);
}

TEST_CASE("quorum: a callback that throws reaches the vote that decided, and nothing is counted twice",
          "[replica][quorum]") {
  quorum q{1, 2, [] { throw std::runtime_error{"callback"}; }};
  CHECK_THROWS_AS(q.vote().acknowledge(), std::runtime_error);
  CHECK(q.state() == quorum_state::reached);
  CHECK(q.acknowledged() == 1);
  q.vote().acknowledge();
  CHECK(q.acknowledged() == 2);
  quorum dies{1, 1, [] { throw std::runtime_error{"callback"}; }};
  { const quorum_vote unused = dies.vote(); }
  CHECK(dies.state() == quorum_state::impossible);
}

TEST_CASE("quorum: numbers that make no sense", "[replica][quorum]") {
  CHECK(refused_field([] { return quorum{0, 3}.state(); }) == "quorum.needed");
  CHECK(refused_field([] { return quorum{4, 3}.state(); }) == "quorum.needed");
  CHECK(refused_field([] { return quorum{0, 0}.state(); }) == "quorum.total");
  CHECK(refused_field([] { return quorum{UINT32_MAX, UINT32_MAX}.state(); }).empty());
}

TEST_CASE("quorum: threads that wait are woken by the decision", "[replica][quorum]") {
  for (int round = 0; round < 50; ++round) {
    quorum q{2, 3};
    std::atomic<int> reached{0};
    {
      std::vector<joining_thread> threads;
      for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
          if (q.wait_for(std::chrono::nanoseconds::max()) == quorum_state::reached) ++reached;
        });
      }
      for (int i = 0; i < 3; ++i) {
        threads.emplace_back([v = std::make_shared<quorum_vote>(q.vote()), i] {
          if (i != 1) v->acknowledge();
        });
      }
    }
    REQUIRE(reached == 2);
  }
}

TEST_CASE("vote_count: exactly one vote decides, in every order", "[replica][quorum]") {
  using count_type = banyan::detail::vote_count<scheduled_atomic>;
  using decision = count_type::decision;
  for (unsigned pattern = 0; pattern < 8; ++pattern) {
    const auto report = banyan::testing::explore({.preemptions = 4}, [pattern] {
      struct shared_state {
        count_type count{2, 3};
        int decisions[3] = {};
        bool reached = false;
      };
      auto shared = std::make_shared<shared_state>();
      scenario made;
      for (unsigned i = 0; i < 3; ++i) {
        made.threads.push_back([=] {
          const decision d = shared->count.cast(((pattern >> i) & 1U) != 0);
          if (d != decision::none) {
            ++shared->decisions[i];
            shared->reached = d == decision::reached;
          }
        });
      }
      const int yes = __builtin_popcount(pattern);
      made.holds = [=] {
        return shared->decisions[0] + shared->decisions[1] + shared->decisions[2] == 1 && shared->reached == (yes >= 2);
      };
      return made;
    });
    CAPTURE(pattern, report.schedule);
    REQUIRE(report.passed);
    REQUIRE(report.complete);
  }
}

TEST_CASE("quorum: a voter that is stopped keeps no other from voting", "[replica][quorum]") {
  const banyan::testing::stop_options options{
      .workers = 3, .rounds = 20, .seed = banyan::testing::derived_seed("quorum, a voter stopped")};
  // Small quorums one after the other on each thread, and one that all share.
  quorum shared{1, UINT32_MAX};
  const auto result = banyan::testing::stop_a_thread(options, [&](std::size_t) {
    shared.vote().acknowledge();
    return shared.state();
  });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(shared.state() == quorum_state::reached);
}
