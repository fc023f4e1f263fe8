#include <banyan/shard/geo_router.hpp>
#include <banyan/shard/router.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "shard/refusal.hpp"
#include "support/catch.hpp"

namespace {

using banyan::geo_options;
using banyan::geo_point;
using banyan::geo_router;
using banyan::no_shard;
using banyan::testing::ids;
using banyan::testing::infinity;
using banyan::testing::not_a_number;
using banyan::testing::refused_field;
using banyan::testing::shards_of;

static_assert(banyan::router_for<geo_router, std::string_view>);
static_assert(banyan::router_for<geo_router, geo_point>);

constexpr geo_point frankfurt{50.1, 8.7};
constexpr geo_point virginia{39.0, -77.5};
constexpr geo_point zurich{47.4, 8.5};
constexpr geo_point sydney{-33.9, 151.2};
constexpr geo_point dublin{53.3, -6.3};

// Shards 0 and 4 are in the European Union, 2 is not.
geo_options world() {
  return {.shards = {{2, zurich}, {0, frankfurt}, {1, virginia}, {3, sydney}, {4, dublin}},
          .regions = {{"EU", {50, 10}},
                      {"DE", {51, 10}, "EU"},
                      {"DE-BW", {48.5, 9}, "DE"},
                      {"IE", {53, -8}, "EU"},
                      {"CH", {46.8, 8.2}},
                      {"US", {39, -98}},
                      {"NZ", {-41, 174}},
                      {"FJ", {-17.7, 178}},
                      {"TO", {-21.2, -175.2}}},
          .rules = {{"EU", {0, 4}}, {"IE", {4, 1}}}};
}

TEST_CASE("the nearest shard, if the rules allow it", "[shard][geo]") {
  const geo_router router{world()};
  CHECK(router.route("US") == 1);
  CHECK(router.route("NZ") == 3);
  CHECK(router.route("CH") == 2);
  CHECK(router.route("DE") == 0);
  CHECK(router.route("DE-BW") == 0);  // Zurich is nearer, but the Union's rule holds two levels down
  CHECK(router.route("IE") == 4);     // both rules together: only Dublin is in both
  CHECK(router.route("XX") == no_shard);
  CHECK(router.route("de") == no_shard);
  CHECK(router.route("") == no_shard);
  CHECK(shards_of(router) == ids{0, 1, 2, 3, 4});
}

TEST_CASE("the date line and the poles are no edges", "[shard][geo]") {
  const geo_router router{{.shards = {{0, {0, 170}}, {1, {0, -100}}, {2, {80, 0}}}, .regions = {}}};
  CHECK(router.route(geo_point{0, -175}) == 0);
  CHECK(router.route(geo_point{0, 180}) == 0);
  CHECK(router.route(geo_point{0, -180}) == 0);
  CHECK(router.route(geo_point{85, 179}) == 2);
  const geo_router pacific{world()};
  CHECK(pacific.route("FJ") == 3);
  CHECK(pacific.route("TO") == 3);
}

TEST_CASE("residency wins over distance and over availability", "[shard][geo]") {
  const geo_router router{world()};
  CHECK(router.route("DE", geo_point{47.7, 9.2}) == 0);
  CHECK(router.route("DE", geo_point{53.3, -6.0}) == 4);  // a German user in Dublin
  CHECK(router.route("DE", sydney) != 3);
  CHECK(router.route("CH", geo_point{47.7, 9.2}) == 2);
  CHECK(router.route(geo_point{48.4, 9.0}) == 0);  // nearest to Baden-Württemberg's point, so the Union's rule
  CHECK(router.route(geo_point{46.9, 8.0}) == 2);
  const geo_router without = router.close(0);
  CHECK(without.version() == 2);
  CHECK(without.route("DE") == 4);
  CHECK(without.route(frankfurt) == 4);
  CHECK(shards_of(without) == ids{1, 2, 3, 4});
  const geo_router neither = without.close(4);
  CHECK(neither.route("DE") == no_shard);
  CHECK(neither.route("DE", frankfurt) == no_shard);
  CHECK(neither.route(frankfurt) == no_shard);
  CHECK(neither.route("US") == 1);
  CHECK(neither.close(2).route("CH") == 1);  // no rule: the next nearest
  CHECK(neither.close(4).version() == 4);
  CHECK(neither.open(0).route("DE") == 0);
  CHECK(router.route("DE") == 0);
}

TEST_CASE("equally near: the lowest number", "[shard][geo]") {
  const geo_router router{{.shards = {{5, zurich}, {4, zurich}}, .regions = {{"CH", zurich}}}};
  CHECK(router.route("CH") == 4);
  CHECK(router.route(zurich) == 4);
  CHECK(router.with_version(8).version() == 8);
}

TEST_CASE("what is not on Earth has no shard", "[shard][geo]") {
  const geo_router router{world()};
  for (const geo_point p : {geo_point{not_a_number, 0}, geo_point{0, not_a_number}, geo_point{90.1, 0},
                            geo_point{0, -180.1}, geo_point{infinity, infinity}}) {
    CHECK(router.route(p) == no_shard);
    CHECK(router.route("US", p) == no_shard);
    CHECK(refused_field([&] { return geo_router{{.shards = {{0, p}}}}; }) == "geo_shard.at");
    CHECK(refused_field([&] {
            return geo_router{{.shards = {{0, zurich}}, .regions = {{"A", p}}}};
          }) == "geo_region.at");
  }
}

TEST_CASE("geo routers refuse what makes no sense", "[shard][geo]") {
  const auto refused = [](auto change) {
    geo_options options = world();
    change(options);
    return refused_field([&] { return geo_router{options}; });
  };
  CHECK(refused([](geo_options&) {}).empty());
  CHECK(refused([](geo_options& o) { o.shards.clear(); }) == "geo_options.shards");
  CHECK(refused([](geo_options& o) { o.shards.push_back({2, zurich}); }) == "geo_options.shards");
  CHECK(refused([](geo_options& o) { o.shards.push_back({no_shard, zurich}); }) == "geo_options.shards");
  CHECK(refused([](geo_options& o) { o.regions.push_back({"", zurich}); }) == "geo_region.code");
  CHECK(refused([](geo_options& o) { o.regions.push_back({"DE", zurich}); }) == "geo_region.code");
  CHECK(refused([](geo_options& o) { o.regions.push_back({"FR", zurich, "Europe"}); }) == "geo_region.within");
  CHECK(refused([](geo_options& o) { o.regions[0].within = "DE-BW"; }) == "geo_region.within");
  CHECK(refused([](geo_options& o) { o.regions[0].within = "EU"; }) == "geo_region.within");
  CHECK(refused([](geo_options& o) { o.rules.push_back({"FR", {0}}); }) == "residency_rule.code");
  CHECK(refused([](geo_options& o) { o.rules.push_back({"EU", {0}}); }) == "residency_rule.code");
  CHECK(refused([](geo_options& o) { o.rules.push_back({"US", {7}}); }) == "residency_rule.allowed");
  CHECK(refused([](geo_options& o) { o.rules.push_back({"US", {}}); }) == "residency_rule.allowed");
  CHECK(refused([](geo_options& o) { o.rules.push_back({"DE", {1}}); }) == "residency_rule.allowed");
  CHECK(refused_field([] { return geo_router{world()}.close(9); }) == "geo_router.shard");
  CHECK(refused_field([] { return geo_router{world()}.open(9); }) == "geo_router.shard");
}

}  // namespace
