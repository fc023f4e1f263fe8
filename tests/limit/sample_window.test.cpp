#include <banyan/limit/detail/sample_window.hpp>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>

#include "support/catch.hpp"
#include "support/interleavings.hpp"

namespace {

using banyan::detail::sample_window;
using banyan::testing::explore;
using banyan::testing::scenario;
using banyan::testing::scheduled_atomic;

}  // namespace

TEST_CASE("sample_window: what a window gathers", "[limit][sample_window]") {
  sample_window<> w{1000};
  w.add(10, 3);
  w.add(30, 7);
  w.drop(5);
  CHECK_FALSE(w.close(999, 1000, 3).has_value());
  CHECK_FALSE(w.close(2000, 1000, 4).has_value());
  const auto taken = w.close(1000, 1000, 3);
  REQUIRE(taken.has_value());
  CHECK(taken->latency == 20.0);
  CHECK(taken->least_latency == 10U);
  CHECK(taken->calls == 2U);
  CHECK(taken->drops == 1U);
  CHECK(taken->in_flight == 7U);
  CHECK(taken->end == 2000);
  CHECK(w.is_last(*taken));
  w.add(5, 1);
  CHECK_FALSE(w.close(1999, 1000, 1).has_value());
  const auto next = w.close(2000, 1000, 1);
  REQUIRE(next.has_value());
  CHECK_FALSE(w.is_last(*taken));
  CHECK(next->latency == 5.0);
  CHECK(next->drops == 0U);
  CHECK(next->in_flight == 1U);
  w.drop(1);
  const auto only_drops = w.close(3000, 1000, 1);
  REQUIRE(only_drops.has_value());
  CHECK(only_drops->calls == 0U);
  CHECK(only_drops->latency == 0.0);
}

TEST_CASE("sample_window: slow calls make longer windows", "[limit][sample_window]") {
  sample_window<> w{0};
  w.add(2500, 1);
  CHECK(w.close(0, 1000, 1)->end == 5000);
  w.add(1'000'000, 1);
  CHECK(w.close(5000, 1000, 1)->end == 15'000);
}

TEST_CASE("sample_window: never overflows, and keeps the mean", "[limit][sample_window]") {
  sample_window<> w{0};
  for (int i = 0; i < 100; ++i) w.add(std::numeric_limits<std::uint64_t>::max(), 1);
  auto taken = w.close(0, 1, 1);
  REQUIRE(taken.has_value());
  CHECK(taken->latency <= static_cast<double>(sample_window<>::longest));
  CHECK(taken->latency >= 0.99 * static_cast<double>(sample_window<>::longest));
  for (int i = 0; i < 3'000'000; ++i) w.add(1000, 1);
  taken = w.close(std::numeric_limits<std::int64_t>::max() - 1, 1000, 1);
  REQUIRE(taken.has_value());
  CHECK(taken->latency >= 999.0);
  CHECK(taken->latency <= 1001.0);
  CHECK(taken->calls > 500'000U);
  w.add(1, 1);  // the end of time
  CHECK_FALSE(w.close(std::numeric_limits<std::int64_t>::max(), 1000, 1).has_value());
}

TEST_CASE("sample_window, every order: each call counts in one window, each window for one", "[limit][sample_window]") {
  const auto report = explore({.preemptions = 3}, [] {
    using window = sample_window<scheduled_atomic>;
    struct shared_state {
      window w{10};
      std::uint32_t calls = 0;
      std::uint32_t drops = 0;
      unsigned windows = 0;
      std::int64_t last = 0;
    };
    auto s = std::make_shared<shared_state>();
    const auto pass = [s](std::int64_t now) {
      s->w.add(5, 1);
      s->w.drop(1);
      if (const auto taken = s->w.close(now, 10, 1)) {
        s->calls += taken->calls;
        s->drops += taken->drops;
        ++s->windows;
      }
    };
    return scenario{{[=] { pass(10); }, [=] { pass(11); }}, [=] {
                      // Only one of the two ended the window; what it did not take is in the next one.
                      if (s->windows != 1) return false;
                      const auto rest = s->w.close(1000, 10, 0);
                      return s->calls + (rest ? rest->calls : 0) == 2 && s->drops + (rest ? rest->drops : 0) == 2;
                    }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("sample_window, every order: two windows, and nothing counts twice", "[limit][sample_window]") {
  const auto report = explore({.preemptions = 3}, [] {
    using window = sample_window<scheduled_atomic>;
    struct shared_state {
      window w{10};
      std::uint32_t calls = 0;
      void take(std::int64_t now) {
        if (const auto taken = w.close(now, 10, 1)) calls += taken->calls;
      }
    };
    auto s = std::make_shared<shared_state>();
    s->w.add(5, 1);
    return scenario{{[=] { s->take(10); },
                     [=] {
                       s->w.add(7, 1);
                       s->take(20);
                       s->w.add(9, 1);
                       s->take(30);
                     }},
                    [=] {
                      s->take(1000);
                      return s->calls == 3;
                    }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("sample_window, every order: an empty one that is over begins anew for all that come",
          "[limit][sample_window]") {
  const auto report = explore({.preemptions = 3}, [] {
    struct shared_state {
      sample_window<scheduled_atomic> w{10};
      bool closed = false;
      void pass(std::int64_t now) {
        w.begin(now, 10, 2);
        w.add(5, 1);
        closed = w.close(now, 10, 1).has_value() || closed;
      }
    };
    auto s = std::make_shared<shared_state>();
    return scenario{{[=] { s->pass(100); }, [=] { s->pass(101); }}, [=] {
                      const auto all = s->w.close(200, 10, 2);
                      return !s->closed && all && all->calls == 2;
                    }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}

TEST_CASE("sample_window, every order: the shortest call is not longer than the mean", "[limit][sample_window]") {
  const auto report = explore({.preemptions = 3}, [] {
    struct shared_state {
      sample_window<scheduled_atomic> w{10};
      bool good = true;
    };
    auto s = std::make_shared<shared_state>();
    return scenario{{[=] { s->w.add(5, 1); },
                     [=] {
                       if (const auto taken = s->w.close(10, 10, 1)) {
                         s->good = static_cast<double>(taken->least_latency) <= taken->latency;
                       }
                     }},
                    [=] { return s->good; }};
  });
  CAPTURE(report.runs, report.schedule);
  CHECK(report.complete);
  CHECK(report.passed);
}
