#include <banyan/balance/random_choice.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include "balance/picking.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::random_choice;
using banyan::detail::alias_table;
using banyan::testing::misfit;
using banyan::testing::picking;

TEST_CASE("alias table: shares by weight", "[balance][random_choice]") {
  const std::uint64_t seed = banyan::testing::derived_seed("alias table");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  std::vector<std::vector<double>> cases{{1},           {1, 1, 1}, {5, 1, 1}, {0.1, 0.2, 0.7}, {1, 2, 3, 4, 5, 6, 7},
                                         {1e300, 2e300}};
  for (const std::size_t n : {10U, 1000U}) {
    cases.emplace_back();
    for (std::size_t i = 0; i < n; ++i) cases.back().push_back(1 + static_cast<double>(random.below(1000)));
  }
  for (const std::vector<double>& weights : cases) {
    const alias_table table{weights};
    std::vector<std::size_t> counts(weights.size());
    for (int i = 0; i < 400'000; ++i) ++counts.at(table.draw(random()));
    CAPTURE(weights.size());
    std::vector<double> scaled = weights;
    for (double& each : scaled) each /= weights[0];
    CHECK(misfit(counts, scaled) < 4);
  }
}

TEST_CASE("alias table: each share to within 2^-32", "[balance][random_choice]") {
  // The columns' heights, found by bisection, add up to the shares.
  const std::uint64_t seed = banyan::testing::derived_seed("alias columns");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 100; ++round) {
    std::vector<double> weights;
    double sum = 0;
    for (std::uint64_t i = 1 + random.below(20); i > 0; --i) {
      weights.push_back(1e-4 + static_cast<double>(random.below(1U << 20)));
      sum += weights.back();
    }
    const alias_table table{weights};
    std::vector<double> shares(weights.size());
    for (std::uint64_t column = 0; column < weights.size(); ++column) {
      const std::uint64_t high = (((column << 32) + weights.size() - 1) / weights.size()) << 32;
      const std::uint32_t top = table.draw(high + 0xffff'ffffU);
      std::uint64_t low = 0;
      std::uint64_t end = 0xffff'ffffU;
      while (low < end) {
        const std::uint64_t middle = (low + end) / 2;
        if (table.draw(high + middle) == top) {
          end = middle;
        } else {
          low = middle + 1;
        }
      }
      shares[column] += static_cast<double>(low) * 0x1p-32;
      shares[top] += 1 - static_cast<double>(low) * 0x1p-32;
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double expected = weights[i] / sum * static_cast<double>(weights.size());
      REQUIRE(std::fabs(shares[i] - expected) < 1e-8);
    }
  }
}

TEST_CASE("alias table: huge and tiny weights", "[balance][random_choice]") {
  banyan::testing::random_source random{banyan::testing::derived_seed("alias extremes")};
  for (const std::vector<double>& weights : {std::vector<double>{1e-30, 4e9, 1e-30}, std::vector<double>{5e-324, 1e308},
                                             std::vector<double>{1e308, 1e308, 1e-308}}) {
    const alias_table table{weights};
    for (int i = 0; i < 1000; ++i) {
      const std::uint32_t drawn = table.draw(random());
      REQUIRE(drawn < weights.size());
      REQUIRE(weights[drawn] > 1);
    }
  }
}

TEST_CASE("random choice in a balancer", "[balance][random_choice]") {
  const std::uint64_t seed = banyan::testing::derived_seed("random choice");
  CAPTURE(seed);
  const std::vector<double> weights{5, 1, 2.5, 0.5};
  picking<random_choice> four{weights, random_choice{}, seed};
  CHECK(misfit(four.counts(100'000), weights) < 4);

  SECTION("who is avoided leaves its part to the others, by weight") {
    std::vector<std::size_t> counts(4);
    for (int i = 0; i < 100'000; ++i) ++counts[four.number({.avoid = four.id(0)})];
    CHECK(counts[0] == 0);
    CHECK(static_cast<double>(counts[2]) / 1e5 > 0.5);  // of 0.625
  }
  SECTION("a joining endpoint has its part at once") {
    four.add(9);
    CHECK(misfit(four.counts(100'000), {5, 1, 2.5, 0.5, 9}) < 4);
  }
}

}  // namespace
