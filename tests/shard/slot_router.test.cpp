#include <banyan/shard/router.hpp>
#include <banyan/shard/slot_router.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shard/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::no_shard;
using banyan::shard_id;
using banyan::slot_router;
using banyan::testing::ids;
using banyan::testing::refused_field;
using banyan::testing::shards_of;
using slots = std::vector<banyan::slot_range>;

static_assert(banyan::router_for<slot_router, std::string>);
static_assert(banyan::router_for<slot_router, std::string_view>);

int slots_that_differ(const slot_router& a, const slot_router& b) {
  int count = 0;
  for (std::uint16_t slot = 0; slot < 16'384; ++slot) count += a.route_slot(slot) != b.route_slot(slot) ? 1 : 0;
  return count;
}

TEST_CASE("slots are dealt out as redis-cli does", "[shard][slot]") {
  CHECK(slot_router::even(3).ranges() == slots{{0, 5460, 0}, {5461, 10'922, 1}, {10'923, 16'383, 2}});
  CHECK(slot_router::even(1).ranges() == slots{{0, 16'383, 0}});
  CHECK(slot_router::even(16'384).ranges().size() == 16'384);
  CHECK(slot_router::even(16'384).covers_all());
  for (const std::uint32_t count : {2U, 7U, 100U, 5000U, 12'345U}) {
    const slot_router router = slot_router::even(count);
    CHECK(router.shards().size() == count);
    CHECK(router.covers_all());
  }
}

TEST_CASE("keys go by their slot, keys of one tag together", "[shard][slot]") {
  const slot_router router = slot_router::even(3);
  CHECK(router.route("foo") == 2);  // slot 12182
  CHECK(router.route("{user1000}.following") == router.route("{user1000}.followers"));
  CHECK(router.route("user1000") == router.route("{user1000}.x"));
  CHECK(router.route(std::string_view{}) == 0);
  CHECK(router.route_slot(16'384) == no_shard);
  CHECK(router.version() == 1);
}

TEST_CASE("slots are assigned, moved, released and spread", "[shard][slot]") {
  const slot_router old = slot_router::even(3);
  const slot_router one = old.assign({100, 200, 9});
  CHECK(one.version() == 2);
  CHECK(one.route_slot(100) == 9);
  CHECK(one.route_slot(200) == 9);
  CHECK(one.route_slot(201) == 0);
  CHECK(shards_of(one) == ids{0, 1, 2, 9});
  CHECK(old.route_slot(100) == 0);
  const slot_router moved = old.move_slots(0, 9, 61);
  CHECK(moved.slot_count(0) == 5400);
  CHECK(moved.ranges()[1] == banyan::slot_range{5400, 5460, 9});
  CHECK(shards_of(old.move_slots(1, 2, 5462)) == ids{0, 2});
  const slot_router holed = old.release(0, 99);
  CHECK(holed.route_slot(99) == no_shard);
  CHECK_FALSE(holed.covers_all());
  CHECK(holed.slot_count(no_shard) == 100);
  CHECK(shards_of(holed) == ids{0, 1, 2});
  CHECK(holed.spread_over({0, 1, 2}).covers_all());
  const slot_router partial = slot_router::partial({{0, 10, 4}});
  CHECK(partial.route_slot(11) == no_shard);
  CHECK(partial.with_version(5).version() == 5);
  const slot_router grown = old.spread_over({0, 1, 2, 3});
  CHECK(slots_that_differ(old, grown) == 4096);
  for (const shard_id id : grown.shards()) CHECK(grown.slot_count(id) == 4096);
  const slot_router fewer = old.spread_over({0, 2});
  CHECK(slots_that_differ(old, fewer) == 5462);
}

TEST_CASE("spreading moves the fewest slots that even counts allow", "[shard][slot]") {
  const std::uint64_t seed = banyan::testing::derived_seed("slot_router spread_over");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  slot_router now = slot_router::even(5);
  for (int round = 0; round < 40; ++round) {
    ids shards;
    for (shard_id id = 0; id < 30; ++id) {
      if (random.below(3) == 0) shards.push_back(id);
    }
    if (shards.empty()) continue;
    if (round % 3 == 0)
      now = now.move_slots(now.shards()[0], 77,
                           1 + static_cast<std::uint32_t>(random.below(500)) % now.slot_count(now.shards()[0]));
    const slot_router next = now.spread_over(shards);
    std::uint32_t kept = 0;
    std::uint32_t odd = static_cast<std::uint32_t>(16'384 % shards.size());
    const auto part = static_cast<std::uint32_t>(16'384 / shards.size());
    bool even = next.covers_all() && shards_of(next) == shards;
    for (const shard_id id : shards) {
      even = even && (next.slot_count(id) == part || next.slot_count(id) == part + 1);
      const std::uint32_t had = now.slot_count(id);
      if (had > part && odd > 0) {
        --odd;
        kept += part + 1;
      } else {
        kept += had < part ? had : part;
      }
    }
    REQUIRE(even);
    REQUIRE(slots_that_differ(now, next) == 16'384 - static_cast<int>(kept));
    now = next;
  }
}

TEST_CASE("slot routers refuse what makes no sense", "[shard][slot]") {
  const auto refused = [](const slots& ranges) { return refused_field([&] { return slot_router{ranges}; }); };
  CHECK(refused({}) == "slot_router.ranges");
  CHECK(refused({{0, 16'382, 0}}) == "slot_router.ranges");
  CHECK(refused({{0, 100, 0}, {102, 16'383, 1}}) == "slot_router.ranges");
  CHECK(refused({{0, 100, 0}, {100, 16'383, 1}}) == "slot_router.ranges");
  CHECK(refused({{0, 16'384, 0}}) == "slot_range.last");
  CHECK(refused({{5, 4, 0}}) == "slot_range.first");
  CHECK(refused({{0, 16'383, no_shard}}) == "slot_range.shard");
  CHECK(refused({{0, 16'383, 0}}).empty());
  CHECK(refused_field([] { return slot_router::even(0); }) == "slot_router.shards");
  CHECK(refused_field([] { return slot_router::even(16'385); }) == "slot_router.shards");
  const slot_router old = slot_router::even(2);
  CHECK(refused_field([&] { return old.assign({3, 2, 0}); }) == "slot_range.first");
  CHECK(refused_field([&] { return old.assign({3, 5, no_shard}); }) == "slot_range.shard");
  CHECK(refused_field([&] { return old.release(0, 16'384); }) == "slot_range.last");
  CHECK(refused_field([&] { return old.move_slots(0, 1, 8193); }) == "slot_router.count");
  CHECK(refused_field([&] { return old.move_slots(5, 1, 1); }) == "slot_router.count");
  CHECK(refused_field([&] { return old.move_slots(0, no_shard, 1); }) == "slot_router.to");
  CHECK(refused_field([&] { return old.move_slots(no_shard, 0, 0); }) == "slot_router.from");
  CHECK(refused_field([&] { return old.spread_over({}); }) == "slot_router.shards");
  CHECK(refused_field([&] { return old.spread_over({1, 1}); }) == "slot_router.shards");
  CHECK(refused_field([&] { return old.spread_over({no_shard}); }) == "slot_router.shards");
}

}  // namespace
