#include <banyan/cache/lfu_policy.hpp>

#include <cmath>
#include <cstdint>

#include "cache/policy_checks.hpp"

using namespace banyan;
using namespace banyan::testing;

TEST_CASE("lfu_policy evicts in exact order up to 500 entries") {
  for (const std::uint32_t capacity : {1u, 2u, 3u, 7u, 64u, 65u, 200u, 440u}) {
    const int operations = capacity < 100 ? 20'000 : 8'000;
    agrees_with_model<lfu_policy, lfu_model>(capacity, operations, derived_seed("lfu model", capacity), true);
  }
}

TEST_CASE("lfu_policy hits as the exact policy does in larger caches") {
  for (const std::uint32_t capacity : {600u, 1'500u, 5'000u}) {
    const std::uint64_t seed = derived_seed("lfu large", capacity);
    CAPTURE(capacity, seed);
    sequential_cache<lfu_policy> cache{capacity, seed, 2'000};
    lfu_model model{capacity};
    const double ratio = drifting_hit_ratio(cache, capacity, 100'000, seed);
    const double exact = drifting_hit_ratio(model, capacity, 100'000, seed);
    CAPTURE(ratio, exact);
    CHECK(exact > 10.0);
    CHECK(std::abs(ratio - exact) < 0.5);
  }
}

TEST_CASE("lfu_policy finds the only entry, but not the one to be kept") {
  for (const std::uint32_t slots : {10u, 5'000u}) {
    lfu_policy policy{{.slots = slots, .entries = slots - 1, .seed = 1}};
    lfu_policy::local local{};
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

TEST_CASE("lfu_policy serves several threads") {
  threads_find_victims<lfu_policy>(100, 10'000, derived_seed("lfu threads", 1));
  threads_find_victims<lfu_policy>(2'000, 10'000, derived_seed("lfu threads", 2));
}
