#include <banyan/balance/key_affinity.hpp>

#include <banyan/balance/maglev_affinity.hpp>
#include <banyan/balance/rendezvous_affinity.hpp>
#include <banyan/balance/ring_affinity.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "balance/picking.hpp"
#include "cluster/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::maglev_affinity;
using banyan::rendezvous_affinity;
using banyan::ring_affinity;
using banyan::testing::misfit;
using banyan::testing::picking;
using banyan::testing::refused_field;

constexpr std::uint64_t keys = 20'000;

template <class Policy>
std::vector<std::size_t> owners(picking<Policy>& all) {
  std::vector<std::size_t> result;
  for (std::uint64_t key = 0; key < keys; ++key) result.push_back(*all.pick_key(key));  // plain numbers will do
  return result;
}

TEMPLATE_TEST_CASE("affinity: a key stays", "[balance][affinity]", ring_affinity, maglev_affinity,
                   rendezvous_affinity) {
  picking<TestType> ten{std::vector<double>(10, 1)};
  const auto before = owners(ten);
  CHECK(owners(ten) == before);

  // Another process, where they joined in another order: the names count.
  banyan::cluster<std::size_t> others;
  for (const std::size_t i : {7U, 3U, 9U, 0U, 1U, 8U, 2U, 6U, 5U, 4U})
    others.add(i, {.name = "host-" + std::to_string(i)});
  banyan::balancer<std::size_t, TestType> lb{others};
  for (std::uint64_t key = 0; key < 1000; ++key) REQUIRE(*lb.pick({.key = key}) == before[key]);
}

TEMPLATE_TEST_CASE("affinity: shares by weight", "[balance][affinity]", ring_affinity, maglev_affinity,
                   rendezvous_affinity) {
  const std::vector<double> weights{1, 2, 3, 4};
  picking<TestType> four{weights};
  std::vector<std::size_t> counts(4);
  for (const std::size_t owner : owners(four)) ++counts[owner];
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(std::fabs(static_cast<double>(counts[i]) / keys * 10 / weights[i] - 1) < 0.25);
  if constexpr (!std::is_same_v<TestType, ring_affinity>) CHECK(misfit(counts, weights) < 4);
}

