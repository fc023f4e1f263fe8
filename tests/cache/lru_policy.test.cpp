#include <banyan/cache/lru_policy.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cache/policy_checks.hpp"

using namespace banyan;
using namespace banyan::testing;

TEST_CASE("lru_policy evicts in exact order up to 500 entries") {
  for (const std::uint32_t capacity : {1u, 2u, 3u, 7u, 64u, 65u, 200u, 440u}) {
    const int operations = capacity < 100 ? 20'000 : 8'000;
    agrees_with_model<lru_policy, lru_model>(capacity, operations, derived_seed("lru model", capacity), true);
  }
}

TEST_CASE("lru_policy hits as the exact policy does in larger caches") {
  for (const std::uint32_t capacity : {600u, 1'500u, 5'000u}) {
    const std::uint64_t seed = derived_seed("lru large", capacity);
    CAPTURE(capacity, seed);
    sequential_cache<lru_policy> cache{capacity, seed, 2'000};
    lru_model model{capacity};
    const double ratio = drifting_hit_ratio(cache, capacity, 100'000, seed);
    const double exact = drifting_hit_ratio(model, capacity, 100'000, seed);
    CAPTURE(ratio, exact);
    CHECK(exact > 10.0);
    CHECK(std::abs(ratio - exact) < 0.5);
  }
}

TEST_CASE("lru_policy finds the only entry, but not the one to be kept") {
  for (const std::uint32_t slots : {10u, 5'000u}) {
    lru_policy policy{{.slots = slots, .entries = slots - 1, .seed = 1}};
    lru_policy::local local{};
    CHECK(policy.victim(no_slot, slots, local) == no_slot);
    policy.stamp(slots / 2, 1, local);
    CHECK(policy.victim(slots / 2, slots, local) == no_slot);
    CHECK(policy.victim(no_slot, slots, local) == slots / 2);
    policy.touch(slots / 2, 1, local);
    CHECK(policy.rank(slots / 2) != 0);
    CHECK(policy.victim(no_slot, slots, local) == slots / 2);
    policy.vacate(slots / 2);
    CHECK(policy.rank(slots / 2) == 0);
    CHECK(policy.victim(no_slot, slots, local) == no_slot);
  }
}

TEST_CASE("lru_policy serves several threads") {
  threads_find_victims<lru_policy>(100, 10'000, derived_seed("lru threads", 1));
  threads_find_victims<lru_policy>(2'000, 10'000, derived_seed("lru threads", 2));
}

TEST_CASE("lru_policy names one of the least recent in larger caches") {
  const std::uint64_t seed = derived_seed("lru rank");
  CAPTURE(seed);
  random_source random{seed};
  constexpr std::uint32_t slots = 4'000;
  lru_policy policy{{.slots = slots + 1, .entries = slots, .seed = seed}};
  lru_policy::local local{};
  for (slot_id slot = 0; slot < slots; ++slot) policy.stamp(slot, 0, local);
  double sum = 0;
  double most = 0;
  constexpr int victims = 1'000;
  for (int i = 0; i < victims; ++i) {
    for (int hits = 0; hits < 8; ++hits) policy.touch(static_cast<slot_id>(random.below(slots)), 0, local);
    const slot_id victim = policy.victim(no_slot, slots, local);
    REQUIRE(victim < slots);
    std::uint32_t lower = 0;
    for (slot_id slot = 0; slot < slots; ++slot) lower += policy.rank(slot) < policy.rank(victim) ? 1 : 0;
    const double share = static_cast<double>(lower) / slots;
    sum += share;
    most = std::max(most, share);
    policy.vacate(victim);
    policy.stamp(victim, 0, local);
  }
  CAPTURE(sum / victims, most);
  CHECK(sum / victims < 0.01);
  CHECK(most < 0.1);
}
