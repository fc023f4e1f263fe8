// What ring, Maglev and rendezvous placement promise alike; what each promises alone is in its own file.
#include <banyan/hashing/maglev_placement.hpp>
#include <banyan/hashing/multi_probe_placement.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>
#include <banyan/hashing/ring_placement.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "near.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/seed.hpp"

#define BANYAN_PLACEMENTS \
  banyan::ring_placement, banyan::maglev_placement, banyan::rendezvous_placement, banyan::multi_probe_placement

namespace {

using banyan::testing::near;
using banyan::testing::random_source;
using nodes_type = std::vector<banyan::weighted_hash>;

nodes_type some_nodes(random_source& random, std::size_t count) {
  nodes_type nodes(count);
  for (auto& node : nodes) node.hash = random();
  return nodes;
}

template <class Placement>
std::vector<std::uint64_t> counts(const Placement& placement, random_source random, std::size_t keys) {
  std::vector<std::uint64_t> found(placement.size());
  for (std::size_t i = 0; i < keys; ++i) ++found[placement.find(random())];
  return found;
}

TEMPLATE_TEST_CASE("no nodes, no answer; one node, that one", "[hashing][placement]", BANYAN_PLACEMENTS) {
  random_source random{banyan::testing::derived_seed("placement: none and one")};
  const TestType none{nodes_type{}};
  const TestType made_of_nothing;
  const TestType one{some_nodes(random, 1)};
  CHECK(none.size() == 0);
  CHECK(one.size() == 1);
  for (const std::uint64_t key : {std::uint64_t{0}, std::uint64_t{1}, random(), ~std::uint64_t{0}}) {
    CHECK(none.find(key) == TestType::npos);
    CHECK(none.find_if(key, [](std::uint32_t) { return true; }) == TestType::npos);
    CHECK(made_of_nothing.find(key) == TestType::npos);
    CHECK(made_of_nothing.find_if(key, [](std::uint32_t) { return true; }) == TestType::npos);
    CHECK(one.find(key) == 0);
    CHECK(one.find_if(key, [](std::uint32_t node) { return node == 0; }) == 0);
    CHECK(one.find_if(key, [](std::uint32_t) { return false; }) == TestType::npos);
  }
}

TEMPLATE_TEST_CASE("find_if asks each node once and starts with find's", "[hashing][placement]", BANYAN_PLACEMENTS) {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: find_if");
  CAPTURE(seed);
  random_source random{seed};
  // 100 take the short ways, 1,500 the long ones.
  for (const std::size_t count : {2U, 63U, 64U, 65U, 100U, 1500U}) {
    nodes_type nodes = some_nodes(random, count);
    for (std::size_t i = 0; i < count; i += 3) nodes[i].weight = 0.01 + static_cast<double>(random.below(300)) / 100;
    const TestType placement{nodes};
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t key = i == 0 ? 0 : i == 1 ? ~std::uint64_t{0} : random();
      const std::uint32_t first = placement.find(key);
      REQUIRE(placement.find_if(key, [](std::uint32_t) { return true; }) == first);
      std::vector<std::uint32_t> asked;
      REQUIRE(placement.find_if(key, [&](std::uint32_t node) {
        asked.push_back(node);
        return false;
      }) == TestType::npos);
      REQUIRE(asked.size() == count);
      CHECK(asked.front() == first);
      const std::uint32_t tenth = asked[std::min<std::size_t>(9, count - 1)];
      CHECK(placement.find_if(key, [&](std::uint32_t node) { return node == tenth; }) == tenth);
      std::sort(asked.begin(), asked.end());
      for (std::uint32_t node = 0; node < count; ++node) REQUIRE(asked[node] == node);
    }
  }
}

TEMPLATE_TEST_CASE("the order of the nodes does not matter", "[hashing][placement]", BANYAN_PLACEMENTS) {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: order");
  CAPTURE(seed);
  random_source random{seed};
  nodes_type nodes = some_nodes(random, 50);
  for (auto& node : nodes) node.weight = 0.5 + static_cast<double>(random.below(4));
  nodes_type shuffled = nodes;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  const TestType one{nodes};
  const TestType other{shuffled};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t key = random();
    REQUIRE(nodes[one.find(key)].hash == shuffled[other.find(key)].hash);
  }
}

