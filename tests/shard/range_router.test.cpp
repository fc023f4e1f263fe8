#include <banyan/shard/range_router.hpp>
#include <banyan/shard/router.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shard/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::no_shard;
using banyan::range_router;
using banyan::shard_id;
using banyan::testing::ids;
using banyan::testing::refused_field;
using banyan::testing::shards_of;
using numbers = range_router<std::uint64_t>;

static_assert(banyan::router_for<numbers, std::uint64_t>);
static_assert(banyan::router_for<range_router<std::string>, std::string_view>);
static_assert(!banyan::router_for<range_router<std::string>, int>);
static_assert(noexcept(std::declval<const numbers&>().route(7)));

TEST_CASE("a boundary belongs to the range above it", "[shard][range]") {
  const numbers by_id{{1'000'000, 2'000'000}};
  CHECK(by_id.route(0) == 0);
  CHECK(by_id.route(999'999) == 0);
  CHECK(by_id.route(1'000'000) == 1);
  CHECK(by_id.route(1'500'000) == 1);
  CHECK(by_id.route(2'000'000) == 2);
  CHECK(by_id.route(~std::uint64_t{0}) == 2);
  CHECK(shards_of(by_id) == ids{0, 1, 2});
  CHECK(by_id.version() == 1);
  CHECK(by_id.with_version(9).version() == 9);
  CHECK(numbers{}.route(5) == 0);
  CHECK(numbers{}.route_range(1, 2) == ids{0});
  CHECK(range_router<std::uint32_t>{{10}, {5, 6}}.route(10U) == 6);  // keys of the type of shards
  CHECK(range_router<std::string>{{"g", "p"}}.route(std::string_view{"h"}) == 1);
  CHECK(range_router<std::string>{{"g"}}.route("a") == 0);
  CHECK(range_router<int>{{-5, 5}}.route(-6) == 0);
  CHECK(range_router{std::vector<int>{3}}.route(3) == 1);
}

TEST_CASE("range queries give the shards touched, in key order", "[shard][range]") {
  const numbers by_id{{100, 200, 300}};
  CHECK(by_id.route_range(50, 150) == ids{0, 1});
  CHECK(by_id.route_range(100, 200) == ids{1});
  CHECK(by_id.route_range(100, 201) == ids{1, 2});
  CHECK(by_id.route_range(0, ~std::uint64_t{0}) == ids{0, 1, 2, 3});
  CHECK(by_id.route_range(150, 150).empty());
  CHECK(by_id.route_range(200, 100).empty());
  CHECK(by_id.route_between(100, 200) == ids{1, 2});
  CHECK(by_id.route_between(200, 200) == ids{2});
  CHECK(by_id.route_between(201, 200).empty());
  CHECK(by_id.route_from(250) == ids{2, 3});
  CHECK(by_id.route_from(300) == ids{3});
  CHECK(by_id.route_until(200) == ids{0, 1});
  CHECK(by_id.route_until(201) == ids{0, 1, 2});
  const numbers chunks{{100, 200, 300}, {7, 3, 7, 1}};
  CHECK(chunks.route_range(0, 1000) == ids{7, 3, 1});
  CHECK(shards_of(chunks) == ids{1, 3, 7});
}

TEST_CASE("split, merge, reassign give new routers", "[shard][range]") {
  const numbers old{{100, 200}};
  const numbers cut = old.split(150, 7);
  CHECK(cut.version() == 2);
  CHECK(old.version() == 1);
  CHECK(old.route(160) == 1);
  CHECK(cut.route(149) == 1);
  CHECK(cut.route(150) == 7);
  CHECK(cut.route(199) == 7);
  CHECK(cut.route(200) == 2);
  CHECK(shards_of(cut) == ids{0, 1, 2, 7});
  const numbers back = cut.merge(150);
  CHECK(back.route(160) == 1);
  CHECK(back.version() == 3);
  CHECK(back.boundaries() == old.boundaries());
  CHECK(old.split(5, 9).route(4) == 0);
  CHECK(old.split(500, 9).route(499) == 2);
  CHECK(old.split(500, 9).route(500) == 9);
  const numbers moved = old.reassign(150, 0);
  CHECK(moved.route(150) == 0);
  CHECK(shards_of(moved) == ids{0, 2});
  const auto ranges = cut.ranges();
  REQUIRE(ranges.size() == 4);
  CHECK(ranges[0] == numbers::range{std::nullopt, 100, 0});
  CHECK(ranges[2] == numbers::range{150, 200, 7});
  CHECK(ranges[3] == numbers::range{200, std::nullopt, 2});
}

TEST_CASE("ranges refuse what makes no sense, and nothing changes", "[shard][range]") {
  const std::string boundaries = "range_router.boundaries";
  CHECK(refused_field([] { return numbers{{2, 1}}; }) == boundaries);
  CHECK(refused_field([] { return numbers{{1, 1}}; }) == boundaries);
  CHECK(refused_field([] { return numbers{{1, 2, 2, 3}}; }) == boundaries);
  CHECK(refused_field([] { return range_router<std::string>{{"b", "a"}}; }) == boundaries);
  CHECK(refused_field([] { return range_router<double>{{banyan::testing::not_a_number}}; }) == boundaries);
  CHECK(refused_field([] { return range_router<double>{{1.0, banyan::testing::not_a_number, 3.0}}; }) == boundaries);
  CHECK(refused_field([] { return numbers{{1}, {0}}; }) == "range_router.owners");
  CHECK(refused_field([] { return numbers{{1}, {0, 1, 2}}; }) == "range_router.owners");
  CHECK(refused_field([] { return numbers{{1}, {0, no_shard}}; }) == "range_router.owners");
  const numbers old{{100, 200}};
  CHECK(refused_field([&] { return old.split(100, 5); }) == boundaries);
  CHECK(refused_field([&] { return old.split(150, no_shard); }) == "range_router.owners");
  CHECK(refused_field([&] { return old.merge(150); }) == boundaries);
  CHECK(refused_field([&] { return old.merge(500); }) == boundaries);
  CHECK(refused_field([&] { return old.reassign(150, no_shard); }) == "range_router.owners");
  CHECK(old.version() == 1);
  const range_router<double> reals{{0.5}};
  CHECK(reals.route(banyan::testing::not_a_number) == no_shard);
  CHECK(reals.route(banyan::testing::infinity) == 1);
  CHECK(reals.route(-banyan::testing::infinity) == 0);
}

TEST_CASE("any number of boundaries", "[shard][range]") {
  std::vector<int> boundaries;
  for (int count = 0; count < 400; ++count) {
    const range_router<int> router{boundaries};
    bool right = true;
    for (int key = -2; key <= 2 * count + 2; ++key) {
      const auto expected = std::upper_bound(boundaries.begin(), boundaries.end(), key) - boundaries.begin();
      right = right && router.route(key) == static_cast<shard_id>(expected);
    }
    REQUIRE(right);
    boundaries.push_back(2 * count);
  }
  std::vector<std::string> words;
  for (char c = 'a'; c <= 'z'; ++c) words.emplace_back(1, c);
  const range_router<std::string> alphabet{words};
  for (char c = 'a'; c <= 'z'; ++c) {
    CHECK(alphabet.route(std::string_view{&c, 1}) == static_cast<shard_id>(c - 'a' + 1));
  }
}

TEST_CASE("routes agree with a map of boundaries", "[shard][range]") {
  const std::uint64_t seed = banyan::testing::derived_seed("range_router against std::map");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 200; ++round) {
    std::map<std::uint64_t, shard_id> model{{0, 0}};
    numbers router{{}, {0}};
    const auto range = 1 + random.below(300);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(round) % 40; ++i) {
      const std::uint64_t boundary = 1 + random.below(range);
      if (model.count(boundary) != 0) continue;
      const auto owner = static_cast<shard_id>(random.below(12));
      model[boundary] = owner;
      router = router.split(boundary, owner);
    }
    const auto model_of = [&](std::uint64_t key) { return std::prev(model.upper_bound(key))->second; };
    bool same = true;
    for (std::uint64_t key = 0; key < range + 3; ++key) same = same && router.route(key) == model_of(key);
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t first = random.below(range + 2);
      const std::uint64_t last = random.below(range + 2);
      ids expected;
      for (std::uint64_t key = first; key < last; ++key) {
        if (std::find(expected.begin(), expected.end(), model_of(key)) == expected.end())
          expected.push_back(model_of(key));
      }
      same = same && router.route_range(first, last) == expected;
      if (last > 0 && first < last) same = same && router.route_between(first, last - 1) == expected;
    }
    REQUIRE(same);
  }
}

}  // namespace
