#include <banyan/hashing/hash_ring.hpp>
#include <banyan/hashing/maglev_table.hpp>
#include <banyan/hashing/rendezvous.hpp>
#include <banyan/hashing/siphash.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::hash_ring;
using banyan::maglev_table;
using banyan::rendezvous;
using names = std::vector<std::string>;

template <class Ring>
names nodes_of(const Ring& ring) {
  names found;
  for (const auto& [node, weight] : ring.weights()) found.push_back(node);
  return found;
}

TEMPLATE_TEST_CASE("made of every form of list", "[hashing][nodes]", hash_ring<std::string>, maglev_table<std::string>,
                   rendezvous<std::string>) {
  CHECK(TestType{}.size() == 0);
  CHECK(nodes_of(TestType{{"a"}}) == names{"a"});
  // Two texts must not be taken for the two ends of one.
  CHECK(nodes_of(TestType{{"a", "b"}}) == names{"a", "b"});
  CHECK(nodes_of(TestType{{"a", "b", "c"}}) == names{"a", "b", "c"});
  const auto weighted_as_given = [](const TestType& ring) {
    const std::vector<banyan::weighted_node<std::string>> expected{{"a", 1}, {"b", 2.5}};
    return ring.weights() == expected;
  };
  CHECK(weighted_as_given(TestType{{{"a", 1}, {"b", 2.5}}}));
  CHECK(weighted_as_given(TestType{std::vector<std::pair<std::string, double>>{{"a", 1}, {"b", 2.5}}}));
  CHECK(weighted_as_given(TestType{std::map<std::string, double>{{"a", 1}, {"b", 2.5}}}));
  CHECK(weighted_as_given(TestType{std::vector<banyan::weighted_node<std::string>>{{"a", 1}, {"b", 2.5}}}));
  CHECK(nodes_of(TestType{names{"x", "y"}}) == names{"x", "y"});
  CHECK(nodes_of(TestType{std::set<std::string_view>{"x", "y"}}) == names{"x", "y"});
  CHECK(nodes_of(TestType{std::vector<const char*>{"x", "y"}}) == names{"x", "y"});
}

TEST_CASE("nodes may be numbers", "[hashing][nodes]") {
  hash_ring<int> ring{{1, 2}};
  CHECK(ring.size() == 2);
  const hash_ring<int> weighted{{{1, 2.0}, {5, 3.0}}, {.points_per_node = 40}};
  CHECK(weighted.weights()[1].weight == 3.0);
  CHECK(ring.find("key").has_value());
}

TEMPLATE_TEST_CASE("find, find_n, find_if, add, remove", "[hashing][nodes]", hash_ring<std::string>,
                   maglev_table<std::string>, rendezvous<std::string>) {
  TestType ring;
  CHECK(ring.find("k") == std::nullopt);
  CHECK(ring.find_n("k", 3).empty());
  CHECK(ring.add("a"));
  CHECK(ring.find("k") == "a");
  CHECK_FALSE(ring.add("a", 7));
  CHECK(ring.weights()[0].weight == 1);
  CHECK(ring.add("b", 2));
  CHECK(ring.add("c"));
  CHECK(ring.size() == 3);
  for (int key = 0; key < 200; ++key) {
    const names all = ring.find_n(key, 100);
    REQUIRE(all.size() == 3);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == 3);
    CHECK(ring.find(key) == all[0]);
    CHECK(ring.find_n(key, 2) == names{all[0], all[1]});
    CHECK(ring.find_n(key, 0).empty());
    CHECK(ring.find_if(key, [&](const std::string& n) { return n != all[0]; }) == all[1]);
    CHECK(ring.find_if(key, [](const std::string&) { return false; }) == std::nullopt);
  }
  std::map<std::string, int> seen;
  for (int key = 0; key < 4000; ++key) ++seen[*ring.find(key)];
  CHECK(seen["b"] > 1700);
  CHECK(ring.set_weight("b", 0.01));
  seen.clear();
  for (int key = 0; key < 4000; ++key) ++seen[*ring.find(key)];
  CHECK(seen["b"] < 200);
  CHECK_FALSE(ring.set_weight("z", 1));
  CHECK(ring.remove("a"));
  CHECK_FALSE(ring.remove("a"));
  CHECK(nodes_of(ring) == names{"b", "c"});
  CHECK(ring.find(std::string{"user:42"}) == ring.find("user:42"));
}

