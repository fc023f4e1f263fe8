#include <banyan/limit/hedge_race.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <banyan/limit/detail/race_state.hpp>

#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/joining_thread.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::hedge_end;
using banyan::hedge_race;
using banyan::testing::explore;
using banyan::testing::joining_thread;
using banyan::testing::scenario;
using race = hedge_race<std::string>;

struct seen {
  int calls = 0;
  std::optional<race::result> result{};
  std::size_t attempt = 99;
  auto done() {
    return [this](race::result&& r, std::size_t a) {
      ++calls;
      result.emplace(std::move(r));
      attempt = a;
    };
  }
};

std::exception_ptr error(const char* what) { return std::make_exception_ptr(std::runtime_error{what}); }

std::string text(const std::exception_ptr& e) {
  if (e == nullptr) return "none";
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& x) {
    return x.what();
  }
}

TEST_CASE("the states of a race", "[limit][hedge]") {
  banyan::detail::race_state<> s;
  CHECK(s.enter() == 0U);
  CHECK(s.enter() == 1U);
  CHECK_FALSE(s.fail(1));
  CHECK_FALSE(s.over());
  CHECK(s.enter() == 2U);
  CHECK_FALSE(s.fail(0));
  CHECK(s.fail(2));
  CHECK(s.over());
  CHECK_FALSE(s.win());
  CHECK_FALSE(s.enter().has_value());
  CHECK(s.failures() == 3);
  CHECK(s.started() == 3);

  banyan::detail::race_state<> full;
  for (std::uint32_t i = 0; i < full.most; ++i) CHECK(full.enter() == i);
  CHECK_FALSE(full.enter().has_value());
  CHECK(full.win());
  CHECK_FALSE(full.fail(3));
  CHECK_FALSE(full.has_failed(3));
}

// Two attempts, a timer that starts the second, and a caller that may give up: in every order, exactly one ends the
// race, and as it should.
TEST_CASE("a race in every order ends once", "[limit][hedge]") {
  struct world {
    banyan::detail::race_state<banyan::testing::scheduled_atomic> state{};
    int ends = 0;
    int wins = 0;
    int losses = 0;
    bool entered = false;
  };
  for (const bool first_succeeds : {false, true}) {
    for (const bool second_succeeds : {false, true}) {
      for (const bool gives_up : {false, true}) {
        const auto report = explore({.preemptions = 4}, [=] {
          auto w = std::make_shared<world>();
          static_cast<void>(w->state.enter());
          const auto report_on = [w](std::uint32_t number, bool success) {
            const bool ended = success ? w->state.win() : w->state.fail(number);
            w->ends += ended ? 1 : 0;
            w->wins += ended && success ? 1 : 0;
            w->losses += ended && !success ? 1 : 0;
          };
          scenario s;
          s.threads.push_back([=] { report_on(0, first_succeeds); });
          s.threads.push_back([=] {
            if (const auto number = w->state.enter()) {
              w->entered = true;
              report_on(*number, second_succeeds);
            }
          });
          if (gives_up) s.threads.push_back([w] { w->ends += w->state.win() ? 1 : 0; });
          s.holds = [=] {
            if (w->ends != 1 || !w->state.over()) return false;
            if (gives_up) return true;
            if (first_succeeds) return w->wins == 1;
            if (w->entered && second_succeeds) return w->wins == 1;
            return w->losses == 1 && w->state.failures() == (w->entered ? 2U : 1U);
          };
          return s;
        });
        INFO(report.schedule);
        CHECK(report.passed);
        CHECK(report.complete);
      }
    }
  }
}

TEST_CASE("the first success wins, the others are told", "[limit][hedge]") {
  seen s;
  auto r = race::start(s.done());
  auto first = r.enter();
  auto second = r.enter();
  REQUIRE((first && second));
  CHECK(second.number() == 1);
  int told = 0;
  const banyan::on_cancel watch{first.flag(), [&] { told += s.calls == 0 ? 1 : 100; }};
  CHECK(second.succeeded("b"));
  CHECK_FALSE(second);
  CHECK(told == 1);  // before `done`
  CHECK(first.cancelled());
  CHECK(s.calls == 1);
  REQUIRE(s.result->has_value());
  CHECK(**s.result == "b");
  CHECK(s.attempt == 1);
  CHECK(r.over());
  CHECK_FALSE(r.enter());
  CHECK_FALSE(r.abandon(hedge_end::timed_out));
  CHECK_FALSE(first.succeeded("a"));
  CHECK(s.calls == 1);
}