// The sum of (seen - expected)^2 / expected is about normal for 20 or more nodes: mean n - 1, deviation sqrt(2 (n -
// 1)). For the ring and Maglev the shares themselves deviate, which `slack` (of the expected share) makes room for.
TEMPLATE_TEST_CASE("shares follow the weights", "[hashing][placement]", BANYAN_PLACEMENTS) {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: weights");
  CAPTURE(seed);
  random_source random{seed};
  for (const bool weighted : {false, true}) {
    constexpr std::size_t count = 40;
    constexpr std::size_t keys = 400'000;
    nodes_type nodes = some_nodes(random, count);
    double total = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (weighted) nodes[i].weight = 0.25 * static_cast<double>(1U << (i % 5));
      total += nodes[i].weight;
    }
    const auto seen = counts(TestType{nodes}, random, keys);
    double chi_square = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double expected = keys * nodes[i].weight / total;
      const double off = static_cast<double>(seen[i]) - expected;
      chi_square += off * off / expected;
      // Points of the lightest node: 40 of the ring's.
      CHECK(near(static_cast<double>(seen[i]), expected, 0.75));
    }
    CAPTURE(weighted, chi_square);
    if (std::is_same_v<TestType, banyan::ring_placement>) {
      // Variance of a share of p points is about 1 / p of its square: here up to 1 / 40, on 10,000 keys a node.
      CHECK(chi_square < 400'000 / 160.0 * 2);
    } else if (std::is_same_v<TestType, banyan::multi_probe_placement>) {
      // 1 / 47 for each of ten points; and the lightest, due two and a half points, have three.
      CHECK(chi_square < 400'000 / 10.0 / 47 * 2);
    } else {
      CHECK(chi_square < 39 + 6 * 9);
    }
    CHECK(chi_square > 10);
  }
}

TEST_CASE("rendezvous asks who would be next without those asked, and allocates nothing", "[hashing][rendezvous]") {
  const std::uint64_t seed = banyan::testing::derived_seed("rendezvous: order");
  CAPTURE(seed);
  random_source random{seed};
  for (const bool weighted : {false, true}) {
    nodes_type nodes = some_nodes(random, 150);
    for (std::size_t i = 0; weighted && i < nodes.size(); i += 2) nodes[i].weight = 2.5;
    const banyan::rendezvous_placement all{nodes};
    const std::uint64_t key = random();
    std::vector<std::uint64_t> asked;
    asked.reserve(nodes.size());
    const std::uint64_t before = banyan::testing::allocations_by_this_thread();
    static_cast<void>(all.find_if(key, [&](std::uint32_t node) {
      asked.push_back(nodes[node].hash);
      return false;
    }));
    CHECK(banyan::testing::allocations_by_this_thread() == before);
    nodes_type left = nodes;
    for (const std::uint64_t hash : asked) {
      const std::uint32_t next = banyan::rendezvous_placement{left}.find(key);
      REQUIRE(left[next].hash == hash);
      left.erase(left.begin() + next);
    }
    CHECK(left.empty());
  }
}

// mcrouter's test of its weighted rendezvous hashing.
TEST_CASE("rendezvous shares by weight are exact", "[hashing][rendezvous]") {
  const std::uint64_t seed = banyan::testing::derived_seed("rendezvous: mcrouter");
  CAPTURE(seed);
  random_source random{seed};
  const banyan::rendezvous_placement placement{nodes_type{{random(), 1}, {random(), 0.5}, {random(), 0.1}}};
  constexpr double keys = 1'000'000;
  const auto seen = counts(placement, random, 1'000'000);
  double chi_square = 0;
  for (const auto& [node, share] : {std::pair{0, 1 / 1.6}, std::pair{1, 0.5 / 1.6}, std::pair{2, 0.1 / 1.6}}) {
    const double off = static_cast<double>(seen[static_cast<std::size_t>(node)]) - keys * share;
    chi_square += off * off / (keys * share);
  }
  CHECK(chi_square < 18.4);  // two degrees of freedom: one in 10,000
}

