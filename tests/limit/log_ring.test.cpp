// The core of sliding_window_log in every order of its steps.

#include <banyan/limit/detail/log_ring.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "support/catch.hpp"
#include "support/interleavings.hpp"

namespace {

using banyan::testing::explore;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

constexpr std::uint64_t window = 1000;

// What was given, at some time in [from, to].
struct given {
  std::uint64_t from;
  std::uint64_t to;
  std::uint64_t tokens;
};

// So long after the request before, whoever made it: so many tokens.
struct asked {
  std::uint64_t later;
  std::uint64_t tokens;
};

struct shared {
  explicit shared(std::size_t limit) : slots(limit), ring{slots, window} {}

  bool take(const asked& each) {
    const std::uint64_t now = clock += each.later;
    const bool admitted = ring.take(each.tokens, now).admitted;
    if (admitted) all.push_back({now, clock, each.tokens});
    return admitted;
  }

  [[nodiscard]] std::uint64_t most_within_a_window() const {
    std::uint64_t most = 0;
    for (const given& first : all) {
      std::uint64_t sum = 0;
      for (const given& each : all) {
        if (each.from >= first.from && each.to < first.from + window) sum += each.tokens;
      }
      most = sum > most ? sum : most;
    }
    return most;
  }

  std::vector<scheduled_atomic<std::uint64_t>> slots;
  banyan::detail::basic_log_ring<scheduled_atomic> ring;
  std::uint64_t clock = 10'000;
  std::vector<given> all;
};

void check_all_orders(unsigned preemptions, std::size_t limit, const std::vector<asked>& before,
                      const std::vector<std::vector<asked>>& threads) {
  const auto report = explore({.preemptions = preemptions}, [&] {
    auto s = std::make_shared<shared>(limit);
    for (const asked& one : before) REQUIRE(s->take(one));
    scenario each;
    for (const auto& mine : threads) {
      each.threads.push_back([s, mine] {
        for (const asked& one : mine) s->take(one);
      });
    }
    each.holds = [s, limit] {
      if (s->most_within_a_window() > limit) return false;
      // All that was given is over by then, whoever wrote it: then there is room for all, and no more.
      return s->take({window, limit}) && !s->take({window - 1, 1}) && s->take({1, limit});
    };
    return each;
  });
  CAPTURE(limit, report.schedule, report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}

}  // namespace

TEST_CASE("log_ring: never more than the limit in a window, and all of it after one", "[limit][log_ring]") {
  check_all_orders(3, 1, {}, {{{0, 1}}, {{0, 1}}});
  check_all_orders(3, 1, {}, {{{10, 1}, {500, 1}}, {{10, 1}, {600, 1}}});
  check_all_orders(3, 1, {{0, 1}}, {{{1000, 1}}, {{100, 1}, {900, 1}}});
  check_all_orders(2, 1, {}, {{{0, 1}}, {{600, 1}}, {{600, 1}}});
  check_all_orders(3, 2, {{0, 1}}, {{{600, 1}, {500, 1}}, {{0, 2}}});
  check_all_orders(3, 2, {{0, 2}}, {{{1000, 2}}, {{1000, 1}, {10, 1}}});
  check_all_orders(2, 3, {{0, 2}}, {{{500, 1}}, {{500, 2}}, {{1000, 2}}});
}

TEST_CASE("log_ring: entries come round while one stands between its claim and its entry", "[limit][log_ring]") {
  // The limit goes round twice behind the back of whoever stands.
  check_all_orders(3, 1, {}, {{{0, 1}}, {{1000, 1}, {1000, 1}, {1000, 1}}});
  check_all_orders(2, 1, {}, {{{0, 1}}, {{1000, 1}, {1000, 1}}, {{1000, 1}, {500, 1}}});
  check_all_orders(3, 2, {}, {{{0, 2}}, {{1000, 2}, {1000, 1}, {1000, 2}}});
}
