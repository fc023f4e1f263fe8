#include <banyan/shard/composite_router.hpp>
#include <banyan/shard/directory_router.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/range_router.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "shard/refusal.hpp"
#include "support/catch.hpp"

namespace {

using banyan::no_shard;
using banyan::testing::ids;
using banyan::testing::refused_field;
using banyan::testing::shards_of;
using names = banyan::hash_router<std::string>;
using tenants = banyan::directory_router<std::string, names>;
using orders = banyan::hash_router<std::uint64_t>;
using composite = banyan::composite_router<tenants, orders>;

static_assert(banyan::router_for<composite, std::pair<std::string_view, std::uint64_t>>);

tenants by_name() { return tenants{names::modulo(3)}.isolate("acme", 100); }

TEST_CASE("small tenants whole on a shard, a big one over several", "[shard][composite]") {
  const orders inside = orders::consistent({20, 21, 22});
  const composite router{by_name(), {{100, inside}}};
  CHECK(shards_of(router) == ids{0, 1, 2, 20, 21, 22});
  const auto home = names::modulo(3).route("globex");
  ids seen;
  for (std::uint64_t order = 0; order < 100; ++order) {
    CHECK(router.route("globex", order) == home);
    CHECK(router.route("acme", order) == inside.route(order));
    seen.push_back(router.route(std::pair{std::string_view{"acme"}, order}));
  }
  CHECK(banyan::detail::distinct_shards(seen) == ids{20, 21, 22});
  CHECK(router.shards_of("acme") == ids{20, 21, 22});
  CHECK(router.shards_of("globex") == ids{home});
  const banyan::composite_router<banyan::directory_router<int>, orders> nobody{{}};
  CHECK(nobody.route(1, 2U) == no_shard);
  CHECK(nobody.shards_of(1).empty());
}

TEST_CASE("groups come, go and change", "[shard][composite]") {
  const composite old{by_name()};
  CHECK(old.route("acme", 7U) == 100);
  const composite spread = old.assign(100, orders::consistent({20, 21}));
  CHECK(spread.version() == 2);
  CHECK(spread.shards_of("acme") == ids{20, 21});
  CHECK(spread.assign(100, orders::modulo(1)).shards_of("acme") == ids{0});
  CHECK(spread.release(100).route("acme", 7U) == 100);
  const composite renamed = spread.with_tenants(by_name().assign("globex", 100));
  CHECK(renamed.version() == 3);
  CHECK(renamed.shards_of("globex") == ids{20, 21});
  CHECK(refused_field([&] { return spread.with_tenants(tenants{names::modulo(3)}); }) == "composite_router.group");
  CHECK(refused_field([&] { return old.assign(7, orders::modulo(1)); }) == "composite_router.group");
  CHECK(refused_field([&] { return old.release(100); }) == "composite_router.group");
  CHECK(refused_field([&] {
          return composite{by_name(), {{100, orders::modulo(1)}, {100, orders::modulo(2)}}};
        }) == "composite_router.group");
}

}  // namespace