TEST_CASE("weights of any size are taken", "[hashing][placement]") {
  const nodes_type tiny{{1, 1e-300}, {2, 2e-300}};
  const nodes_type huge{{1, 1e300}, {2, 2e300}};
  const nodes_type apart{{1, 1e-300}, {2, 1e300}};
  random_source random{3};
  for (const nodes_type& nodes : {tiny, huge}) {
    const auto seen = counts(banyan::rendezvous_placement{nodes}, random, 3000);
    CHECK(near(static_cast<double>(seen[1]), 2000, 0.1));
    const auto slots = counts(banyan::maglev_placement{nodes}, random, 3000);
    CHECK(near(static_cast<double>(slots[1]), 2000, 0.1));
  }
  CHECK(counts(banyan::rendezvous_placement{apart}, random, 3000)[0] == 0);
  // However light, a node can be found when the others refuse.
  CHECK(banyan::maglev_placement{apart}.find_if(9, [](std::uint32_t node) { return node == 0; }) == 0);
  CHECK(banyan::rendezvous_placement{apart}.find_if(9, [](std::uint32_t node) { return node == 0; }) == 0);
}

TEST_CASE("many probes keep the fullest node within a probe's part of the mean", "[hashing][multi_probe]") {
  const std::uint64_t seed = banyan::testing::derived_seed("multi-probe: fullest");
  CAPTURE(seed);
  random_source random{seed};
  for (const std::uint32_t points : {1U, 10U}) {
    const banyan::multi_probe_placement placement{some_nodes(random, 50), {.points_per_node = points}};
    const auto seen = counts(placement, random, 500'000);
    // 1 + 1 / 21 on average, and four deviations of 10,000 keys.
    CHECK(static_cast<double>(*std::max_element(seen.begin(), seen.end())) < 10'000 * (1 + 1 / 21.0) + 400);
  }
}

TEMPLATE_TEST_CASE("a node that comes or goes moves its own share", "[hashing][placement]", BANYAN_PLACEMENTS) {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: movement");
  CAPTURE(seed);
  random_source random{seed};
  constexpr std::size_t keys = 50'000;
  constexpr bool exact = !std::is_same_v<TestType, banyan::maglev_placement>;
  for (const double weight : {1.0, 0.3, 4.0}) {
    const nodes_type before = some_nodes(random, 20);
    nodes_type after = before;
    after.push_back({random(), weight});
    const TestType small{before};
    const TestType large{after};
    std::size_t moved = 0;
    std::size_t astray = 0;
    for (std::size_t i = 0; i < keys; ++i) {
      const std::uint64_t key = random();
      const std::uint32_t from = small.find(key);
      const std::uint32_t to = large.find(key);
      if (from == to) continue;
      ++moved;
      if (to != 20) ++astray;
    }
    CAPTURE(weight, moved, astray);
    const double least = keys * weight / (20 + weight);
    if (exact) {
      CHECK(astray == 0);
      CHECK(near(static_cast<double>(moved), least, 0.45));
    } else {
      CHECK(static_cast<double>(astray) < keys * 0.02);
      CHECK(near(static_cast<double>(moved - astray), least, 0.1));
    }
  }
}

TEMPLATE_TEST_CASE("nodes with the same hash are all asked", "[hashing][placement]", BANYAN_PLACEMENTS) {
  const TestType twins{nodes_type{{7, 1}, {7, 1}, {9, 1}}};
  for (std::uint64_t key = 0; key < 100; ++key) {
    std::vector<std::uint32_t> asked;
    const std::uint32_t found = twins.find_if(key << 57, [&](std::uint32_t node) {
      asked.push_back(node);
      return false;
    });
    CHECK(found == TestType::npos);
    std::sort(asked.begin(), asked.end());
    CHECK(asked == std::vector<std::uint32_t>{0, 1, 2});
  }
}

TEMPLATE_TEST_CASE("bad weights are refused", "[hashing][placement]", BANYAN_PLACEMENTS) {
  for (const double weight : {0.0, -0.0, -1.0, std::numeric_limits<double>::quiet_NaN(),
                              std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    CAPTURE(weight);
    CHECK_THROWS_AS(TestType(nodes_type{{1, 1}, {2, weight}}), std::invalid_argument);
  }
}

TEMPLATE_TEST_CASE("an exception of accept passes through", "[hashing][placement]", BANYAN_PLACEMENTS) {
  random_source random{1};
  const TestType placement{some_nodes(random, 2000)};
  int calls = 0;
  CHECK_THROWS_AS(placement.find_if(5,
                                    [&](std::uint32_t) -> bool {
                                      if (++calls == 50) throw std::runtime_error{"no"};
                                      return false;
                                    }),
                  std::runtime_error);
  CHECK(calls == 50);
}

}  // namespace
