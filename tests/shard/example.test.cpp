#include <banyan/hashing.hpp>
#include <banyan/shard.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"

/// The examples of the documentation, as they are written there.

TEST_CASE("which shard, and what moves", "[shard][example]") {
  std::uint16_t slot = banyan::redis_slot("{user1000}.following");
  banyan::range_router<std::uint64_t> by_id{{1'000'000, 2'000'000}};  // three shards: 0, 1, 2
  CHECK(by_id.route(1'500'000) == 1);
  auto shards = by_id.route_range(900'000, 1'100'000);  // 0 and 1
  CHECK(shards == std::vector<banyan::shard_id>{0, 1});
  CHECK(banyan::slot_router::even(3).route("{user1000}.following") == banyan::slot_router::even(3).route_slot(slot));

  auto old_router = banyan::hash_router<std::string>::consistent({0, 1, 2});
  auto new_router = old_router.add(3);
  std::vector<std::string> sample_of_keys;
  for (int i = 0; i < 10'000; ++i) sample_of_keys.push_back("user:" + std::to_string(i));
  auto plan =
      banyan::plan_reshard(old_router, new_router, sample_of_keys);  // what moves, from where to where, how much
  CHECK(plan.moves.size() == 3);
  CHECK(plan.moved > 0.15);
  CHECK(plan.moved < 0.35);
  CHECK(plan.moved == plan.minimum);
}

TEST_CASE("who serves it", "[shard][example]") {
  struct pool {
    std::string address;
  };
  using router = banyan::hash_router<std::string>;
  banyan::shard_map<router, pool> map{router::consistent({0, 1}), {{0, pool{"db-0"}}, {1, pool{"db-1"}}}};
  std::uint64_t version = 0;
  {
    auto at = map.find("user:42");
    REQUIRE(at);
    CHECK(at->address == "db-" + std::to_string(at.shard()));
    version = at.version();
  }
  map.serve(2, pool{"db-2"});
  map.update([](const router& now) { return now.add(2); });
  auto again = map.find("user:42", version);
  CHECK(again.status() == banyan::shard_lookup::stale);
}

TEST_CASE("a router made of routers", "[shard][example]") {
  // Users by their hash, but for one that is on a shard of its own; its orders over three.
  using names = banyan::hash_router<std::string>;
  using orders = banyan::hash_router<std::uint64_t>;
  auto tenants = banyan::directory_router<std::string, names>{names::consistent({0, 1, 2})}.isolate("acme", 100);
  banyan::composite_router<decltype(tenants), orders> router{tenants, {{100, orders::consistent({20, 21, 22})}}};
  CHECK(router.route("acme", 4711U) >= 20);
  CHECK(router.route("globex", 4711U) < 3);
  CHECK(router.shards_of("acme").size() == 3);
}
