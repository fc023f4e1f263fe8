#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <banyan/replica/detail/fallback_budget.hpp>
#include <banyan/replica/detail/replica_epochs.hpp>
#include <banyan/replica/detail/replica_progress.hpp>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"

namespace {

using banyan::detail::fallback_budget;
using banyan::detail::lag_limits;
using banyan::detail::progress_report;
using banyan::detail::replica_epochs;
using banyan::detail::replica_progress;

constexpr lag_limits no_limits{};

progress_report told_of(std::uint64_t position, std::int64_t lag) {
  return {.has_position = true, .position = position, .lag = lag};
}

}  // namespace

TEST_CASE("replica_progress: as a record under a lock would do it", "[replica][replica_progress]") {
  const std::uint64_t seed = banyan::testing::derived_seed("progress against a record");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  struct {
    std::uint64_t position = 0;
    std::int64_t fresh = replica_progress<>::never;
    std::int64_t latest = replica_progress<>::never;
    bool lagging = false;
  } model;
  replica_progress<> progress;
  constexpr lag_limits limits{.out_at = 640, .in_at = 320};
  bool same = true;
  for (int i = 0; i < 100'000; ++i) {
    progress_report news;
    if (random.below(2) == 0) news = {.has_position = true, .position = random.below(100)};
    if (random.below(2) == 0) news.lag = static_cast<std::int64_t>(64 * random.below(16));
    const auto at = static_cast<std::int64_t>(64 * (static_cast<std::uint64_t>(i) + random.below(4)));
    const bool counts = (!news.has_position && news.lag < 0) || at >= model.latest;
    same = same && progress.report(news, at, limits) == counts;
    if (counts && (news.has_position || news.lag >= 0)) {
      model.latest = at;
      if (news.has_position) model.position = news.position;
      if (news.lag >= 0) {
        model.fresh = at - news.lag;
        model.lagging = news.lag >= 640 || (model.lagging && news.lag > 320);
      }
    }
    same = same && progress.position() == model.position && progress.fresh_as_of() == model.fresh &&
           progress.lagging() == model.lagging && progress.reported_at() == model.latest;
  }
  CHECK(same);
}

TEST_CASE("replica_progress: times that are no multiple of its unit count as earlier", "[replica][replica_progress]") {
  for (const std::int64_t at : {std::int64_t{1}, std::int64_t{-1}, std::int64_t{1000}, INT64_MAX, INT64_MIN + 1000}) {
    for (const std::int64_t lag : {std::int64_t{0}, std::int64_t{1}, INT64_MAX}) {
      replica_progress<> progress;
      REQUIRE(progress.report({.lag = lag}, at, no_limits));
      CHECK(progress.fresh_as_of() <= at);
      CHECK(progress.fresh_as_of() != replica_progress<>::never);
      if (at >= 0 && lag < INT64_MAX) {
        CHECK(progress.fresh_as_of() <= at - lag);
        CHECK(progress.fresh_as_of() > at - lag - 64);
      }
    }
  }
}

#if BANYAN_INTERLEAVINGS

using banyan::testing::explore;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

