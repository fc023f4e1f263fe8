// The core of circuit_breaker's window of calls in every order of its steps.

#include <banyan/limit/detail/outcome_counts.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"

namespace {

using banyan::detail::call_outcome;
using banyan::detail::outcome_counts;
using banyan::testing::explore;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

struct recorded {
  std::uint16_t generation;
  call_outcome outcome;
};

constexpr call_outcome good{false, false};
constexpr call_outcome bad{true, false};
constexpr call_outcome bad_and_slow{true, true};

struct shared {
  explicit shared(std::size_t size) : ring(size), last{ring} {}

  // Whether what it tells is what stands in the ring.
  [[nodiscard]] bool sums_are_right(std::uint16_t generation) const {
    outcome_counts plain;
    for (const auto& each : ring) {
      const std::uint32_t word = each.load();
      if (word >> 2 != generation) continue;
      ++plain.calls;
      plain.failed += (word >> 1) & 1U;
      plain.slow += word & 1U;
    }
    const outcome_counts told = last.look(generation);
    return told.calls == plain.calls && told.failed == plain.failed && told.slow == plain.slow;
  }

  std::vector<scheduled_atomic<std::uint32_t>> ring;
  banyan::detail::basic_last_outcomes<scheduled_atomic> last;
};

void check_all_orders(unsigned preemptions, std::size_t size, const std::vector<std::vector<recorded>>& threads,
                      std::uint16_t latest) {
  const auto report = explore({.preemptions = preemptions}, [&] {
    auto s = std::make_shared<shared>(size);
    scenario each;
    for (const auto& mine : threads) {
      each.threads.push_back([s, mine] {
        for (const recorded& one : mine) s->last.record(one.generation, one.outcome);
      });
    }
    std::size_t all = 0;
    bool only_latest = true;
    for (const auto& mine : threads) {
      all += mine.size();
      for (const recorded& one : mine) only_latest = only_latest && one.generation == latest;
    }
    each.holds = [s, latest, most = only_latest ? std::min(all, size) : 0] {
      return s->sums_are_right(latest) && s->last.look(latest).calls >= most;
    };
    return each;
  });
  CAPTURE(size, report.schedule, report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}

}  // namespace

TEST_CASE("last_outcomes: the sums are those of the ring in every order", "[limit][last_outcomes]") {
  check_all_orders(4, 1, {{{7, bad}, {7, good}}, {{7, bad_and_slow}, {7, bad}}}, 7);
  check_all_orders(4, 2, {{{7, bad}, {7, good}}, {{7, bad_and_slow}, {7, bad}}}, 7);
  check_all_orders(3, 2, {{{7, bad}, {7, good}}, {{7, bad_and_slow}}, {{7, bad}, {7, bad}}}, 7);
  check_all_orders(4, 2, {{{7, bad}}, {{7, good}}}, 7);
}

TEST_CASE("last_outcomes: an earlier generation leaves nothing behind", "[limit][last_outcomes]") {
  check_all_orders(4, 1, {{{7, bad}, {7, bad}}, {{8, good}, {8, bad}}}, 8);
  check_all_orders(4, 2, {{{7, bad}, {7, bad}, {8, good}}, {{8, bad_and_slow}, {8, bad}}}, 8);
  check_all_orders(3, 2, {{{7, bad}, {8, bad}}, {{8, good}, {9, bad}}, {{9, bad_and_slow}}}, 9);
  check_all_orders(3, 1, {{{65'535, bad}, {65'535, bad}}, {{1, good}, {1, bad}}, {{65'535, bad}}}, 1);
}
