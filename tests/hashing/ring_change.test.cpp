#include <banyan/hashing/detail/ring_points.hpp>
#include <banyan/hashing/multi_probe.hpp>
#include <banyan/hashing/node_change.hpp>
#include <banyan/hashing/ring_table.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::node_change;
using banyan::weighted_hash;
namespace detail = banyan::detail;

// How many points, and places that are looked up, are not the same on both.
std::size_t differences(const detail::point_circle& a, const detail::point_circle& b) {
  if (a.size() != b.size()) return a.size() + b.size();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i <= a.size(); ++i) {
    wrong += a.position(i) != b.position(i) || a.owner(i) != b.owner(i) ? 1U : 0U;
    const std::uint32_t at = a.position(i);
    for (const std::uint32_t place : {at - 1, at, at + 1})
      wrong += a.at_or_after(place) != b.at_or_after(place) ? 1U : 0U;
  }
  return wrong;
}

// A circle that was changed is the circle that is built of the nodes after the change, to the point.
void drive(std::uint64_t seed, std::uint32_t points, std::size_t most_nodes, int steps) {
  banyan::testing::random_source random{seed};
  std::vector<weighted_hash> nodes;
  detail::point_circle circle = detail::ring_points(nodes, points, "points");
  for (int step = 0; step < steps; ++step) {
    node_change change;
    const std::uint64_t kind = nodes.empty() ? 0 : random.below(nodes.size() < most_nodes ? 4 : 3);
    const double weight = 0.1 * static_cast<double>(1 + random.below(30));
    if (kind == 0 || kind == 3) {
      change = {node_change::kind::came, static_cast<std::uint32_t>(nodes.size()), {}};
      // Now and then a node with the hash of another: same points, and the one given first comes first.
      const bool twin = !nodes.empty() && random.chance(1, 10);
      nodes.push_back({twin ? nodes[random.below(nodes.size())].hash : random.below(~std::uint64_t{0}), weight});
    } else {
      const auto at = static_cast<std::uint32_t>(random.below(nodes.size()));
      change = {kind == 1 ? node_change::kind::went : node_change::kind::reweighed, at, nodes[at]};
      if (kind == 1) {
        nodes.erase(nodes.begin() + at);
      } else {
        nodes[at].weight = weight;
      }
    }
    circle = detail::changed_ring_points(circle, change, nodes, points, "points");
    CAPTURE(seed, step, nodes.size(), points);
    REQUIRE(differences(circle, detail::ring_points(nodes, points, "points")) == 0);
  }
}

TEST_CASE("a changed circle is the circle built anew", "[hashing][ring_change]") {
  const std::uint64_t seed = banyan::testing::derived_seed("ring: changes");
  drive(seed, 1, 5, 300);
  drive(seed + 1, 7, 40, 600);
  drive(seed + 2, 160, 20, 200);
}

// Enough points that many share their position with another node's, and some with one of their own node.
TEST_CASE("a changed circle orders points on one position as one built anew", "[hashing][ring_change]") {
  const std::uint64_t seed = banyan::testing::derived_seed("ring: crowded");
  CAPTURE(seed);
  std::vector<weighted_hash> nodes{{seed, 1}, {seed ^ 0xffff, 1}};
  constexpr std::uint32_t points = 300'000;
  detail::point_circle circle = detail::ring_points(nodes, points, "points");
  std::size_t shared = 0;
  for (std::size_t i = 1; i < circle.size(); ++i) shared += circle.position(i) == circle.position(i - 1) ? 1U : 0U;
  REQUIRE(shared > 10);
  const auto same = [&] { return differences(circle, detail::ring_points(nodes, points, "points")) == 0; };
  nodes.push_back({seed ^ 0xff00ff, 1});
  circle = detail::changed_ring_points(circle, {node_change::kind::came, 2, {}}, nodes, points, "points");
  CHECK(same());
  nodes[0].weight = 0.5;
  circle = detail::changed_ring_points(circle, {node_change::kind::reweighed, 0, {seed, 1}}, nodes, points, "points");
  CHECK(same());
  const weighted_hash gone = nodes[1];
  nodes.erase(nodes.begin() + 1);
  circle = detail::changed_ring_points(circle, {node_change::kind::went, 1, gone}, nodes, points, "points");
  CHECK(same());
}

template <class Table>
void changes_by_name() {
  Table table;
  const std::optional<Table> one = table.with("a");
  REQUIRE(one.has_value());
  CHECK(one->find(1) == "a");
  CHECK(table.empty());
  CHECK_FALSE(one->with("a", 2).has_value());
  CHECK_FALSE(one->without("b").has_value());
  CHECK_FALSE(one->reweighed("b", 2).has_value());
  CHECK_THROWS_AS(one->with("b", -1), std::invalid_argument);
  CHECK_THROWS_AS(one->reweighed("a", 0), std::invalid_argument);
  table = *one->with("b", 0.5)->with("c")->without("a")->reweighed("b", 3);
  table.add("d", 2);
  table.remove("c");
  table.set_weight("d", 0.2);
  const Table anew{{{"d", 0.2}, {"b", 3.0}}};
  for (int key = 0; key < 2000; ++key) REQUIRE(table.find_n(key, 2) == anew.find_n(key, 2));
  table.remove("b");
  table.remove("d");
  CHECK(table.find(1) == std::nullopt);
}

TEST_CASE("tables that were changed answer as those built anew", "[hashing][ring_change]") {
  changes_by_name<banyan::ring_table<std::string>>();
  changes_by_name<banyan::multi_probe<std::string>>();
}

}  // namespace
