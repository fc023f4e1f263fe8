#include <banyan/limit/aimd.hpp>
#include <banyan/limit/detail/limit_estimate.hpp>
#include <banyan/limit/fixed.hpp>
#include <banyan/limit/gradient2.hpp>
#include <banyan/limit/vegas.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

#include "limit/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::aimd;
using banyan::fixed;
using banyan::gradient2;
using banyan::limit_sample;
using banyan::vegas;
using banyan::testing::near;
using banyan::testing::random_source;
using banyan::testing::refused_field;

constexpr double ms = 1e6;

limit_sample sample(double milliseconds, std::uint32_t in_flight, std::uint32_t drops = 0, std::uint32_t calls = 100) {
  return {milliseconds * ms, milliseconds * ms, calls, drops, in_flight, 0};
}

// A policy and its word.
template <class Policy>
struct driven {
  explicit driven(const typename Policy::options& options) : policy{options}, word{policy.initial()} {}
  std::uint32_t operator()(const limit_sample& s) {
    word = policy.next(word, s);
    return limit();
  }
  [[nodiscard]] std::uint32_t limit() const { return policy.limit(word); }
  Policy policy;
  std::uint64_t word;
};

// A service that takes `capacity` calls at once; more of them wait for each other. Calls come without end.
struct service {
  double capacity = 50;
  double base = 10;  // milliseconds
  double noise = 0;
  random_source random{banyan::testing::derived_seed("limit policies")};

  template <class Policy>
  void run(driven<Policy>& d, int windows, std::uint32_t demand = 1'000'000) {
    for (int i = 0; i < windows; ++i) {
      const std::uint32_t in_flight = std::min(d.limit(), demand);
      const double load = std::max(1.0, in_flight / capacity);
      const double swing = 1 + noise * (static_cast<double>(random.below(2001)) / 1000 - 1);
      limit_sample s = sample(base * load * swing, in_flight);
      s.random = random();
      d(s);
    }
  }

  // And on to where the limit is not lowered to measure.
  void run_past_probes(driven<gradient2>& d, int windows) {
    run(d, windows);
    while (d.policy.probing(d.word)) run(d, 1);
  }
};

constexpr gradient2::options published{.min = 4, .max = 1000, .probe_every = 0, .drops_tolerated = 1};

}  // namespace

TEST_CASE("limit_estimate: a word and back", "[limit][limit_estimate]") {
  using estimate = banyan::detail::limit_estimate;
  random_source random{banyan::testing::derived_seed("limit_estimate")};
  for (int i = 0; i < 10'000; ++i) {
    const estimate e{1 + static_cast<double>(random.below(1 << 28)) / 256.0 * 0.999,
                     std::exp(static_cast<double>(random.below(4200)) / 100.0),
                     static_cast<std::uint32_t>(random.below(4096))};
    const estimate back = estimate::from(e.word());
    REQUIRE(std::abs(back.limit - e.limit) <= 1 / 512.0);
    REQUIRE(near(back.latency, e.latency, 4e-6));
    REQUIRE(back.count == e.count);
    REQUIRE(estimate::limit_in(e.word()) == static_cast<std::uint32_t>(back.limit));
  }
  CHECK(estimate::from(estimate{1, 0, 0}.word()).latency == 0.0);
  CHECK(estimate::from(estimate{1, 1, 0}.word()).latency > 0.0);
  CHECK(estimate::from(estimate{1, std::numeric_limits<double>::infinity(), 0}.word()).latency >= 0x1p62);
  CHECK(estimate::from(estimate{1, banyan::testing::not_a_number, 0}.word()).latency == 0.0);
  CHECK(estimate::limit_in(estimate{banyan::testing::not_a_number, 1, 0}.word()) == banyan::max_concurrency_limit);
  CHECK(estimate::limit_in(estimate{-5, 1, 0}.word()) == 1U);
  CHECK(estimate::limit_in(estimate{1e30, 1, 0}.word()) == banyan::max_concurrency_limit);
}

