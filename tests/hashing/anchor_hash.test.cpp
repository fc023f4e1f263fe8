#include <banyan/hashing/anchor_hash.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "chance.hpp"
#include "near.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/seed.hpp"

namespace {

using banyan::anchor_hash;
using anchor = anchor_hash<int>;

std::vector<int> owners(const anchor& nodes, std::size_t keys) {
  std::vector<int> found(keys);
  for (std::size_t key = 0; key < keys; ++key) found[key] = nodes.find(key).value_or(-1);
  return found;
}

TEST_CASE("anchor_hash: find, find_n, find_if", "[hashing][anchor_hash]") {
  CHECK(anchor{}.find(1) == std::nullopt);
  CHECK(anchor{}.find_n(1, 2).empty());
  const anchor_hash<std::string> one{{"a"}};
  CHECK(one.find("k") == "a");
  const anchor_hash<std::string> nodes{{{"a", 1}, {"b", 1}, {"c", 0.1}}};
  for (int key = 0; key < 500; ++key) {
    const auto all = nodes.find_n(key, 9);
    REQUIRE(all.size() == 3);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == 3);
    CHECK(nodes.find(key) == all[0]);
    CHECK(nodes.find_if(key, [&](const std::string& n) { return n != all[0]; }) == all[1]);
    CHECK(nodes.find_if(key, [](const std::string&) { return false; }) == std::nullopt);
  }
  // Where one of many nodes has all the buckets, the others must be found all the same.
  std::vector<std::pair<int, double>> uneven{{0, 100'000.0}};
  for (int i = 1; i < 50; ++i) uneven.emplace_back(i, 0.1);
  CHECK(anchor{uneven}.find_n(7, 50).size() == 50);
}

// Any history of changes: only the keys of the node that went move, only to the node that came do keys move, shares are
// even, and the last change undone is as if it had not been.
TEST_CASE("anchor_hash moves no key between nodes that stay", "[hashing][anchor_hash]") {
  const std::uint64_t seed = banyan::testing::derived_seed("anchor: movement");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  constexpr std::size_t keys = 4000;
  for (const std::uint32_t buckets : {32U, 200U}) {
    anchor nodes{std::vector<int>{0, 1, 2, 3, 4}, {.buckets_per_node = buckets}};
    std::set<int> there{0, 1, 2, 3, 4};
    int next = 5;
    std::vector<int> before = owners(nodes, keys);
    for (int step = 0; step < 200; ++step) {
      const bool grow = there.size() < 2 || random.chance(there.size() < 40 ? 55 : 40, 100);
      int changed = next;
      if (grow) {
        ++next;
        there.insert(changed);
        REQUIRE(nodes.add(changed));
      } else {
        changed = *std::next(there.begin(), static_cast<std::ptrdiff_t>(random.below(there.size())));
        there.erase(changed);
        REQUIRE(nodes.remove(changed));
      }
      REQUIRE(nodes.size() == there.size());
      const std::vector<int> after = owners(nodes, keys);
      std::size_t wrong = 0;
      for (std::size_t key = 0; key < keys; ++key) {
        if (there.count(after[key]) == 0) ++wrong;
        if (before[key] == after[key]) continue;
        if (grow ? after[key] != changed : before[key] != changed) ++wrong;
      }
      REQUIRE(wrong == 0);
      before = after;
    }
    // Even shares after all that.
    std::map<int, std::uint64_t> seen;
    for (const int owner : owners(nodes, 1000 * nodes.size())) ++seen[owner];
    std::vector<std::uint64_t> counts;
    for (const int node : there) counts.push_back(seen[node]);
    CHECK(banyan::testing::by_chance(counts,
                                     std::vector<double>(counts.size(), 1.0 / static_cast<double>(counts.size()))));
    anchor copy = nodes;
    copy.remove(*there.begin());
    copy.add(*there.begin());
    CHECK((owners(copy, keys) == before));
  }
}

TEST_CASE("anchor_hash: all may go and come back", "[hashing][anchor_hash]") {
  anchor nodes{{1, 2, 3}};
  for (const int node : {2, 1, 3}) CHECK(nodes.remove(node));
  CHECK(nodes.find(5) == std::nullopt);
  CHECK(nodes.size() == 0);
  for (const int node : {7, 8, 9, 10}) CHECK(nodes.add(node));
  std::map<int, int> seen;
  for (int key = 0; key < 4000; ++key) ++seen[*nodes.find(key)];
  CHECK(seen.size() == 4);
  for (const auto& [node, count] : seen) CHECK(banyan::testing::near(count, 1000, 0.15));
}

TEST_CASE("anchor_hash follows weights, and a weight that changes moves the difference", "[hashing][anchor_hash]") {
  anchor nodes{{{1, 1.0}, {2, 2.0}, {3, 0.5}}};
  constexpr std::size_t keys = 35'000;
  std::map<int, double> seen;
  const auto before = owners(nodes, keys);
  for (const int owner : before) ++seen[owner];
  CHECK(banyan::testing::near(seen[1], 10'000, 0.04));
  CHECK(banyan::testing::near(seen[2], 20'000, 0.03));
  CHECK(banyan::testing::near(seen[3], 5'000, 0.06));
  CHECK(nodes.set_weight(3, 2.0));
  const auto after = owners(nodes, keys);
  std::size_t moved = 0;
  for (std::size_t key = 0; key < keys; ++key) {
    if (before[key] == after[key]) continue;
    ++moved;
    REQUIRE(after[key] == 3);
  }
  CHECK(banyan::testing::near(static_cast<double>(moved), 9'000, 0.05));
  CHECK(nodes.set_weight(3, 0.5));
  CHECK((owners(nodes, keys) == before));
  CHECK_FALSE(nodes.set_weight(4, 1));
}

TEST_CASE("anchor_hash: weights count by their ratios alone", "[hashing][anchor_hash]") {
  const anchor small{{{1, 0.001}, {2, 0.003}, {3, 0.0005}}};
  const anchor large{{{1, 1e9}, {2, 3e9}, {3, 5e8}}};
  const auto by_small = owners(small, 4500);
  CHECK((by_small == owners(large, 4500)));
  CHECK(banyan::testing::near(static_cast<double>(std::count(by_small.begin(), by_small.end(), 2)), 3000, 0.05));
  const anchor greatest{{{1, 1e308}, {2, 1e308}, {3, 1e-300}}};
  CHECK(greatest.find_n(5, 3).size() == 3);
}

// A type whose moves may fail: a table that could not take its node out has to be as it was.
struct heavy {
  int value = 0;
  static inline bool fails = false;

  explicit heavy(int v) : value{v} {}
  heavy(const heavy& other) : value{other.value} {
    if (fails) throw std::runtime_error{"copy"};
  }
  heavy& operator=(const heavy& other) {
    if (fails) throw std::runtime_error{"assignment"};
    value = other.value;
    return *this;
  }
  bool operator==(const heavy&) const = default;
};

struct heavy_hash {
  template <class T>
  std::uint64_t operator()(const T& key) const {
    if constexpr (std::is_same_v<T, heavy>) {
      return banyan::hash_of(key.value);
    } else {
      return banyan::hash_of(key);
    }
  }
};

TEST_CASE("anchor_hash: a node whose copies fail does not spoil the table", "[hashing][anchor_hash]") {
  std::vector<banyan::weighted_node<heavy>> list;
  for (int i = 0; i < 5; ++i) list.push_back({heavy{i}, 1});
  anchor_hash<heavy, heavy_hash> nodes{list};
  const auto all = [&] {
    std::vector<int> found;
    for (int key = 0; key < 500; ++key) found.push_back(nodes.locate(key)->value);
    return found;
  };
  const std::vector<int> before = all();
  const heavy second{1};
  heavy::fails = true;
  CHECK_THROWS_AS(nodes.remove(second), std::runtime_error);
  heavy::fails = false;
  CHECK((all() == before));
  CHECK(nodes.remove(second));
  CHECK(nodes.size() == 4);
}

TEST_CASE("anchor_hash does not depend on the order of the list", "[hashing][anchor_hash]") {
  const anchor one{{1, 2, 3, 4, 5, 6}};
  const anchor other{{6, 4, 2, 5, 3, 1}};
  CHECK((owners(one, 2000) == owners(other, 2000)));
}

TEST_CASE("anchor_hash refuses bad nodes and options, and nothing changes", "[hashing][anchor_hash]") {
  CHECK_THROWS_AS((anchor{{1, 2, 1}}), std::invalid_argument);
  CHECK_THROWS_AS((anchor{{1}, {.buckets_per_node = 0}}), std::invalid_argument);
  CHECK_THROWS_AS((anchor{{1, 2}, {.buckets_per_node = (1U << 25) + 1}}), std::invalid_argument);
  anchor nodes{{1, 2}};
  const auto before = owners(nodes, 100);
  for (const double bad :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(nodes.add(3, bad), std::invalid_argument);
    CHECK_THROWS_AS(nodes.set_weight(1, bad), std::invalid_argument);
  }
  CHECK_FALSE(nodes.add(1, 5));
  CHECK_FALSE(nodes.remove(3));
  CHECK(nodes.size() == 2);
  CHECK((owners(nodes, 100) == before));
}

TEST_CASE("anchor_hash survives every failing allocation", "[hashing][anchor_hash]") {
  const std::string long_name(100, 'n');
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    anchor_hash<std::string> nodes{{"a", "b"}};
    const auto before = *nodes.find("key");
    try {
      nodes.add(long_name, 30);
      nodes.set_weight("a", 40);
    } catch (...) {
      // Half an addition would show here.
      for (int key = 0; key < 50; ++key) static_cast<void>(nodes.locate(key)->size());
      throw;
    }
    nodes.set_weight("a", 1);  // undone in the opposite order, so nothing is left of it
    nodes.remove(long_name);
    if (nodes.find("key") != before) throw std::logic_error{"moved"};
  });
  INFO(report.describe());
  CHECK(report.clean());
}

}  // namespace
