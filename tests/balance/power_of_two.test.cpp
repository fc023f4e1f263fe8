#include <banyan/balance/power_of_two.hpp>

#include <banyan/balance/random_choice.hpp>

#include <algorithm>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "balance/picking.hpp"
#include "cluster/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::power_of_two;
using banyan::random_choice;
using banyan::testing::misfit;
using banyan::testing::picking;
using banyan::testing::refused_field;

TEST_CASE("two choices: the less busy one", "[balance][power_of_two]") {
  picking<power_of_two> two{{1, 1}};
  std::vector<picking<power_of_two>::token> held;
  for (int i = 0; i < 100; ++i) {
    held.push_back(two.pick());
    const auto difference = two.members().in_flight(two.id(0)) - two.members().in_flight(two.id(1));
    REQUIRE(difference >= -1);
    REQUIRE(difference <= 1);  // two endpoints: both are always drawn, never one twice
  }
}

TEST_CASE("two choices: less busy by weight", "[balance][power_of_two]") {
  picking<power_of_two> two{{3, 1}};
  std::vector<picking<power_of_two>::token> held;
  for (int i = 0; i < 400; ++i) held.push_back(two.pick());
  CHECK(two.members().in_flight(two.id(0)) == 300);
  CHECK(two.members().in_flight(two.id(1)) == 100);
}

TEST_CASE("two choices: shares go by weight when all are idle", "[balance][power_of_two]") {
  const std::uint64_t seed = banyan::testing::derived_seed("idle shares");
  CAPTURE(seed);
  for (const std::uint32_t choices : {2U, 3U, 16U}) {
    CAPTURE(choices);
    const std::vector<double> weights{5, 1, 2.5, 0.5};
    picking<power_of_two> four{weights, power_of_two{{.choices = choices}}, seed};
    CHECK(misfit(four.counts(50'000), weights) < 4);
    const std::vector<double> equal(10, 1.0);
    picking<power_of_two> ten{equal, power_of_two{{.choices = choices}}, seed};
    CHECK(misfit(ten.counts(50'000), equal) < 4);
  }
}

TEST_CASE("two choices: one with nearly all the weight does not hide the others", "[balance][power_of_two]") {
  picking<power_of_two> three{{1e9, 1, 1}};
  auto one = three.pick();
  CHECK(*one == 0);
  auto other = three.pick({.avoid = three.id(0)});
  CHECK(*other != 0);
}

TEST_CASE("as many choices as endpoints: exactly the least busy", "[balance][power_of_two]") {
  picking<power_of_two> five{std::vector<double>(5, 1), power_of_two{{.choices = 5}}};
  std::vector<picking<power_of_two>::token> held;
  for (int i = 0; i < 100; ++i) held.push_back(five.pick());
  for (std::size_t i = 0; i < 5; ++i) CHECK(five.members().in_flight(five.id(i)) == 20);
  CHECK(five.number({.avoid = five.id(3)}) != 3);
}

TEST_CASE("two choices: one endpoint", "[balance][power_of_two]") {
  picking<power_of_two> one{{2}};
  auto held = one.pick();
  CHECK(one.number() == 0);
  CHECK(one.number({.avoid = one.id(0)}) == 0);  // there is no other
}

// The most requests at one of 100 endpoints, over a run with 100 in flight on average.
template <class Policy>
std::int64_t longest_queue(std::uint64_t seed) {
  picking<Policy> hundred{std::vector<double>(100, 1), Policy{}, seed};
  banyan::testing::random_source random{seed};
  std::vector<typename picking<Policy>::token> held;
  std::int64_t longest = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (held.size() > 60 && random.chance(held.size(), 200)) {
      std::swap(held[random.below(held.size())], held.back());
      held.pop_back();
    } else {
      held.push_back(hundred.pick());
      longest = std::max(longest, hundred.members().in_flight(held.back().id()));
    }
  }
  return longest;
}

TEST_CASE("two choices beat one", "[balance][power_of_two]") {
  const std::uint64_t seed = banyan::testing::derived_seed("longest queue");
  CAPTURE(seed);
  const std::int64_t two = longest_queue<power_of_two>(seed);
  const std::int64_t one = longest_queue<random_choice>(seed);
  CAPTURE(two, one);
  CHECK(two <= 4);
  CHECK(one >= 6);
}

TEST_CASE("two choices: bad options", "[balance][power_of_two]") {
  for (const std::uint32_t bad : {0U, 1U, 17U, ~0U})
    CHECK(refused_field([&] { power_of_two{{.choices = bad}}; }) == "power_of_two::options.choices");
  CHECK(refused_field([&] { power_of_two{{.choices = 16}}; }).empty());
}

}  // namespace
