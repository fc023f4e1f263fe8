#include <banyan/cache/fifo_policy.hpp>

#include <cmath>
#include <cstdint>

#include "cache/policy_checks.hpp"

using namespace banyan;
using namespace banyan::testing;

TEST_CASE("fifo_policy evicts in exact order up to 500 entries") {
  for (const std::uint32_t capacity : {1u, 2u, 3u, 7u, 64u, 65u, 200u, 440u}) {
    const int operations = capacity < 100 ? 20'000 : 8'000;
    agrees_with_model<fifo_policy, fifo_model>(capacity, operations, derived_seed("fifo model", capacity), true);
  }
}

TEST_CASE("fifo_policy hits as the exact policy does in larger caches") {
  for (const std::uint32_t capacity : {600u, 1'500u, 5'000u}) {
    const std::uint64_t seed = derived_seed("fifo large", capacity);
    CAPTURE(capacity, seed);
    sequential_cache<fifo_policy> cache{capacity, seed, 2'000};
    fifo_model model{capacity};
    const double ratio = drifting_hit_ratio(cache, capacity, 100'000, seed);
    const double exact = drifting_hit_ratio(model, capacity, 100'000, seed);
    CAPTURE(ratio, exact);
    CHECK(exact > 10.0);
    CHECK(std::abs(ratio - exact) < 0.5);
  }
}

TEST_CASE("fifo_policy finds the only entry, but not the one to be kept") {
  for (const std::uint32_t slots : {10u, 5'000u}) {
    fifo_policy policy{{.slots = slots, .entries = slots - 1, .seed = 1}};
    fifo_policy::local local{};
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

TEST_CASE("fifo_policy serves several threads") {
  threads_find_victims<fifo_policy>(100, 10'000, derived_seed("fifo threads", 1));
  threads_find_victims<fifo_policy>(2'000, 10'000, derived_seed("fifo threads", 2));
}
