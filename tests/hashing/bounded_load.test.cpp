#include <banyan/hashing/bounded_load.hpp>
#include <banyan/hashing/maglev_table.hpp>
#include <banyan/hashing/multi_probe.hpp>
#include <banyan/hashing/rendezvous.hpp>
#include <banyan/hashing/ring_table.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::bounded_load;

std::vector<int> numbers(int count) {
  std::vector<int> nodes;
  for (int i = 0; i < count; ++i) nodes.push_back(i);
  return nodes;
}

TEMPLATE_TEST_CASE("no node holds more than its bound, whatever is assigned and released", "[hashing][bounded_load]",
                   banyan::ring_table<int>, banyan::maglev_table<int>, banyan::rendezvous<int>,
                   banyan::multi_probe<int>) {
  const std::uint64_t seed = banyan::testing::derived_seed("bounded load");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (const double factor : {1.0, 1.05, 1.25, 2.0}) {
    bounded_load<TestType> bounded{TestType{numbers(10)}, {.factor = factor}};
    std::map<int, std::uint64_t> model;
    std::deque<int> held;
    for (int step = 0; step < 2000; ++step) {
      if (!held.empty() && random.chance(1, 3)) {
        REQUIRE(bounded.release(held.front()));
        --model[held.front()];
        held.pop_front();
        continue;
      }
      // A fifth of all keys is one key.
      const std::uint64_t key = random.chance(1, 5) ? 1 : random();
      const auto foreseen = bounded.find(key);
      const auto node = bounded.assign(key);
      REQUIRE(node.has_value());
      REQUIRE(node == foreseen);
      held.push_back(*node);
      ++model[*node];
      const auto bound = static_cast<std::uint64_t>(std::ceil(factor * static_cast<double>(held.size()) / 10));
      REQUIRE(model[*node] <= bound);
      REQUIRE(bounded.load(*node) == model[*node]);
      REQUIRE(bounded.load() == held.size());
    }
  }
}

TEST_CASE("a key stays with its own node while that has room", "[hashing][bounded_load]") {
  const banyan::ring_table<int> table{numbers(10)};
  bounded_load<banyan::ring_table<int>> bounded{table, {.factor = 100}};
  for (int key = 0; key < 500; ++key) CHECK(bounded.assign(key) == table.find(key));
}

// On a ring of its own a cascade would fill the next node first; hashing again spreads over all.
TEST_CASE("what overflows spreads over all nodes", "[hashing][bounded_load]") {
  constexpr int nodes = 20;
  bounded_load<banyan::ring_table<int>> bounded{banyan::ring_table<int>{numbers(nodes)}, {.factor = 1.5}};
  for (int key = 0; key < 20'000; ++key) bounded.assign(key);
  std::map<int, int> overflow;
  const int own = bounded.find_n(1, 1)[0];
  for (int key = 20'000; bounded.load(own) < bounded.capacity(own); ++key) {
    if (bounded.find_n(key, 1)[0] == own) bounded.assign(key);
  }
  for (int key = 0, found = 0; found < 2000; ++key) {
    if (bounded.find_n(key, 1)[0] != own) continue;
    ++found;
    ++overflow[*bounded.find(key)];
  }
  CHECK(overflow.count(own) == 0);
  CHECK(overflow.size() >= nodes / 2);
  for (const auto& [node, count] : overflow) CHECK(count < 2000 / 4);
}

TEST_CASE("bounds follow weights and nodes", "[hashing][bounded_load]") {
  bounded_load<banyan::maglev_table<int>> bounded{banyan::maglev_table<int>{{{1, 1.0}, {2, 3.0}}}, {.factor = 1}};
  for (int key = 0; key < 400; ++key) bounded.assign(key);
  CHECK(bounded.load(1) == 100);
  CHECK(bounded.load(2) == 300);
  CHECK(bounded.add(3, 4.0));
  CHECK_FALSE(bounded.add(3));
  CHECK(bounded.size() == 3);
  CHECK(bounded.load(3) == 0);
  for (int key = 0; key < 400; ++key) bounded.assign(1000 + key);
  CHECK(bounded.load(3) == 400);
  CHECK(bounded.remove(2));
  CHECK_FALSE(bounded.remove(2));
  CHECK(bounded.load() == 500);
  CHECK(bounded.load(2) == 0);
  CHECK_FALSE(bounded.release(2));
  CHECK(bounded.set_weight(1, 9.0));
  CHECK(bounded.capacity(1) == static_cast<std::uint64_t>(std::ceil(9.0 / 13 * 501)));
  CHECK(bounded.weights().size() == 2);
}

TEST_CASE("bounded_load of nothing, and bad factors", "[hashing][bounded_load]") {
  using table = banyan::maglev_table<int>;
  bounded_load<table> none;
  CHECK(none.find(1) == std::nullopt);
  CHECK(none.assign(1) == std::nullopt);
  CHECK_FALSE(none.release(1));
  CHECK(none.add(1));
  CHECK(none.assign(1) == 1);
  for (const double bad :
       {0.99, 0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS((bounded_load<table>{table{}, {.factor = bad}}), std::invalid_argument);
  }
}

}  // namespace
