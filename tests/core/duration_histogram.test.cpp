#include <banyan/core/duration_histogram.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"

using banyan::duration_distribution;
using banyan::duration_histogram;
using std::chrono::nanoseconds;

TEST_CASE("duration_distribution: classes follow one another and hold what lies in them", "[core]") {
  CHECK(duration_distribution::class_of(nanoseconds{-5}) == 0);
  CHECK(duration_distribution::class_of(nanoseconds{0}) == 0);
  for (std::size_t i = 0; i + 1 < duration_distribution::classes; ++i) {
    const nanoseconds end = duration_distribution::end_of(i);
    REQUIRE(duration_distribution::class_of(end - nanoseconds{1}) == i);
    REQUIRE(duration_distribution::class_of(end) == i + 1);
  }
  CHECK(duration_distribution::class_of(nanoseconds::max()) == duration_distribution::classes - 1);
}

TEST_CASE("duration_distribution: quantiles are right within a quarter", "[core]") {
  const std::uint64_t seed = banyan::testing::derived_seed("duration quantiles");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  duration_distribution d;
  CHECK(d.quantile(0.5) == nanoseconds{0});
  for (int i = 0; i < 10'000; ++i) d.add(nanoseconds{static_cast<std::int64_t>(random.below(1'000'000))});
  CHECK(d.count() == 10'000);
  for (const double q : {0.1, 0.5, 0.9, 0.99}) {
    const auto found = static_cast<double>(d.quantile(q).count());
    CHECK(found >= q * 1'000'000 * 0.95);
    CHECK(found <= q * 1'000'000 * 1.3);
  }
  CHECK(d.quantile(1.0) >= nanoseconds{990'000});
}

TEST_CASE("duration_histogram: nothing is lost between threads", "[core]") {
  duration_histogram h;
  {
    banyan::testing::joining_thread one{[&] {
      for (int i = 0; i < 50'000; ++i) h.record(nanoseconds{100});
    }};
    for (int i = 0; i < 50'000; ++i) h.record(nanoseconds{100'000});
  }
  const auto seen = h.read();
  CHECK(seen.count() == 100'000);
  CHECK(seen.counts()[duration_distribution::class_of(nanoseconds{100})] == 50'000);
}