// Two processes that came to the same nodes by different ways must agree.
TEMPLATE_TEST_CASE("history does not matter", "[hashing][nodes]", hash_ring<std::string>, maglev_table<std::string>,
                   rendezvous<std::string>) {
  const TestType fresh{{{"a", 1}, {"b", 2}, {"c", 1}}};
  TestType grown{{"z", "c"}};
  grown.add("b");
  grown.remove("z");
  grown.add("a");
  grown.set_weight("b", 2);
  for (int key = 0; key < 2000; ++key) CHECK(fresh.find(key) == grown.find(key));
}

TEMPLATE_TEST_CASE("bad nodes are refused and change nothing", "[hashing][nodes]", hash_ring<std::string>,
                   maglev_table<std::string>, rendezvous<std::string>) {
  CHECK_THROWS_AS((TestType{{"a", "b", "a"}}), std::invalid_argument);
  try {
    TestType{{"a", "the twin", "the twin"}};
  } catch (const std::invalid_argument& refused) {
    CHECK(std::string_view{refused.what()}.find("the twin") != std::string_view::npos);
  }
  TestType ring{{"a", "b"}};
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    CAPTURE(bad);
    CHECK_THROWS_AS((TestType{{{"a", bad}}}), std::invalid_argument);
    CHECK_THROWS_AS(ring.add("c", bad), std::invalid_argument);
    CHECK_THROWS_AS(ring.add("a", bad), std::invalid_argument);
    CHECK_THROWS_AS(ring.set_weight("a", bad), std::invalid_argument);
  }
  CHECK(ring.size() == 2);
  CHECK(ring.weights()[0].weight == 1);
}

