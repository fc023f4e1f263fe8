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

#include "chance.hpp"
#include "near.hpp"
#include "point_shares.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/seed.hpp"

#define BANYAN_PLACEMENTS \
  banyan::ring_placement, banyan::maglev_placement, banyan::rendezvous_placement, banyan::multi_probe_placement

namespace {

using banyan::testing::by_chance;
using banyan::testing::near;
using banyan::testing::point_shares;
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

// What is due to each node, as a share of all keys. Maglev keeps to it but for a slot; the points of a ring are where
// chance has put them, and so its shares are.
template <class Placement>
std::vector<double> due_shares(const nodes_type& nodes) {
  if constexpr (std::is_same_v<Placement, banyan::ring_placement>) {
    return point_shares(nodes, banyan::ring_options{}.points_per_node, 1);
  } else if constexpr (std::is_same_v<Placement, banyan::multi_probe_placement>) {
    const banyan::multi_probe_options usual;
    return point_shares(nodes, usual.points_per_node, usual.probes);
  } else {
    double total = 0;
    for (const auto& node : nodes) total += node.weight;
    std::vector<double> shares;
    for (const auto& node : nodes) shares.push_back(node.weight / total);
    return shares;
  }
}

// Few nodes and many keys show a node that gets a little more; many nodes, that none is forgotten.
TEMPLATE_TEST_CASE("nodes get the keys that are due to them", "[hashing][placement]", BANYAN_PLACEMENTS) {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: weights");
  CAPTURE(seed);
  random_source random{seed};
  struct run {
    std::uint32_t count;
    std::size_t keys;
    bool weighted;
  };
  for (const auto& [count, keys, weighted] :
       {run{5, 2'500'000, false}, run{40, 400'000, false}, run{40, 400'000, true}}) {
    CAPTURE(count, weighted);
    nodes_type nodes = some_nodes(random, count);
    for (std::size_t i = 0; weighted && i < count; ++i) nodes[i].weight = 0.25 * static_cast<double>(1U << (i % 5));
    CHECK(by_chance(counts(TestType{nodes}, random, keys), due_shares<TestType>(nodes)));
  }
}

// The same amount of keys: what the test above would say if one node of five got two per cent more than the others.
TEST_CASE("two per cent more for one node are not by chance", "[hashing][placement]") {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: bias");
  CAPTURE(seed);
  random_source random{seed};
  const nodes_type nodes = some_nodes(random, 5);
  const banyan::rendezvous_placement placement{nodes};
  for (const std::uint64_t stolen : {0U, 5U}) {  // of 1,000 keys of each of the others
    std::vector<std::uint64_t> seen(nodes.size());
    for (int i = 0; i < 2'500'000; ++i) {
      const std::uint32_t node = placement.find(random());
      ++seen[node != 0 && random.chance(stolen, 1000) ? 0 : node];
    }
    CHECK(by_chance(seen, due_shares<banyan::rendezvous_placement>(nodes)) == (stolen == 0));
  }
}

// The arcs before points are about exponentially distributed: a point of a ring has the mean share give or take all of
// it. With many probes no point gets more than 1 + 1 / (probes - 1) of the mean, on average over sets of points.
TEST_CASE("points are spread by chance", "[hashing][placement]") {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: points");
  CAPTURE(seed);
  random_source random{seed};
  constexpr std::size_t sets = 2000;
  constexpr std::size_t count = 50;
  double squares = 0;
  double fullest = 0;
  for (std::size_t set = 0; set < sets; ++set) {
    const nodes_type nodes = some_nodes(random, count);
    for (const double share : point_shares(nodes, 1, 1)) squares += (share * count - 1) * (share * count - 1);
    const auto shares = point_shares(nodes, 1, 21);
    fullest += *std::max_element(shares.begin(), shares.end()) * count;
  }
  // The deviation of one set's mean square is 0.4, of its fullest 0.024: these are eleven of the means over all sets.
  CHECK(near(squares / (sets * count), (count - 1.0) / (count + 1.0), 0.1));
  CHECK(near(fullest / sets, 1 + 1 / 20.0, 0.006));
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
  CHECK(by_chance(counts(placement, random, 1'000'000), std::vector{1 / 1.6, 0.5 / 1.6, 0.1 / 1.6}));
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

TEST_CASE("many probes: keys go to the nearest of all points", "[hashing][multi_probe]") {
  const std::uint64_t seed = banyan::testing::derived_seed("multi-probe: probes");
  CAPTURE(seed);
  random_source random{seed};
  for (const std::uint32_t points : {1U, 10U}) {
    for (const std::uint32_t probes : {1U, 2U, 21U, 64U}) {
      CAPTURE(points, probes);
      const nodes_type nodes = some_nodes(random, 50);
      const banyan::multi_probe_placement placement{nodes, {.points_per_node = points, .probes = probes}};
      CHECK(by_chance(counts(placement, random, 100'000), point_shares(nodes, points, probes)));
    }
  }
}

TEMPLATE_TEST_CASE("a node that comes or goes moves its own share", "[hashing][placement]", BANYAN_PLACEMENTS) {
  const std::uint64_t seed = banyan::testing::derived_seed("placement: movement");
  CAPTURE(seed);
  random_source random{seed};
  constexpr std::size_t keys = 50'000;
  // Maglev moves some others, mostly less than one in a hundred; a change in 3,000 moves more than one in fifty. That
  // five of nine do is no chance (126 / 3,000^5, a few in 10^16).
  constexpr bool exact = !std::is_same_v<TestType, banyan::maglev_placement>;
  for (const double weight : {1.0, 0.3, 4.0}) {
    CAPTURE(weight);
    std::vector<std::size_t> astray(exact ? 1 : 9);
    for (std::size_t& others : astray) {
      nodes_type nodes = some_nodes(random, 20);
      const TestType small{nodes};
      nodes.push_back({random(), weight});
      const TestType large{nodes};
      std::size_t moved = 0;
      for (std::size_t i = 0; i < keys; ++i) {
        const std::uint64_t key = random();
        const std::uint32_t from = small.find(key);
        const std::uint32_t to = large.find(key);
        if (from != to) ++(to == 20 ? moved : others);
      }
      const double due = due_shares<TestType>(nodes).back();
      CHECK(by_chance({moved, keys - moved}, {due, 1 - due}));
    }
    std::sort(astray.begin(), astray.end());
    CHECK(astray[astray.size() / 2] <= (exact ? 0 : keys / 50));
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