// In every order of steps: when all is said, what the report with the latest time said holds.
TEST_CASE("replica_progress: every order of a few reports", "[replica][replica_progress]") {
  struct told {
    std::int64_t at;
    std::uint64_t position;
    std::int64_t lag;
  };
  const auto latest_holds = [](unsigned preemptions, const std::vector<told>& all) {
    const auto report = explore({.preemptions = preemptions}, [&] {
      auto progress = std::make_shared<replica_progress<scheduled_atomic>>();
      (void)progress->report(told_of(50, 0), 64, no_limits);
      std::vector<std::function<void()>> threads;
      for (const told& each : all) {
        threads.push_back(
            [progress, each] { (void)progress->report(told_of(each.position, each.lag), each.at, no_limits); });
      }
      return scenario{threads, [progress, all] {
                        const told& last = *std::max_element(all.begin(), all.end(),
                                                             [](const told& a, const told& b) { return a.at < b.at; });
                        return progress->position() == last.position && progress->fresh_as_of() == last.at - last.lag &&
                               progress->reported_at() == last.at;
                      }};
    });
    INFO("schedule " << report.schedule << ", runs " << report.runs);
    CHECK(report.passed);
    CHECK(report.complete);
  };
  SECTION("two go on") { latest_holds(4, {{128, 60, 0}, {192, 70, 0}}); }
  SECTION("one goes back") { latest_holds(4, {{128, 60, 0}, {192, 40, 128}}); }
  SECTION("both go back, the later less") { latest_holds(4, {{128, 30, 128}, {192, 40, 128}}); }
  SECTION("three, one goes back") { latest_holds(2, {{128, 60, 0}, {192, 40, 192}, {256, 45, 192}}); }
  // As of 64 again, as it was: only the count of changes shows that something has come between.
  SECTION("back to the same time") { latest_holds(4, {{128, 60, 0}, {192, 55, 128}}); }
}

TEST_CASE("fallback_budget: every order of a few steps", "[replica][fallback_budget]") {
  const auto report = explore({.preemptions = 3}, [] {
    // 16 at most, 14 of which are used up; each batch brings 4.
    auto budget = std::make_shared<fallback_budget<scheduled_atomic>>(0.25, 16);
    auto taken = std::make_shared<int>(0);
    for (int i = 0; i < 14; ++i) (void)budget->try_take();
    const auto take_twice = [=] {
      for (int i = 0; i < 2; ++i) *taken += budget->try_take() ? 1 : 0;
    };
    return scenario{{take_twice, [=] { budget->bring(); }, take_twice}, [=] {
                      while (budget->try_take()) ++*taken;
                      return *taken == 6;
                    }};
  });
  INFO("schedule " << report.schedule << ", runs " << report.runs);
  CHECK(report.passed);
  CHECK(report.complete);
}

#endif

TEST_CASE("replica_progress: many threads report, the latest holds", "[replica][replica_progress]") {
  for (int round = 0; round < 60; ++round) {
    replica_progress<> progress;
    std::atomic<int> ready{0};
    {
      std::vector<banyan::testing::joining_thread> reporters;
      for (std::uint64_t t = 0; t < 3; ++t) {
        reporters.emplace_back([&, t] {
          ready.fetch_add(1);
          while (ready.load() < 3) std::this_thread::yield();
          for (std::uint64_t i = 0; i < 50; ++i) {
            const std::uint64_t time = 3 * i + t + 1;
            // Every position is told once; they go up and down.
            (void)progress.report(told_of(time ^ 5U, static_cast<std::int64_t>(64 * (time % 7))),
                                  static_cast<std::int64_t>(64 * time), no_limits);
          }
        });
      }
    }
    REQUIRE(progress.position() == (150U ^ 5U));
    REQUIRE(progress.fresh_as_of() == 64 * (150 - 150 % 7));
  }
}

TEST_CASE("replica_epochs: what is kept of an epoch is the least of what came after", "[replica][replica_epochs]") {
  constexpr std::uint64_t unknown = banyan::detail::replica_epoch::unknown;
  replica_epochs epochs{3};
  CHECK(epochs.present() == 3);
  CHECK(epochs.kept_of(3) == unknown);
  CHECK(epochs.kept_of(1) == unknown);
  epochs = epochs.followed_by(4, 100);
  epochs = epochs.followed_by(7, unknown);
  epochs = epochs.followed_by(8, 90);
  CHECK(epochs.kept_of(3) == 90);
  CHECK(epochs.kept_of(7) == 90);
  CHECK(epochs.kept_of(8) == unknown);
  epochs = epochs.followed_by(9, unknown);
  CHECK(epochs.kept_of(8) == unknown);
  epochs.current().primary_at(80);
  epochs.current().primary_at(70);  // what comes first counts
  CHECK(epochs.kept_of(8) == 80);
  CHECK(epochs.kept_of(3) == 80);
}