TEST_CASE("options of rings and tables are checked", "[hashing][nodes]") {
  using ring = hash_ring<std::string>;
  using table = maglev_table<std::string>;
  CHECK_THROWS_AS((ring{{"a"}, {.points_per_node = 0}}), std::invalid_argument);
  CHECK_THROWS_AS((ring{{"a"}, {.points_per_node = (1U << 26) + 1}}), std::invalid_argument);
  CHECK_THROWS_AS((ring{{{"a", 1e300}}}), std::invalid_argument);
  for (const std::uint32_t bad : {0U, 1U, 4U, 65'536U, 65'535U, 4'294'967'291U}) {
    CHECK_THROWS_AS((table{{"a"}, {.table_size = bad}}), std::invalid_argument);
  }
  CHECK_NOTHROW(table{{"a", "b"}, {.table_size = 2}});
  CHECK_THROWS_AS((table{{"a", "b", "c"}, {.table_size = 2}}), std::invalid_argument);
}

TEST_CASE("65,537 nodes fill a table of 65,537, one slot each; one more does not fit", "[hashing][nodes]") {
  std::vector<banyan::weighted_hash> nodes(65'537);
  for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i] = {banyan::hash_of(i), 1.0 + static_cast<double>(i % 2)};
  const banyan::maglev_placement full{nodes};
  std::vector<bool> seen(nodes.size());
  std::uint64_t step = ~std::uint64_t{0} / 65'537;
  for (std::uint64_t slot = 0; slot < 65'537; ++slot) seen[full.find(slot * step + step / 2)] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == 65'537);
  nodes.push_back({1, 1});
  CHECK_THROWS_AS(banyan::maglev_placement{nodes}, std::invalid_argument);
}

struct poor_hash {
  std::uint64_t operator()(int value) const noexcept { return static_cast<std::uint64_t>(value / 2); }
};

TEST_CASE("two nodes of one hash are refused", "[hashing][nodes]") {
  CHECK_THROWS_AS((hash_ring<int, poor_hash>{{2, 3}}), std::invalid_argument);
  hash_ring<int, poor_hash> ring{{2}};
  CHECK_THROWS_AS(ring.add(3), std::invalid_argument);
  CHECK_FALSE(ring.add(2));
  CHECK(ring.size() == 1);
}

TEST_CASE("a hash of one's own, and seeds", "[hashing][nodes]") {
  const names nodes{"a", "b", "c", "d"};
  const hash_ring<std::string> plain{nodes};
  const hash_ring<std::string> secret{nodes, {}, banyan::stable_hash{99}};
  int different = 0;
  for (int key = 0; key < 1000; ++key) different += plain.find(key) != secret.find(key) ? 1 : 0;
  CHECK(different > 600);
}

TEST_CASE("a ring under a secret key", "[hashing][nodes]") {
  const hash_ring<std::string, banyan::siphash> one{{"a", "b", "c"}, {}, {1, 2}};
  const hash_ring<std::string, banyan::siphash> other{{"a", "b", "c"}, {}, {1, 3}};
  int different = 0;
  for (int i = 0; i < 300; ++i) different += one.find(std::to_string(i)) != other.find(std::to_string(i)) ? 1 : 0;
  CHECK(different > 100);
}

// The values that a key had on the day this was written. They must never change: data lies where they point.
TEST_CASE("placements stay what they were", "[hashing][nodes]") {
  const names nodes{"cache-a", "cache-b", "cache-c", "cache-d", "cache-e"};
  std::string ring;
  std::string table;
  std::string highest;
  const hash_ring<std::string> r{nodes};
  const maglev_table<std::string> t{nodes};
  const rendezvous<std::string> h{{{"cache-a", 1}, {"cache-b", 2}, {"cache-c", 0.3}, {"cache-d", 5}, {"cache-e", 1}}};
  for (int i = 0; i < 40; ++i) {
    const std::string key = "user:" + std::to_string(i);
    ring += r.find(key)->back();
    table += t.find(key)->back();
    highest += h.find(key)->back();
  }
  CHECK(ring == "cdcededeebddddcbbdbccdecadcbceddbbbdaebd");
  CHECK(table == "bbaeeabcdadedaccaeeecaaabdcebacecedeabad");
  CHECK(highest == "beddabeddaddddddedbbdbdddddddbbcddddbddb");
}

TEST_CASE("a failed allocation changes nothing", "[hashing][nodes]") {
  hash_ring<std::string> ring{{"a", "b"}};
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    hash_ring<std::string> fresh{{"a", "b"}};
    fresh.add("c");
    fresh.remove("a");
    static_cast<void>(fresh.find_n("key", 2));
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("assign, visit, with_table", "[hashing][hash_ring]") {
  hash_ring<std::string> ring{{"a", "b"}};
  const auto version = ring.version();
  ring.assign({{"x", 2}, {"y", 1}});
  CHECK(nodes_of(ring) == names{"x", "y"});
  CHECK(ring.version() == version + 1);
  CHECK_THROWS_AS(ring.assign({"q", "q"}), std::invalid_argument);
  CHECK_FALSE(ring.add("x"));
  CHECK(ring.version() == version + 1);
  std::string seen;
  CHECK(ring.visit("key", [&](const std::string& node) { seen = node; }));
  CHECK(ring.find("key") == seen);
  CHECK(ring.with_table([](const auto& table, std::uint64_t) { return table.size(); }) == 2);
  ring.assign({});
  CHECK_FALSE(ring.visit("key", [](const std::string&) {}));
}

// Node k is in the ring whenever version v has bit k set, so that a torn or old table shows.
TEST_CASE("readers see whole tables, in order, while two writers change them", "[hashing][hash_ring]") {
  hash_ring<int> ring{{0}, {.points_per_node = 20}};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> backwards{0};
  const auto read = [&] {
    std::uint64_t last = 0;
    while (!stop) {
      ring.with_table([&](const auto& table, std::uint64_t version) {
        if (version < last) ++backwards;
        last = version;
        // Node 0 never leaves; each of the others belongs to one writer.
        if (!table.contains(0) || table.size() > 9 || table.find_n(version, 20).size() != table.size()) ++wrong;
      });
      if (!ring.find(last)) ++wrong;
    }
  };
  std::thread first{read};
  std::thread second{read};
  std::vector<std::thread> writers;
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < 500; ++i) {
        const int node = 1 + w * 4 + i % 4;
        if (!ring.add(node) || !ring.remove(node)) ++wrong;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  stop = true;
  first.join();
  second.join();
  CHECK(wrong == 0);
  CHECK(backwards == 0);
  CHECK(ring.size() == 1);
  CHECK(ring.version() == 2001);
}

TEST_CASE("whoever stops, others go on looking up and changing the ring", "[hashing][hash_ring]") {
  hash_ring<int> ring{{0}, {.points_per_node = 8}};
  std::atomic<int> wrong{0};
  const auto result = banyan::testing::stop_a_thread({.workers = 4, .rounds = 40, .operations = 20},
                                                     [&](std::size_t worker, std::uint64_t i) {
                                                       const int node = static_cast<int>(worker) + 1;
                                                       if (i % 3 == 0 && !ring.add(node)) ++wrong;
                                                       if (i % 3 == 1 && !ring.remove(node)) ++wrong;
                                                       if (!ring.find(i)) ++wrong;
                                                     });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(wrong == 0);
}

}  // namespace
