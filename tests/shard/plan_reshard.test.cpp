#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/plan_reshard.hpp>
#include <banyan/shard/range_router.hpp>
#include <banyan/shard/shard_map.hpp>
#include <banyan/shard/slot_router.hpp>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shard/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::no_shard;
using banyan::plan_reshard;
using banyan::shard_id;
using banyan::slot_router;
using banyan::testing::ids;
using banyan::testing::refused_field;
using hashes = banyan::hash_router<std::uint64_t>;
using ranges = banyan::range_router<std::uint64_t>;
using moved_range = banyan::moved_range<std::uint64_t>;

std::vector<std::uint64_t> keys_below(std::uint64_t count) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t key = 0; key < count; ++key) keys.push_back(key);
  return keys;
}

bool near(double a, double b, double margin = 1e-12) { return std::abs(a - b) <= margin; }

TEST_CASE("from 3 to 4 shards modulo moves three quarters, a ring and jump hashing a quarter", "[shard][plan]") {
  const auto sample = keys_below(40'000);
  const auto modulo = plan_reshard(hashes::modulo(3), hashes::modulo(4), sample);
  CHECK(near(modulo.moved, 0.75, 0.01));
  CHECK(near(modulo.minimum, 0.25, 0.01));
  CHECK(modulo.moves.size() == 9);  // 0, 1, 2 to each of the others
  CHECK(modulo.sampled == 40'000);
  CHECK(modulo.weighed);
  CHECK(modulo.margin > 0.004);
  CHECK(modulo.margin < 0.0045);
  const auto numbered = plan_reshard(hashes::numbered(3), hashes::numbered(3).add(3), sample);
  CHECK(near(numbered.moved, 0.25, 0.01));
  CHECK(near(numbered.moved, numbered.minimum));
  CHECK(numbered.old_version == 1);
  CHECK(numbered.new_version == 2);
  const hashes ring = hashes::consistent({0, 1, 2});
  const auto consistent = plan_reshard(ring, ring.add(3), sample);
  CHECK(near(consistent.moved, 0.25, 0.07));
  CHECK(near(consistent.moved, consistent.minimum));
  REQUIRE(consistent.moves.size() == 3);
  double sum = 0;
  double last = 1;
  for (const auto& move : consistent.moves) {
    CHECK(move.to == 3);
    CHECK(move.share <= last);
    last = move.share;
    sum += move.share;
  }
  CHECK(near(sum, consistent.moved));
  const auto none = plan_reshard(ring, ring, sample);
  CHECK(none.moves.empty());
  CHECK(none.moved == 0);
  CHECK(none.margin > 0);  // none among 40,000 is not none at all
  CHECK(refused_field([&] { return plan_reshard(ring, ring, std::vector<std::uint64_t>{}); }) == "plan_reshard.sample");
}

TEST_CASE("ranges: what moves is exact, what share is up to the sample", "[shard][plan]") {
  const ranges old{{1000, 2000}};
  const ranges fresh = old.split(1500, 3);
  const auto bare = plan_reshard(old, fresh);
  CHECK(bare.ranges == std::vector<moved_range>{{1500, 2000, 1, 3}});
  REQUIRE(bare.moves.size() == 1);
  CHECK(bare.moves[0].from == 1);
  CHECK(bare.moves[0].to == 3);
  CHECK_FALSE(bare.weighed);
  CHECK(std::isnan(bare.moved));
  CHECK(std::isnan(bare.minimum));
  CHECK(std::isnan(bare.moves[0].share));
  CHECK(bare.margin == 0);
  const auto weighed = plan_reshard(old, fresh, keys_below(4000));
  CHECK(weighed.ranges == bare.ranges);
  CHECK(near(weighed.moved, 0.125));
  CHECK(near(weighed.minimum, 0.125));
  CHECK(near(weighed.moves.at(0).share, 0.125));
  // A move that the sample does not show is there nevertheless.
  const auto unseen = plan_reshard(old, fresh, keys_below(100));
  REQUIRE(unseen.moves.size() == 1);
  CHECK(unseen.moved == 0);
  // Both ends, and pieces that join.
  const auto all = plan_reshard(ranges{{10, 20, 30}, {0, 0, 0, 0}}, ranges{{15}, {1, 1}});
  CHECK(all.ranges == std::vector<moved_range>{{std::nullopt, std::nullopt, 0, 1}});
  const auto ends = plan_reshard(ranges{{10, 20}, {0, 1, 2}}, ranges{{10, 20}, {5, 1, 6}});
  CHECK(ends.ranges == std::vector<moved_range>{{std::nullopt, 10, 0, 5}, {20, std::nullopt, 2, 6}});
  // Alike, but with a range between that stays.
  const auto parted = plan_reshard(ranges{{10, 20}, {0, 1, 0}}, ranges{{10, 20}, {1, 1, 1}});
  CHECK(parted.ranges == std::vector<moved_range>{{std::nullopt, 10, 0, 1}, {20, std::nullopt, 0, 1}});
  // A plain exchange: nothing would have to move for the same loads.
  const auto exchange = plan_reshard(ranges{{10}}, ranges{{10}, {1, 0}}, keys_below(20));
  CHECK(exchange.moved == 1);
  CHECK(exchange.minimum == 0);
}

TEST_CASE("range plans agree with asking both routers", "[shard][plan]") {
  const std::uint64_t seed = banyan::testing::derived_seed("plan_reshard of ranges");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  const auto some = [&] {
    ranges router{{}, {static_cast<shard_id>(random.below(3))}};
    for (std::uint64_t boundary = 1; boundary < 60; ++boundary) {
      if (random.below(8) == 0) router = router.split(boundary, static_cast<shard_id>(random.below(3)));
    }
    return router;
  };
  for (int round = 0; round < 500; ++round) {
    const ranges old = some();
    const ranges fresh = some();
    const auto plan = plan_reshard(old, fresh);
    bool same = true;
    for (std::uint64_t key = 0; key < 64; ++key) {
      int times = 0;
      for (const auto& range : plan.ranges) {
        if ((range.first && key < *range.first) || (range.last && key >= *range.last)) continue;
        ++times;
        same = same && range.from == old.route(key) && range.to == fresh.route(key);
      }
      same = same && times == (old.route(key) != fresh.route(key) ? 1 : 0);
    }
    for (std::size_t i = 1; i < plan.ranges.size(); ++i) {
      const auto& before = plan.ranges[i - 1];
      const auto& here = plan.ranges[i];
      same = same && !(before.last == here.first && before.from == here.from && before.to == here.to);
    }
    REQUIRE(same);
  }
}

TEST_CASE("slots: exact without a sample", "[shard][plan]") {
  const slot_router old = slot_router::even(3);
  const slot_router fresh = old.spread_over({0, 1, 2, 3});
  const auto plan = plan_reshard(old, fresh);
  CHECK(plan.moved == 0.25);
  CHECK(plan.minimum == 0.25);
  CHECK(plan.margin == 0);
  CHECK(plan.weighed);
  CHECK(plan.sampled == 0);
  CHECK(plan.slots ==
        std::vector<banyan::moved_slots>{{4096, 5460, 0, 3}, {9557, 10'922, 1, 3}, {15'019, 16'383, 2, 3}});
  std::vector<std::string> hot(1000, "{tag}");
  const auto weighed = plan_reshard(old, old.assign({0, 16'383, 0}), hot);
  CHECK(weighed.moves.size() == 2);
  CHECK(weighed.sampled == 1000);
  // Slots that nobody had need not move; those that nobody will have are left behind.
  const auto filled = plan_reshard(old.release(0, 99), old);
  CHECK(filled.moved == 0);
  CHECK(filled.slots.empty());
  const auto left = plan_reshard(old, old.release(0, 4095));
  CHECK(left.abandoned == 0.25);
  CHECK(left.moved == 0);
  CHECK(left.minimum == 0);
  REQUIRE(left.moves.size() == 1);
  CHECK(left.moves[0].to == no_shard);
}

TEST_CASE("a plan is refused when a router has changed since", "[shard][plan]") {
  const hashes old = hashes::numbered(3);
  const hashes fresh = old.add(3);
  const auto plan = plan_reshard(old, fresh, keys_below(100));
  CHECK(plan.applies_to(old, fresh));
  CHECK_FALSE(plan.applies_to(fresh, fresh));
  CHECK(refused_field([&] {
          plan.require(old, fresh);
          return 0;
        }).empty());
  CHECK(refused_field([&] {
          plan.require(old.with_version(2), fresh);
          return 0;
        }) == "reshard_plan.old_version");
  CHECK(refused_field([&] {
          plan.require(old, fresh.add(4));
          return 0;
        }) == "reshard_plan.new_version");

  banyan::shard_map<hashes, int> map{old, {{0, 0}, {1, 1}, {2, 2}}};
  CHECK(refused_field([&] { return map.adopt(plan, fresh); }) == "shard_map.router");
  map.serve(3, 3);
  CHECK(refused_field([&] { return map.adopt(plan, fresh.with_version(5)); }) == "reshard_plan.new_version");
  const auto level = plan_reshard(old, hashes::numbered(4), keys_below(100));
  CHECK(refused_field([&] { return map.adopt(level, hashes::numbered(4)); }) == "reshard_plan.new_version");
  map.serve(9, 9);
  CHECK(map.update([](const hashes& router) { return router.add(9); }));
  const std::uint64_t version = map.version();
  CHECK_FALSE(map.adopt(plan, fresh));
  CHECK(map.version() == version);
  CHECK(map.route_by(old.with_version(7)));
  const auto again = plan_reshard(map.router(), map.router().add(3), keys_below(100));
  CHECK(map.adopt(again, map.router().add(3)));
  CHECK(map.router().version() == 8);
}

}  // namespace