// Figures of AIMDLimitTest and VegasLimitTest of Netflix's concurrency-limits.
TEST_CASE("aimd: the published figures", "[limit][aimd]") {
  CHECK(driven<aimd>{{.initial = 10, .min = 10}}.limit() == 10U);
  CHECK(driven<aimd>{{.initial = 20}}(sample(1, 10)) == 21U);
  CHECK(driven<aimd>{{.initial = 20}}(sample(1, 9)) == 20U);
  CHECK(driven<aimd>{{.initial = 30}}(sample(0, 0, 1, 0)) == 27U);
  CHECK(driven<aimd>{{.initial = 21, .min = 1, .max = 21}}(sample(1, 10)) == 21U);
  CHECK(driven<aimd>{{.initial = 20, .min = 20}}(sample(1, 20, 2)) == 20U);
  CHECK(aimd{{}}.timeout() == std::chrono::seconds{5});
}

TEST_CASE("vegas: the published figures", "[limit][vegas]") {
  const vegas::options small{.initial = 10, .max = 20, .drops_tolerated = 0};
  driven<vegas> large{{.initial = 10'000, .max = 20'000}};
  CHECK(large(sample(10'000, 5000)) == 10'000U);
  CHECK(large(sample(10'000, 6000)) == 10'024U);

  driven<vegas> increases{small};
  CHECK(increases(sample(10, 10)) == 10U);
  CHECK(increases(sample(10, 11)) == 16U);

  driven<vegas> decreases{small};
  CHECK(decreases(sample(10, 10)) == 10U);
  CHECK(decreases(sample(50, 11)) == 9U);

  driven<vegas> stays{small};
  CHECK(stays(sample(10, 10)) == 10U);
  CHECK(stays(sample(14, 14)) == 10U);

  driven<vegas> unused{small};
  CHECK(unused(sample(10, 4)) == 10U);
  CHECK(unused(sample(10, 4)) == 10U);
  CHECK(unused(sample(10, 4, 1)) == 9U);
}

TEST_CASE("vegas: the latency without load is measured anew", "[limit][vegas]") {
  for (const std::uint64_t random : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    driven<vegas> d{{.initial = 20, .probe_every = 10}};
    limit_sample s = sample(10, 15);
    s.random = random;
    d(s);
    s.latency = 200 * ms;  // for good
    int falls = 0;
    for (std::uint32_t before = 20; d(s) < before; before = d.limit()) ++falls;
    CHECK(falls == (random == 0 ? 9 : 5));  // up to half of the windows are taken off
  }
}

TEST_CASE("vegas: settles near what the service takes", "[limit][vegas]") {
  driven<vegas> d{{}};
  service{}.run(d, 500);
  CAPTURE(d.limit());
  CHECK(d.limit() >= 50U);
  CHECK(d.limit() <= 65U);
}

// Figures of ExpAvgMeasurementTest of Netflix's concurrency-limits.
TEST_CASE("gradient2: the published average", "[limit][gradient2]") {
  driven<gradient2> d{{.long_window = 100, .probe_every = 0}};
  const std::array<double, 10> expected{10.0, 10.5, 11, 11.5, 12, 12.5, 13, 13.5, 14, 14.5};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    d(sample(10 + static_cast<double>(i), 20));
    CHECK(near(d.policy.baseline(d.word), expected[i] * ms, 1e-5));
  }
  d(sample(100, 20));
  CHECK(near(d.policy.baseline(d.word), 16.193 * ms, 1e-4));
}

TEST_CASE("gradient2: the published rule, worked out by hand", "[limit][gradient2]") {
  driven<gradient2> d{published};
  for (int i = 0; i < 10; ++i) d(sample(10, 30));
  CHECK(d.limit() == 28U);  // 0.2 * 4 for each
  // baseline 10 + 20 * 2 / 601, gradient 1.5 * 10.0666 / 30 = 0.50333; 28 * 0.8 + (28 * 0.50333 + 4) * 0.2
  d(sample(30, 30));
  CHECK(near(banyan::detail::limit_estimate::from(d.word).limit, 26.0186, 5e-4));
  const std::uint64_t before = d.word;
  d(sample(10, 12));  // less than half is used
  CHECK(d.limit() == d.policy.limit(before));
  // Back from overload: a baseline above twice the latency comes down by 5 %.
  const double baseline = d.policy.baseline(d.word);
  d(sample(1, 30));
  CHECK(near(d.policy.baseline(d.word), (baseline - (baseline - ms) * 2 / 601) * 0.95, 1e-5));
}

TEST_CASE("gradient2: under lasting overload the limit stays, where the published rule drifts", "[limit][gradient2]") {
  driven<gradient2> plain{published};
  service{}.run(plain, 5000);
  CHECK(plain.limit() == 1000U);  // 20 times what the service takes

  const std::uint32_t seeds = 20;
  for (std::uint32_t i = 0; i < seeds; ++i) {
    driven<gradient2> d{{.min = 4, .max = 1000}};
    service s{.noise = 0.2, .random = random_source{banyan::testing::derived_seed("drift", i)}};
    s.run(d, 1000);
    double sum = 0;
    std::uint32_t most = 0;
    std::uint32_t least = 1000;
    for (int w = 0; w < 4000; ++w) {
      s.run(d, 1);
      if (d.policy.probing(d.word)) continue;
      sum += d.limit();
      most = std::max(most, d.limit());
      least = std::min(least, d.limit());
    }
    CAPTURE(i, sum / 4000, least, most);
    CHECK(sum / 4000 >= 50);
    CHECK(least >= 40U);
    CHECK(most <= 110U);
  }
}

TEST_CASE("gradient2: the baseline does not follow the queue that the limit makes", "[limit][gradient2]") {
  driven<gradient2> d{{.min = 4, .max = 1000, .probe_every = 4000}};
  service{}.run_past_probes(d, 1500);  // no probe yet
  CHECK(near(d.policy.baseline(d.word), 10 * ms, 1e-3));
  CHECK(d.limit() <= 80U);
  const std::uint64_t before = d.word;
  d(sample(20, 10));  // hardly used: what is slow now is the service
  CHECK(near(d.policy.baseline(d.word), d.policy.baseline(before) + 10 * ms * 2 / 601, 1e-4));
}

TEST_CASE("gradient2: a limit that is much too high comes down to what the service takes", "[limit][gradient2]") {
  driven<gradient2> d{{.initial = 1000, .min = 4, .max = 1000}};  // the baseline is measured with 20 times the load
  service{}.run_past_probes(d, 2000);
  CHECK(d.limit() <= 85U);
  CHECK(d.limit() >= 45U);
}

TEST_CASE("gradient2: a small limit does not grow while calls are slow, where the published one does",
          "[limit][gradient2]") {
  gradient2::options small{.initial = 10, .min = 4, .max = 1000};
  const auto grown = [](const gradient2::options& o) {
    driven<gradient2> d{o};
    for (int i = 0; i < 10; ++i) d(sample(10, 4));
    const std::uint32_t before = d.limit();
    for (int i = 0; i < 20; ++i) d(sample(18.5, 100));  // a gradient of 0.8
    return static_cast<int>(d.limit()) - static_cast<int>(before);
  };
  CHECK(grown(small) < 0);
  small.probe_every = 0;
  CHECK(grown(small) > 0);
}

TEST_CASE("gradient2: follows the service when it gets slower or faster for good", "[limit][gradient2]") {
  driven<gradient2> d{{.min = 4, .max = 1000}};
  service s;
  s.run_past_probes(d, 1000);
  s.base = 40;
  s.run_past_probes(d, 1000);
  CHECK(near(d.policy.baseline(d.word), 40 * ms, 0.3));
  CHECK(d.limit() >= 45U);
  CHECK(d.limit() <= 110U);
  s.base = 5;
  s.run_past_probes(d, 1000);
  CHECK(near(d.policy.baseline(d.word), 5 * ms, 0.3));
  CHECK(d.limit() <= 110U);
  s.capacity = 200;
  s.run_past_probes(d, 2000);
  CHECK(d.limit() >= 150U);
  CHECK(d.limit() <= 420U);
}

TEST_CASE("gradient2: drops take a tenth, a few are tolerated; the published rule does not see them",
          "[limit][gradient2]") {
  driven<gradient2> d{{.initial = 100}};
  CHECK(d(sample(10, 100, 2)) == 90U);
  CHECK(d(sample(0, 90, 5, 0)) == 81U);  // nothing but drops
  CHECK(d(sample(10, 10, 2)) == 72U);    // used or not
  CHECK(d(sample(10, 72, 1)) >= 72U);    // one of 101 calls
  for (int i = 0; i < 100; ++i) d(sample(0, 72, 5, 0));
  CHECK(d.limit() == 20U);

  driven<gradient2> plain{published};
  for (int i = 0; i < 10; ++i) plain(sample(10, 100, 900));
  CHECK(plain.limit() == 28U);
}

TEST_CASE("gradient2: calls that all time out after a constant time", "[limit][gradient2]") {
  driven<gradient2> plain{{.max = 200, .probe_every = 0, .drops_tolerated = 1}};
  for (int i = 0; i < 300; ++i) plain(sample(5000, 200));  // all that it is told
  CHECK(plain.limit() == 200U);
  driven<gradient2> d{{.initial = 200}};
  for (int i = 0; i < 300; ++i) d(sample(0, 200, 100, 0));
  CHECK(d.limit() == 20U);
}

TEST_CASE("gradient2: a probe takes two windows, and none is made for an unused limit", "[limit][gradient2]") {
  driven<gradient2> d{{.initial = 100, .probe_every = 20}};
  int probing = 0;
  int probes = 0;
  bool before = false;
  for (int i = 0; i < 1000; ++i) {
    limit_sample s = sample(10, d.limit());
    s.random = banyan::testing::detail::mix(static_cast<std::uint64_t>(i));
    d(s);
    const bool now = d.policy.probing(d.word);
    if (now) CHECK(d.limit() == banyan::detail::limit_estimate::limit_in(d.word) / 2);
    probing += now ? 1 : 0;
    probes += now && !before ? 1 : 0;
    before = now;
  }
  CHECK(probes >= 1000 / 22);
  CHECK(probes <= 1000 / 12);
  CHECK(probing == 2 * probes);

  for (int i = 0; i < 200; ++i) {
    d(sample(10, 20));
    if (i > 20) REQUIRE_FALSE(d.policy.probing(d.word));
  }
}

TEST_CASE("limit policies: whatever comes, the limit stays within its bounds", "[limit]") {
  random_source random{banyan::testing::derived_seed("any sample")};
  driven<gradient2> g{{.initial = 7, .min = 3, .max = 50, .probe_every = 5}};
  driven<vegas> v{{.initial = 7, .min = 3, .max = 50, .probe_every = 5}};
  driven<aimd> a{{.initial = 7, .min = 3, .max = 50}};
  const std::array<double, 8> latencies{0, 1, 1e-300, 1e6, 1e300, -1, std::numeric_limits<double>::infinity(), 0.5};
  for (int i = 0; i < 100'000; ++i) {
    const limit_sample s{
        latencies[random.below(latencies.size())],     0,
        static_cast<std::uint32_t>(random.below(4)),   static_cast<std::uint32_t>(random.below(3) * random.below(2)),
        static_cast<std::uint32_t>(random.below(100)), random()};
    for (const std::uint32_t limit : {v(s), a(s)}) {
      REQUIRE(limit >= 3U);
      REQUIRE(limit <= 50U);
    }
    const std::uint32_t limit = g(s);
    REQUIRE(limit >= (g.policy.probing(g.word) ? 1U : 3U));
    REQUIRE(limit <= 50U);
  }
}

TEST_CASE("limit policies: a limit set by hand", "[limit]") {
  const gradient2 g{{}};
  CHECK(g.limit(g.with_limit(g.initial(), 77)) == 77U);
  CHECK(g.limit(g.with_limit(g.initial(), 0)) == 20U);
  const vegas v{{}};
  CHECK(v.limit(v.with_limit(v.initial(), 5000)) == 1000U);
  const fixed f{{.limit = 3}};
  CHECK(f.limit(f.with_limit(f.initial(), 0)) == 1U);
  CHECK(f.limit(f.next(f.initial(), sample(1e9, 3, 50))) == 3U);
}

TEST_CASE("limit policies: options that make no sense are refused by name", "[limit]") {
  const auto g = [](gradient2::options o) { return refused_field([=] { return gradient2{o}; }); };
  CHECK(g({}).empty());
  CHECK(g({.min = 0}) == "gradient2::options.min");
  CHECK(g({.min = 30, .max = 29}) == "gradient2::options.min");
  CHECK(g({.max = 0}) == "gradient2::options.max");
  CHECK(g({.max = 1U << 20}) == "gradient2::options.max");
  CHECK(g({.initial = 201}) == "gradient2::options.initial");
  CHECK(g({.initial = 19}) == "gradient2::options.initial");
  CHECK(g({.probe_share = 0.67}) == "gradient2::options.probe_share");
  CHECK(g({.tolerance = 2}) == "gradient2::options.probe_share");
  CHECK(g({.tolerance = 2, .probe_every = 0}).empty());
  CHECK(g({.probe_every = 1}) == "gradient2::options.probe_every");
  CHECK(g({.probe_every = 4001}) == "gradient2::options.probe_every");
  CHECK(g({.long_window = 0}) == "gradient2::options.long_window");
  CHECK(g({.timeout = std::chrono::nanoseconds{-1}}) == "gradient2::options.timeout");
  CHECK(refused_field([] { return gradient2{{.min = 30}}; }).empty());  // begins at 30
  for (const double bad : {banyan::testing::not_a_number, banyan::testing::infinity, -1.0}) {
    CHECK(g({.queue_size = bad}) == "gradient2::options.queue_size");
    CHECK(g({.tolerance = bad}) == "gradient2::options.tolerance");
    CHECK(g({.smoothing = bad}) == "gradient2::options.smoothing");
    CHECK(g({.probe_share = bad}) == "gradient2::options.probe_share");
    CHECK(g({.backoff = bad}) == "gradient2::options.backoff");
    CHECK(g({.drops_tolerated = bad}) == "gradient2::options.drops_tolerated");
    CHECK(refused_field([=] { return aimd{{.backoff = bad}}; }) == "aimd::options.backoff");
    CHECK(refused_field([=] { return vegas{{.threshold = bad}}; }) == "vegas::options.threshold");
    CHECK(refused_field([=] { return vegas{{.alpha = bad}}; }) == "vegas::options.alpha");
    CHECK(refused_field([=] { return vegas{{.beta = bad}}; }) == "vegas::options.beta");
    CHECK(refused_field([=] { return vegas{{.smoothing = bad}}; }) == "vegas::options.smoothing");
  }
  CHECK(refused_field([] { return aimd{{.backoff = 1}}; }) == "aimd::options.backoff");
  CHECK(refused_field([] { return aimd{{.min = 0}}; }) == "aimd::options.min");
  CHECK(refused_field([] { return vegas{{.probe_every = 0}}; }) == "vegas::options.probe_every");
  CHECK(refused_field([] { return vegas{{.max = 0}}; }) == "vegas::options.max");
  CHECK(refused_field([] { return fixed{{.limit = 0}}; }) == "fixed::options.limit");
  CHECK(refused_field([] { return fixed{{.limit = 1U << 20}}; }) == "fixed::options.limit");
}
