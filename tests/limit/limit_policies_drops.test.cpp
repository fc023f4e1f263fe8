// What policies make of windows with drops, and of windows with few calls.

#include <banyan/limit/aimd.hpp>
#include <banyan/limit/gradient2.hpp>
#include <banyan/limit/vegas.hpp>

#include <cstdint>

#include "limit/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::aimd;
using banyan::gradient2;
using banyan::limit_sample;
using banyan::vegas;
using banyan::detail::limit_estimate;
using banyan::testing::near;
using banyan::testing::random_source;
using banyan::testing::refused_field;

constexpr double ms = 1e6;

limit_sample sample(double milliseconds, std::uint32_t in_flight, std::uint32_t drops, std::uint32_t calls) {
  return {milliseconds * ms, milliseconds * ms, calls, drops, in_flight, 0};
}

template <class Policy>
double latency_in(const Policy&, std::uint64_t word) {
  return limit_estimate::from(word).latency / ms;
}

// Calm, then windows of a dozen calls among many that were dropped, the shortest of them half of what is normal.
template <class Policy>
std::uint64_t through_an_incident(const Policy& policy, random_source& random) {
  std::uint64_t word = policy.initial();
  for (int i = 0; i < 100; ++i) word = policy.next(word, sample(10, policy.limit(word), 0, 500));
  for (int i = 0; i < 200; ++i) {
    limit_sample few = sample(5 + 0.01 * static_cast<double>(random.below(1000)), policy.limit(word), 40, 12);
    few.random = random();
    word = policy.next(word, few);
  }
  return word;
}

}  // namespace

TEST_CASE("aimd: a few drops are tolerated", "[limit][aimd]") {
  const aimd policy{{.initial = 100, .max = 1000}};
  CHECK(policy.next(100, sample(10, 100, 4, 696)) == 101U);  // one call in 175
  CHECK(policy.next(100, sample(10, 100, 7, 693)) == 101U);
  CHECK(policy.next(100, sample(10, 100, 8, 692)) == 90U);
  CHECK(policy.next(100, sample(0, 100, 1, 0)) == 90U);
  const aimd strict{{.initial = 100, .drops_tolerated = 0}};
  CHECK(strict.next(100, sample(10, 100, 1, 699)) == 90U);
  const aimd blind{{.initial = 100, .drops_tolerated = 1}};
  CHECK(blind.next(100, sample(10, 100, 100, 0)) == 101U);
}

TEST_CASE("vegas: a few drops are tolerated", "[limit][vegas]") {
  const vegas policy{{.initial = 50}};
  const std::uint64_t word = policy.next(policy.initial(), sample(10, 50, 0, 700));
  CHECK(policy.limit(policy.next(word, sample(10, 50, 7, 693))) == 56U);
  CHECK(policy.limit(policy.next(word, sample(10, 50, 8, 692))) == 49U);
  CHECK(policy.limit(policy.next(word, sample(0, 50, 1, 0))) == 49U);
}

TEST_CASE("limit policies: how many drops are tolerated is a part of the calls", "[limit]") {
  for (const double value : {-0.01, 1.01, banyan::testing::not_a_number}) {
    CHECK(refused_field([&] { aimd{{.drops_tolerated = value}}; }) == "aimd::options.drops_tolerated");
    CHECK(refused_field([&] { vegas{{.drops_tolerated = value}}; }) == "vegas::options.drops_tolerated");
  }
}

TEST_CASE("limit policies: calls that got through while most were dropped do not tell what is normal", "[limit]") {
  random_source random{banyan::testing::derived_seed("incident")};
  const vegas v{{.initial = 20, .min = 4}};
  CHECK(near(latency_in(v, through_an_incident(v, random)), 10, 1e-3));
  const gradient2 g{{.initial = 20, .min = 4, .probe_every = 10}};
  const std::uint64_t word = through_an_incident(g, random);
  CHECK(near(latency_in(g, word), 10, 1e-3));
  CHECK_FALSE(g.probing(word));
}

TEST_CASE("gradient2: drops end a probe", "[limit][gradient2]") {
  const gradient2 policy{{.initial = 40, .min = 4, .probe_every = 10}};
  std::uint64_t word = policy.initial();
  for (int i = 0; i < 100 && !policy.probing(word); ++i) word = policy.next(word, sample(10, 40, 0, 500));
  REQUIRE(policy.probing(word));
  word = policy.next(word, sample(1, 20, 100, 100));
  CHECK_FALSE(policy.probing(word));
  CHECK(near(latency_in(policy, word), 10, 1e-3));
}

TEST_CASE("limit policies: few calls lower what is normal by a part only", "[limit]") {
  const vegas v{{.initial = 20}};
  const std::uint64_t calm = v.next(v.initial(), sample(10, 20, 0, 500));
  CHECK(near(latency_in(v, v.next(calm, sample(5, 20, 0, 10))), 9, 1e-3));
  CHECK(near(latency_in(v, v.next(calm, sample(5, 20, 0, 50))), 5, 1e-3));

  const gradient2 g{{.initial = 40, .min = 4, .probe_every = 10}};
  std::uint64_t word = g.initial();
  for (int i = 0; i < 100 && !g.probing(word); ++i) word = g.next(word, sample(10, 40, 0, 500));
  word = g.next(word, sample(10, 20, 0, 500));
  REQUIRE(g.probing(word));
  CHECK(near(latency_in(g, g.next(word, sample(5, 20, 0, 10))), 9, 1e-3));
  CHECK(near(latency_in(g, g.next(word, sample(5, 20, 0, 50))), 5, 1e-3));
  CHECK(near(latency_in(g, g.next(word, sample(15, 20, 0, 10))), 15, 1e-3));
}
