#include <banyan/shard/any_router.hpp>
#include <banyan/shard/entity_router.hpp>
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
using any = banyan::any_router<std::uint64_t>;
using ranges = banyan::range_router<std::uint64_t>;
using hashes = banyan::hash_router<std::uint64_t>;
using entities = banyan::entity_router<std::string, any>;

static_assert(banyan::router_for<entities, std::pair<std::string_view, std::uint64_t>>);

TEST_CASE("each kind by a router of its own", "[shard][entity]") {
  const hashes users = hashes::consistent({10, 11});
  const entities router{{{"user", users}, {"invoice", ranges{{2000}, {1, 2}}}}};
  CHECK(router.route("invoice", 1999U) == 1);
  CHECK(router.route(std::string_view{"invoice"}, 2000U) == 2);
  CHECK(router.route("user", 5U) == users.route(5U));
  CHECK(router.route(std::pair{std::string_view{"user"}, std::uint64_t{5}}) == users.route(5U));
  CHECK(router.route("session", 5U) == no_shard);
  CHECK(router.find("session") == nullptr);
  CHECK(shards_of(router) == ids{1, 2, 10, 11});
  const entities open{{{"user", users}}, any{ranges{{}, {99}}}};
  CHECK(open.route("session", 5U) == 99);
  CHECK(shards_of(open) == ids{10, 11, 99});
}

TEST_CASE("kinds come, go and change", "[shard][entity]") {
  const entities old{{{"user", ranges{{}, {1}}}}};
  const entities more = old.assign("basket", ranges{{}, {5}});
  CHECK(more.version() == 2);
  CHECK(more.route("basket", 1U) == 5);
  CHECK(old.route("basket", 1U) == no_shard);
  CHECK(more.assign("user", ranges{{}, {8}}).route("user", 0U) == 8);
  CHECK(shards_of(more.release("user")) == ids{5});
  CHECK(more.with_version(20).version() == 20);
  CHECK(refused_field([&] { return more.release("zebra"); }) == "entity_router.kind");
  CHECK(refused_field([&] { return more.release("a"); }) == "entity_router.kind");
  CHECK(refused_field([&] {
          return entities{{{"user", ranges{{}, {1}}}, {"basket", ranges{}}, {"user", ranges{}}}};
        }) == "entity_router.kind");
}

enum class kind { user, order };

TEST_CASE("kinds may be an enumeration", "[shard][entity]") {
  const banyan::entity_router<kind, hashes> router{{{kind::order, hashes::modulo(1)}}};
  CHECK(router.route(kind::order, 7U) == 0);
  CHECK(router.route(kind::user, 7U) == no_shard);
}

}  // namespace