TEST_CASE("errors are reported when all have failed, all of them", "[limit][hedge]") {
  seen s;
  auto r = race::start(s.done());
  auto first = r.enter();
  auto second = r.enter();
  auto third = r.enter();
  CHECK_FALSE(third.failed(error("c")));
  CHECK(s.calls == 0);
  CHECK_FALSE(first.cancelled());
  second = {};  // without a report
  CHECK(r.failures() == 2);
  CHECK(first.failed(error("a")));
  REQUIRE(s.calls == 1);
  const auto& failure = s.result->error();
  CHECK(failure.why == hedge_end::failed);
  CHECK(failure.attempts == 3);
  CHECK(text(failure.errors[0]) == "a");
  CHECK(text(failure.errors[1]) == "none");
  CHECK(text(failure.errors[2]) == "c");
  CHECK(text(failure.first_error()) == "a");
}

TEST_CASE("one error does not hide another's success", "[limit][hedge]") {
  seen s;
  auto r = race::start(s.done());
  auto first = r.enter();
  auto second = r.enter();
  CHECK_FALSE(first.failed(error("a")));
  CHECK(second.succeeded("b"));
  CHECK(s.result->has_value());
  CHECK(r.failures() == 1);
}

TEST_CASE("given up: told what had failed, and the rest is told", "[limit][hedge]") {
  seen s;
  auto r = race::start(s.done());
  auto first = r.enter();
  auto second = r.enter();
  CHECK_FALSE(second.failed(error("b")));
  CHECK(r.abandon(hedge_end::timed_out));
  CHECK(first.cancelled());
  REQUIRE(s.calls == 1);
  CHECK(s.result->error().why == hedge_end::timed_out);
  CHECK(text(s.result->error().first_error()) == "b");
  CHECK_FALSE(first.failed(error("late")));
  CHECK(s.calls == 1);
}

TEST_CASE("what done throws goes to whoever reports, and moving that throws may be reported", "[limit][hedge]") {
  auto r = race::start([](race::result&&, std::size_t) { throw std::logic_error{"done"}; });
  auto first = r.enter();
  auto second = r.enter();
  CHECK_THROWS_AS(first.succeeded("a"), std::logic_error);
  CHECK(second.cancelled());
  CHECK_FALSE(second.succeeded("b"));

  struct fragile {
    explicit fragile(int moves_left) : left{moves_left} {}
    fragile(fragile&& other) : left{other.left - 1} {
      if (left < 0) throw std::runtime_error{"move"};
    }
    int left;
  };
  std::string why;
  auto f = hedge_race<fragile>::start([&](auto&& result, std::size_t) { why = text(result.error().first_error()); });
  auto only = f.enter();
  CHECK_THROWS_AS(only.succeeded(fragile{0}), std::runtime_error);
  REQUIRE(only);
  CHECK(only.failed(error("could not be moved")));
  CHECK(why == "could not be moved");
}

TEST_CASE("racing threads: one value, from one of them, and nothing is left", "[limit][hedge]") {
  std::atomic<int> wrong{0};
  for (int i = 0; i < 500; ++i) {
    const auto token = std::make_shared<int>(i);
    std::atomic<int> calls{0};
    {
      auto r = hedge_race<std::shared_ptr<int>>::start([&, token](auto&& result, std::size_t attempt) {
        ++calls;
        if (result.has_value() ? *result != token || attempt > 2
                               : result.error().attempts == 0 && result.error().why == hedge_end::failed) {
          ++wrong;
        }
      });
      auto first = r.enter();
      std::vector<joining_thread> threads;
      threads.emplace_back([&, a = std::move(first)]() mutable {
        if (i % 3 != 0) a.succeeded(token);
      });
      threads.emplace_back([&, r] {
        if (auto a = r.enter()) {
          if (i % 2 == 0) {
            a.succeeded(token);
          } else {
            a.failed(error("x"));
          }
        }
      });
      if (i % 5 == 0) threads.emplace_back([r] { r.abandon(hedge_end::cancelled); });
    }
    if (calls != 1 || token.use_count() != 1) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("race_state: whoever stops, the others go on", "[limit][hedge]") {
  // Races of all workers, one after another; a stopped worker holds up nobody's.
  std::vector<banyan::detail::race_state<>> races(4096);
  std::atomic<std::uint64_t> next{0};
  const auto result = banyan::testing::stop_a_thread({.workers = 4, .rounds = 60, .operations = 20}, [&] {
    auto& r = races[(next.fetch_add(1, std::memory_order_relaxed) / 4) % races.size()];
    const auto number = r.enter();
    if (!number.has_value()) return;
    if (*number % 2 == 0) {
      r.fail(*number);
    } else {
      r.win();
    }
  });
  INFO(result.describe());
  CHECK(result.passed());
}

}  // namespace
