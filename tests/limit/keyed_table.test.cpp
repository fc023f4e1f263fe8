// The core of keyed_limiter in every order of its steps: requests for keys of one set of three words.

#include <banyan/limit/detail/keyed_table.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "promise.hpp"
#include "support/catch.hpp"
#include "support/interleavings.hpp"

namespace {

using banyan::testing::admission;
using banyan::testing::excess;
using banyan::testing::explore;
using banyan::testing::scenario;

using table = banyan::detail::basic_keyed_table<banyan::testing::scheduled_atomic, 3>;
using verdict = banyan::detail::gcra_outcome::verdict;

constexpr std::uint64_t tolerance = 1000;
constexpr std::uint64_t a = 0x1111;
constexpr std::uint64_t b = 0x2222;
constexpr std::uint64_t c = 0x3333;
constexpr std::uint64_t d = 0x4444;

struct asked {
  std::uint64_t key;
  std::uint64_t cost;
  std::uint64_t now;
};

struct shared {
  table::set place{};
  std::vector<std::vector<std::pair<std::uint64_t, admission>>> admitted;  // by thread

  bool take(std::size_t thread, const asked& each) {
    const auto answer =
        table::take(place, {each.key, each.cost, each.now, tolerance}, table::when_full::refuse).outcome;
    if (answer.what != verdict::admitted) return false;
    admitted[thread].push_back({each.key, {static_cast<std::int64_t>(each.now), each.cost}});
    return true;
  }

  // A unit is a nanosecond, so a second brings 1e9 of them.
  [[nodiscard]] bool kept(std::uint64_t key) const {
    std::vector<admission> all;
    for (const auto& lane : admitted) {
      for (const auto& each : lane) {
        if (each.first == key) all.push_back(each.second);
      }
    }
    return excess(all, 1e9, static_cast<double>(tolerance)) <= 1e-6;
  }
};

// `before` is asked for one after the other, then each of `threads` at once; when all have ended, whoever comes by gets
// no more than what is left.
auto requests(const std::vector<asked>& before, const std::vector<std::vector<asked>>& threads, std::uint64_t latest) {
  return [=] {
    auto s = std::make_shared<shared>();
    s->admitted.resize(threads.size() + 1);
    scenario each;
    for (const asked& one : before) REQUIRE(s->take(threads.size(), one));
    for (std::size_t t = 0; t < threads.size(); ++t) {
      each.threads.push_back([s, t, mine = threads[t]] {
        for (const asked& one : mine) s->take(t, one);
      });
    }
    each.holds = [s, count = threads.size(), latest] {
      for (const std::uint64_t key : {a, b}) {
        for (std::uint64_t cost = tolerance; cost >= 50; cost -= 50) s->take(count, {key, cost, latest});
      }
      if (!s->kept(a) || !s->kept(b)) return false;
      // What was counted twice is a debt of one full bucket at most.
      return s->take(count, {a, tolerance, latest + 2 * tolerance});
    };
    return each;
  };
}

void check_all_orders(unsigned preemptions, const std::vector<asked>& before,
                      const std::vector<std::vector<asked>>& threads, std::uint64_t latest = 5000) {
  const auto report = explore({.preemptions = preemptions}, requests(before, threads, latest));
  CAPTURE(report.schedule, report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}

}  // namespace

TEST_CASE("keyed_table: a new key that two bring at once gets its burst once", "[limit][keyed_table]") {
  check_all_orders(3, {}, {{{a, 600, 5000}}, {{a, 600, 5000}}});
  check_all_orders(3, {}, {{{a, 600, 5000}}, {{a, 500, 5200}}}, 5200);
  check_all_orders(3, {}, {{{a, 600, 5000}, {a, 400, 5000}}, {{a, 400, 5000}}});
  check_all_orders(2, {}, {{{a, 400, 5000}}, {{a, 400, 5000}}, {{a, 400, 5000}}});
}

TEST_CASE("keyed_table: a new key that two put into two words gets its burst once", "[limit][keyed_table]") {
  // The first word is idle for the clock that is ahead only, so each finds another one free.
  check_all_orders(3, {{b, 1000, 4100}}, {{{a, 1000, 5000}}, {{a, 1000, 5200}}}, 5200);
  check_all_orders(3, {{b, 1000, 4100}}, {{{a, 500, 5000}, {a, 500, 5000}}, {{a, 700, 5200}}}, 5200);
  check_all_orders(3, {{b, 1000, 4100}}, {{{a, 1000, 5000}}, {{a, 100, 5200}, {a, 800, 5200}}}, 5200);
  check_all_orders(3, {{b, 1000, 4100}}, {{{a, 700, 5000}}, {{a, 700, 5200}}, {{a, 700, 5100}}}, 5200);
  check_all_orders(3, {{b, 1000, 4100}}, {{{a, 100, 5000}}, {{a, 1000, 5200}}, {{a, 800, 5000}}}, 5200);
  check_all_orders(3, {{b, 1000, 4100}, {c, 1000, 4250}}, {{{a, 1000, 5000}}, {{a, 1000, 5200}}, {{a, 1000, 5300}}},
                   5300);
}

TEST_CASE("keyed_table: a new key beside others that come, go idle and ask again", "[limit][keyed_table]") {
  check_all_orders(3, {{b, 500, 4000}}, {{{a, 600, 5000}, {b, 700, 5000}}, {{a, 600, 5000}}});
  check_all_orders(3, {{b, 1000, 4100}, {c, 900, 5000}}, {{{a, 1000, 5200}}, {{a, 1000, 5000}, {b, 950, 5000}}}, 5200);
  check_all_orders(3, {{b, 1000, 4100}, {c, 900, 5000}, {d, 900, 5000}},
                   {{{a, 600, 5200}}, {{b, 900, 5000}, {b, 100, 5100}}}, 5200);
  check_all_orders(3, {{b, 1000, 4100}, {c, 900, 5000}, {d, 900, 5000}}, {{{a, 700, 5200}}, {{a, 700, 5150}}}, 5200);
}

TEST_CASE("keyed_table: whoever comes first gets all of it", "[limit][keyed_table]") {
  shared s;
  s.admitted.resize(1);
  CHECK(s.take(0, {a, 1000, 5000}));
  CHECK_FALSE(s.take(0, {a, 1, 5000}));
  CHECK(s.take(0, {a, 1, 5001}));
  CHECK(s.take(0, {b, 1000, 5000}));
  CHECK(s.take(0, {c, 1000, 5000}));
  CHECK_FALSE(s.take(0, {d, 1, 5000}));  // full
  CHECK(s.take(0, {d, 1000, 7000}));
}