TEMPLATE_TEST_CASE("affinity: without a key, anywhere by weight", "[balance][affinity]", ring_affinity, maglev_affinity,
                   rendezvous_affinity) {
  const std::vector<double> weights{1, 2, 3, 4};
  picking<TestType> four{weights, TestType{}, banyan::testing::derived_seed("no key")};
  CHECK(misfit(four.counts(20'000), weights) < 4);
}

TEMPLATE_TEST_CASE("affinity: few keys move", "[balance][affinity]", ring_affinity, maglev_affinity,
                   rendezvous_affinity) {
  constexpr std::size_t n = 10;
  picking<TestType> all{std::vector<double>(n, 1)};
  const auto before = owners(all);

  SECTION("when one leaves") {
    const std::size_t gone = 4;
    all.members().remove(all.id(gone));
    const auto after = owners(all);
    std::size_t moved = 0;
    std::size_t needless = 0;
    for (std::uint64_t key = 0; key < keys; ++key) {
      REQUIRE(after[key] != gone);
      if (after[key] == before[key]) continue;
      ++moved;
      if (before[key] != gone) ++needless;
    }
    CHECK(static_cast<double>(moved) <= 1.3 * keys / n);
    if constexpr (!std::is_same_v<TestType, maglev_affinity>) CHECK(needless == 0);
  }
  SECTION("when one joins") {
    all.add();
    const auto after = owners(all);
    std::size_t moved = 0;
    std::size_t needless = 0;
    for (std::uint64_t key = 0; key < keys; ++key) {
      if (after[key] == before[key]) continue;
      ++moved;
      if (after[key] != n) ++needless;
    }
    CHECK(moved > 0);
    CHECK(static_cast<double>(moved) <= 1.3 * keys / (n + 1));
    if constexpr (!std::is_same_v<TestType, maglev_affinity>) CHECK(needless == 0);
  }
  SECTION("when a heavy one joins, of weights far from 1") {
    for (std::size_t i = 0; i < n; ++i) all.members().set_weight(all.id(i), 100);
    const auto heavy_before = owners(all);
    all.add(500);
    const auto after = owners(all);
    std::size_t moved = 0;
    for (std::uint64_t key = 0; key < keys; ++key) moved += after[key] != heavy_before[key];
    CHECK(static_cast<double>(moved) <= 1.3 * keys / 3);
  }
}

TEMPLATE_TEST_CASE("affinity: keys fall over to the same others, spread out", "[balance][affinity]", ring_affinity,
                   maglev_affinity, rendezvous_affinity) {
  for (const std::size_t n : {5U, 100U}) {  // with 100, rendezvous does not go by its order
    picking<TestType> all{std::vector<double>(n, 1)};
    std::set<std::size_t> second;
    for (std::uint64_t key = 0; key < 1000; ++key) {
      const auto owner = all.pick_key(key);
      const std::size_t other = all.number({.avoid = owner.id(), .key = key});
      REQUIRE(other != *owner);
      REQUIRE(all.number({.avoid = owner.id(), .key = key}) == other);
      if (*owner == 2) second.insert(other);
    }
    CHECK(second.size() >= std::min<std::size_t>(n - 1, 4));
  }
}

TEMPLATE_TEST_CASE("affinity: who falls over goes where the key goes when its owner leaves", "[balance][affinity]",
                   ring_affinity, maglev_affinity, rendezvous_affinity) {
  picking<TestType> ten{std::vector<double>(10, 1)};
  std::vector<std::pair<std::uint64_t, std::size_t>> fallen;
  for (std::uint64_t key = 0; key < 2000; ++key) {
    if (*ten.pick_key(key) == 3) fallen.emplace_back(key, ten.number({.avoid = ten.id(3), .key = key}));
  }
  ten.members().remove(ten.id(3));
  std::size_t same = 0;
  for (const auto& [key, where] : fallen) same += *ten.pick_key(key) == where;
  if constexpr (std::is_same_v<TestType, maglev_affinity>) {
    CHECK(same > 0);  // a table without the owner is another table
  } else {
    CHECK(same == fallen.size());
  }
}

// Bound of an endpoint when `total` are in flight already.
double bound(double factor, std::size_t total, double weight, double weights) {
  return std::ceil(factor * static_cast<double>(total + 1) * weight / weights);
}

TEMPLATE_TEST_CASE("bounded load: a hot key", "[balance][affinity]", ring_affinity, maglev_affinity,
                   rendezvous_affinity) {
  const std::vector<double> weights{1, 1, 2, 4, 1, 1};
  for (const double factor : {1.0, 1.25, 2.0}) {
    picking<TestType> all{weights, TestType{{.bounded_load = factor}}};
    std::vector<typename picking<TestType>::token> held;
    std::vector<std::size_t> in_flight(weights.size());
    for (std::size_t i = 0; i < 1000; ++i) {
      held.push_back(all.pick_key(42));
      const std::size_t chosen = *held.back();
      REQUIRE(static_cast<double>(++in_flight[chosen]) <= bound(factor, i, weights[chosen], 10));
    }
  }
}

TEMPLATE_TEST_CASE("bounded load: never above the bound of a while ago", "[balance][affinity]", ring_affinity,
                   maglev_affinity, rendezvous_affinity) {
  const std::uint64_t seed = banyan::testing::derived_seed("bounded load");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (const std::size_t n : {3U, 20U, 200U}) {
    picking<TestType> all{std::vector<double>(n, 1), TestType{{.bounded_load = 1.25}}};
    std::vector<typename picking<TestType>::token> held;
    std::vector<std::size_t> totals;
    std::size_t at_home = 0;
    std::size_t picks = 0;
    std::size_t target = 10 * n;
    for (std::size_t i = 0; i < 20'000; ++i) {
      if (i % 4000 == 3999) target = target == n ? 10 * n : n;
      if (!held.empty() && random.chance(held.size(), 2 * target)) {
        std::swap(held[random.below(held.size())], held.back());
        held.pop_back();
        continue;
      }
      totals.push_back(held.size());
      const std::uint64_t key = random.below(4) == 0 ? 7 : random();
      held.push_back(all.pick_key(key));
      const std::size_t since = totals.size() > 4 * n ? totals.size() - 4 * n : 0;
      const std::size_t most = *std::max_element(totals.begin() + static_cast<std::ptrdiff_t>(since), totals.end());
      const auto here = static_cast<double>(all.members().in_flight(held.back().id()));
      REQUIRE(here <= bound(1.25, most, 1, static_cast<double>(n)));
      ++picks;
      at_home += key == 7;
    }
    CHECK(at_home < picks);
  }
}

TEMPLATE_TEST_CASE("bounded load: keys stay at home while there is room", "[balance][affinity]", ring_affinity,
                   maglev_affinity, rendezvous_affinity) {
  picking<TestType> free{std::vector<double>(10, 1)};
  picking<TestType> bounded{std::vector<double>(10, 1), TestType{{.bounded_load = 2}}};
  std::vector<typename picking<TestType>::token> held;
  for (std::uint64_t key = 0; key < 1000; ++key) held.push_back(bounded.pick_key(key));
  std::size_t same = 0;
  for (std::uint64_t key = 1000; key < 2000; ++key) same += *free.pick_key(key) == bounded.number({.key = key});
  CHECK(same > 990);
}

TEMPLATE_TEST_CASE("affinity: any weights", "[balance][affinity]", ring_affinity, maglev_affinity,
                   rendezvous_affinity) {
  for (const std::vector<double>& weights :
       {std::vector<double>{4e9, 1, 1}, std::vector<double>{1e-30, 1, 1e-30}, std::vector<double>{1e-9, 1e-9},
        std::vector<double>{1}, std::vector<double>(30, 4e9)}) {
    picking<TestType> all{weights, TestType{{.bounded_load = 0}}};
    const std::size_t owner = *all.pick_key(1);
    CHECK(owner < weights.size());
    CHECK(all.number({.key = 1}) == owner);
    if (weights.size() == 2) {
      std::vector<std::size_t> counts(2);
      for (std::uint64_t key = 0; key < 10'000; ++key) ++counts[all.number({.key = key})];
      CHECK(counts[0] > 3500);
      CHECK(counts[1] > 3500);
    }
  }
}

TEST_CASE("Maglev affinity: more endpoints than its table was made for", "[balance][affinity]") {
  picking<maglev_affinity> many{std::vector<double>(1400, 1), maglev_affinity{{.placement = {.table_size = 101}}}};
  std::set<std::size_t> used;
  for (std::uint64_t key = 0; key < 20'000; ++key) used.insert(many.number({.key = key}));
  CHECK(used.size() > 1390);
}

TEMPLATE_TEST_CASE("affinity: more endpoints than can be asked without memory", "[balance][affinity]", ring_affinity,
                   maglev_affinity, rendezvous_affinity) {
  picking<TestType> many{std::vector<double>(1300, 1), TestType{{.bounded_load = 1}}};
  std::vector<typename picking<TestType>::token> held;
  for (std::size_t i = 0; i < 1300; ++i) {
    held.push_back(many.pick_key(9));
    REQUIRE(many.members().in_flight(held.back().id()) == 1);
  }
}

TEMPLATE_TEST_CASE("affinity: bad options", "[balance][affinity]", ring_affinity, maglev_affinity,
                   rendezvous_affinity) {
  for (const double bad : {-1.0, 0.5, 0.999, banyan::testing::not_a_number, banyan::testing::infinity})
    CHECK(refused_field([&] { TestType{{.bounded_load = bad}}; }) == "key_affinity::options.bounded_load");
  for (const double good : {0.0, 1.0, 1.25, 1e300})
    CHECK(refused_field([&] { TestType{{.bounded_load = good}}; }).empty());
  CHECK(refused_field([] { ring_affinity{{.placement = {.points_per_node = 0}}}; }) == "ring_options.points_per_node");
  CHECK(refused_field([] { maglev_affinity{{.placement = {.table_size = 100}}}; }) == "maglev_options.table_size");
}

}  // namespace
