#include <banyan/hashing/siphash.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/router.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shard/refusal.hpp"
#include "support/catch.hpp"

namespace {

using banyan::hash_router;
using banyan::no_shard;
using banyan::testing::ids;
using banyan::testing::refused_field;
using banyan::testing::shards_of;
using numbers = hash_router<std::uint64_t>;

static_assert(banyan::router_for<numbers, std::uint64_t>);
static_assert(banyan::router_for<hash_router<std::string>, std::string_view>);
static_assert(banyan::router_for<hash_router<std::string_view>, std::string>);
static_assert(banyan::router_for<numbers, int>);
static_assert(!banyan::router_for<hash_router<std::string>, int>);
static_assert(!banyan::router_for<numbers, std::string>);

// Keys that change their shard, and of these the ones that go elsewhere than to `newcomer`.
struct movement {
  double moved = 0;
  int between_others = 0;
};

movement moved(const numbers& old, const numbers& fresh, banyan::shard_id newcomer) {
  constexpr int keys = 40'000;
  int changed = 0;
  int between_others = 0;
  for (std::uint64_t key = 0; key < keys; ++key) {
    if (old.route(key) == fresh.route(key)) continue;
    ++changed;
    if (fresh.route(key) != newcomer) ++between_others;
  }
  return {changed / static_cast<double>(keys), between_others};
}

TEST_CASE("all shards get keys, and what moves is what each way promises", "[shard][hash]") {
  const numbers modulo = numbers::modulo(3);
  const numbers numbered = numbers::numbered(3);
  const numbers ring = numbers::consistent({0, 1, 2});
  for (const numbers* router : {&modulo, &numbered, &ring}) {
    CHECK(shards_of(*router) == ids{0, 1, 2});
    CHECK(router->version() == 1);
    std::vector<int> seen(3);
    for (std::uint64_t key = 0; key < 30'000; ++key) ++seen.at(router->route(key));
    for (const int count : seen) CHECK(count > 7000);
    const numbers grown = router->add(3);
    CHECK(grown.version() == 2);
    CHECK(shards_of(grown) == ids{0, 1, 2, 3});
    CHECK(moved(*router, grown.remove(3), 0).moved == 0);
  }
  CHECK(moved(modulo, modulo.add(3), 3).moved > 0.74);
  CHECK(moved(modulo, modulo.add(3), 3).moved < 0.76);
  const movement jump = moved(numbered, numbered.add(3), 3);
  CHECK(jump.moved > 0.24);
  CHECK(jump.moved < 0.26);
  CHECK(jump.between_others == 0);
  const movement arc = moved(ring, ring.add(3), 3);
  CHECK(arc.moved > 0.18);
  CHECK(arc.moved < 0.32);
  CHECK(arc.between_others == 0);
}

TEST_CASE("a ring of shards has weights and holes", "[shard][hash]") {
  const numbers ring = numbers::consistent({{10, 1.0}, {20, 3.0}});
  CHECK(shards_of(ring) == ids{10, 20});
  int heavy = 0;
  for (std::uint64_t key = 0; key < 20'000; ++key) heavy += ring.route(key) == 20 ? 1 : 0;
  CHECK(heavy > 13'000);
  CHECK(heavy < 17'000);
  const numbers fewer = ring.add(15).remove(10);
  CHECK(shards_of(fewer) == ids{15, 20});
  CHECK(fewer.version() == 3);
  CHECK(fewer.shards_with_weights()[0].weight == 3);
  const movement away = moved(ring, fewer.add(10), 15);
  CHECK(away.between_others == 0);
  CHECK(numbers::modulo(5).remove(2).route(0) != 2);
}

TEST_CASE("routes stay what they were", "[shard][hash]") {
  using texts = hash_router<std::string>;
  std::string all;
  for (const texts& router : {texts::modulo(7), texts::numbered(7), texts::consistent({0, 1, 2, 3, 4, 5, 6})}) {
    for (int i = 0; i < 30; ++i) all += std::to_string(router.route("user:" + std::to_string(i)));
    all += ' ';
    CHECK(router.route(std::string_view{"user:0"}) == router.route("user:0"));
    CHECK(router.route("user:0") == router.route_hash(banyan::hash_of("user:0")));
  }
  CHECK(all ==
        "313131056644660531045535546520 100630162205021435445606263300 "
        "405022642561124530644352230550 ");
  const auto secret = hash_router<std::string, banyan::siphash>::modulo(7, {1, 2});
  const auto other = hash_router<std::string, banyan::siphash>::modulo(7, {1, 3});
  int different = 0;
  for (int i = 0; i < 100; ++i) different += secret.route(std::to_string(i)) != other.route(std::to_string(i)) ? 1 : 0;
  CHECK(different > 60);
}

TEST_CASE("hash routers refuse what makes no sense", "[shard][hash]") {
  CHECK(refused_field([] { return numbers::modulo(0); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::modulo(no_shard); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::numbered(0); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::consistent({}); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::consistent({1, 2, 1}); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::consistent({1, no_shard}); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::consistent({{1, 0.0}}); }) == "weight");
  CHECK(refused_field([] { return numbers::consistent({{1, -1.0}}); }) == "weight");
  CHECK(refused_field([] { return numbers::consistent({{1, banyan::testing::not_a_number}}); }) == "weight");
  CHECK(refused_field([] { return numbers::consistent({{1, banyan::testing::infinity}}); }) == "weight");
  CHECK(refused_field([] { return numbers::consistent({1}, {.points_per_node = 0}); }) ==
        "ring_options.points_per_node");
  CHECK(refused_field([] { return numbers::modulo(3).add(1); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::modulo(3).add(3, 2); }) == "hash_router.weight");
  CHECK(refused_field([] { return numbers::modulo(3).add(no_shard); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::modulo(3).remove(3); }) == "hash_router.shard");
  CHECK(refused_field([] { return numbers::modulo(1).remove(0); }) == "hash_router.shards");
  CHECK(refused_field([] { return numbers::numbered(3).remove(1); }) == "hash_router.shard");
  CHECK(refused_field([] { return numbers::numbered(3).remove(2); }).empty());
}

}  // namespace
