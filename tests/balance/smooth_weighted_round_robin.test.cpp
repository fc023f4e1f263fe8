#include <banyan/balance/smooth_weighted_round_robin.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "balance/picking.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::smooth_weighted_round_robin;
using banyan::testing::picking;
using table = smooth_weighted_round_robin::table;

std::string turns(const std::vector<double>& weights, std::uint64_t count) {
  const table made{weights};
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) text += static_cast<char>('a' + made.at(i % made.length()));
  return text;
}

// nginx's, step by step, for any weights.
std::vector<std::uint32_t> nginx(const std::vector<double>& weights, std::size_t count) {
  std::vector<double> current(weights.size());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::uint32_t> picked;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < weights.size(); ++k) current[k] += weights[k];
    const auto best = std::max_element(current.begin(), current.end());
    *best -= sum;
    picked.push_back(static_cast<std::uint32_t>(best - current.begin()));
  }
  return picked;
}

TEST_CASE("smooth weighted round robin: nginx's sequence", "[balance][smooth_weighted_round_robin]") {
  CHECK(turns({5, 1, 1}, 14) == "aabacaaaabacaa");
  CHECK(turns({50, 10, 10}, 14) == "aabacaaaabacaa");
  CHECK(turns({0.5, 0.1, 0.1}, 14) == "aabacaaaabacaa");
  CHECK(turns({double{0.5F}, double{0.1F}, double{0.1F}}, 14) == "aabacaaaabacaa");
  CHECK(turns({1, 1.5}, 10) ==
        "babab"
        "babab");
  CHECK(turns({1, 1, 1}, 7) == "abcabca");
  CHECK(turns({3}, 3) == "aaa");
}

TEST_CASE("smooth weighted round robin against nginx's steps", "[balance][smooth_weighted_round_robin]") {
  const std::uint64_t seed = banyan::testing::derived_seed("nginx steps");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 200; ++round) {
    std::vector<double> weights;
    for (std::uint64_t n = 2 + random.below(12); n > 0; --n)
      weights.push_back(static_cast<double>(1 + random.below(round < 100 ? 5 : 200)));
    CAPTURE(weights);
    const table made{weights};
    const std::vector<std::uint32_t> expected = nginx(weights, 1000);
    for (std::uint64_t i = 0; i < expected.size(); ++i) REQUIRE(made.at(i % made.length()) == expected[i]);
  }
}

TEST_CASE("smooth weighted round robin: a cycle has the weights exactly", "[balance][smooth_weighted_round_robin]") {
  std::vector<double> weights(20, 1.0);
  weights[0] = 81;  // gRPC's static stride scheduler takes this for 50
  const table made{weights};
  REQUIRE(made.length() == 100);
  std::vector<std::size_t> counts(20);
  for (std::uint64_t i = 0; i < 100; ++i) ++counts[made.at(i)];
  std::vector<std::size_t> expected(20, 1);
  expected[0] = 81;
  CHECK(counts == expected);
}

TEST_CASE("smooth weighted round robin writes out what is affordable", "[balance][smooth_weighted_round_robin]") {
  CHECK(table{std::vector<double>{65'535, 1}}.length() == 65'536);
  CHECK(table{std::vector<double>{65'536, 1}}.length() == std::uint64_t{1} << 62);
  CHECK(table{std::vector<double>{1, 3.14159265, 2.71828183, 1.41421356}}.length() == std::uint64_t{1} << 62);
  CHECK(table{std::vector<double>{0.25, 0.75}}.length() == 4);
  std::vector<double> many(3000, 1.0);
  CHECK(table{many}.length() == 3000);  // equal: nothing to write out
  many[0] = 2;
  CHECK(table{many}.length() == std::uint64_t{1} << 62);  // 3001 * 3000 steps would be too many
  many.resize(2000);
  CHECK(table{many}.length() == 2001);
}

TEST_CASE("smooth weighted round robin: any weights, evenly", "[balance][smooth_weighted_round_robin]") {
  const std::uint64_t seed = banyan::testing::derived_seed("golden walk");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (const std::size_t n : {4U, 10U, 100U, 5000U}) {
    CAPTURE(n);
    std::vector<double> weights;
    for (std::size_t i = 0; i < n; ++i) weights.push_back(1 + static_cast<double>(random.below(1U << 30)) * 1e-7);
    const table made{weights};
    REQUIRE(made.length() == std::uint64_t{1} << 62);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<double> counts(n);
    const std::uint64_t start = random.below(made.length() - 300'000);
    double worst = 0;
    for (std::uint64_t i = 0; i < 200'000; ++i) {
      const std::uint32_t at = made.at(start + i);
      REQUIRE(at < n);
      ++counts[at];
      const double error = std::fabs(counts[at] - static_cast<double>(i + 1) * weights[at] / sum);
      worst = std::max(worst, error);
    }
    CHECK(worst < 6);  // at random it would be some hundred with few endpoints
  }
}

TEST_CASE("smooth weighted round robin: distances stay near the mean", "[balance][smooth_weighted_round_robin]") {
  const std::vector<double> weights{5.0001, 1.00003, 1};
  const table made{weights};
  REQUIRE(made.length() == std::uint64_t{1} << 62);
  std::vector<std::uint64_t> last(3, 0);
  std::vector<std::uint64_t> longest(3, 0);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const std::uint32_t at = made.at(i);
    longest[at] = std::max(longest[at], i - last[at]);
    last[at] = i;
  }
  CHECK(longest[0] <= 3);
  CHECK(longest[1] <= 14);
  CHECK(longest[2] <= 14);
}

TEST_CASE("smooth weighted round robin: huge and tiny weights", "[balance][smooth_weighted_round_robin]") {
  for (const std::vector<double>& weights :
       {std::vector<double>{1e-30, 1e-3, 4e9}, std::vector<double>{4e9, 1e-30}, std::vector<double>{1e-300, 1e300},
        std::vector<double>{1, 1e-12, 1e-12}}) {
    CAPTURE(weights);
    const table made{weights};
    const auto heaviest =
        static_cast<std::uint32_t>(std::max_element(weights.begin(), weights.end()) - weights.begin());
    for (std::uint64_t i = 0; i < 10'000; ++i) REQUIRE(made.at(i) == heaviest);
  }
}

TEST_CASE("smooth weighted round robin in a balancer", "[balance][smooth_weighted_round_robin]") {
  picking<smooth_weighted_round_robin> three{{5, 1, 1}};
  CHECK(three.sequence(14) == "aabacaaaabacaa");
  three.members().set_weight(three.id(0), 1);
  three.members().set_weight(three.id(2), 2);
  CHECK(three.sequence(4) == "cabc");
  CHECK(three.number({.avoid = three.id(2)}) != 2);

  picking<smooth_weighted_round_robin> heavy{{1000, 1, 1}};
  for (int i = 0; i < 50; ++i) REQUIRE(heavy.number({.avoid = heavy.id(0)}) != 0);
}

}  // namespace
