#include <banyan/shard/directory_router.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/router.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "shard/refusal.hpp"
#include "support/catch.hpp"

namespace {

using banyan::directory_router;
using banyan::no_shard;
using banyan::testing::ids;
using banyan::testing::refused_field;
using banyan::testing::shards_of;
using hashes = banyan::hash_router<std::string>;
using tenants = directory_router<std::string, hashes>;

static_assert(banyan::router_for<tenants, std::string>);
static_assert(banyan::router_for<tenants, std::string_view>);
static_assert(banyan::router_for<directory_router<int>, int>);

TEST_CASE("entries first, the fallback for the rest", "[shard][directory]") {
  const hashes by_hash = hashes::modulo(3);
  const tenants router{by_hash, {{"globex", 2}, {"acme", 9}}, {9}};
  CHECK(router.route("globex") == 2);
  CHECK(router.route(std::string_view{"acme"}) == 9);
  CHECK(router.route("initech") == by_hash.route("initech"));
  CHECK(shards_of(router) == ids{0, 1, 2, 9});
  CHECK(router.size() == 2);
  const directory_router<int> alone{{}, {{1, 5}, {2, 6}}, {5, 6}};
  CHECK(alone.route(1) == 5);
  CHECK(alone.route(3) == no_shard);
  CHECK(shards_of(alone) == ids{5, 6});
  CHECK(directory_router<int>{}.route(1) == no_shard);
}

TEST_CASE("a hot key gets a shard of its own, and loses it", "[shard][directory]") {
  const tenants old{hashes::modulo(3)};
  const tenants hot = old.isolate("acme", 9);
  CHECK(hot.version() == 2);
  CHECK(hot.route("acme") == 9);
  CHECK(shards_of(hot) == ids{0, 1, 2, 9});
  CHECK(old.route("acme") != 9);
  CHECK(old.size() == 0);
  // Nobody else is there.
  for (int i = 0; i < 1000; ++i) CHECK(hot.route("user:" + std::to_string(i)) < 3);
  const tenants moved = hot.assign("acme", 1).assign("globex", 9);
  CHECK(moved.route("acme") == 1);
  CHECK(moved.version() == 4);
  const tenants calm = hot.release("acme");
  CHECK(calm.route("acme") == old.route("acme"));
  CHECK(shards_of(calm) == ids{0, 1, 2});
  CHECK(calm.dedicated().size() == 1);
  CHECK(hot.isolate("globex", 9).route("globex") == 9);
}

TEST_CASE("entries stay when the fallback grows", "[shard][directory]") {
  const tenants old = tenants{hashes::modulo(3)}.isolate("acme", 9);
  const tenants grown = old.with_fallback(hashes::modulo(4));
  CHECK(grown.route("acme") == 9);
  CHECK(grown.version() == 3);
  CHECK(shards_of(grown) == ids{0, 1, 2, 3, 9});
  const tenants pinned{hashes::modulo(3), {{"globex", 2}}};
  CHECK(refused_field([&] { return pinned.with_fallback(hashes::modulo(2)); }) == "directory_router.shard");
  CHECK(refused_field([&] { return old.with_fallback(hashes::modulo(10)); }) == "directory_router.dedicated");
}

TEST_CASE("directories refuse what makes no sense", "[shard][directory]") {
  const hashes by_hash = hashes::modulo(3);
  CHECK(refused_field([&] { return tenants{by_hash, {{"acme", 3}}}; }) == "directory_router.shard");
  CHECK(refused_field([&] { return tenants{by_hash, {{"acme", no_shard}}}; }) == "directory_router.shard");
  CHECK(refused_field([&] { return tenants{by_hash, {{"acme", 1}, {"acme", 2}}}; }) == "directory_router.key");
  CHECK(refused_field([&] { return tenants{by_hash, {}, {2}}; }) == "directory_router.dedicated");
  CHECK(refused_field([&] { return tenants{by_hash, {}, {no_shard}}; }) == "directory_router.dedicated");
  CHECK(refused_field([] { return directory_router<int>{{}, {{1, 0}}}; }) == "directory_router.shard");
  const tenants router{by_hash};
  CHECK(refused_field([&] { return router.assign("acme", 3); }) == "directory_router.shard");
  CHECK(refused_field([&] { return router.release("acme"); }) == "directory_router.key");
  CHECK(refused_field([&] { return router.isolate("acme", 2); }) == "directory_router.dedicated");
  CHECK(refused_field([&] { return router.isolate("acme", no_shard); }) == "directory_router.dedicated");
  CHECK(router.version() == 1);
}

}  // namespace
