#include <banyan/cache/lru_policy.hpp>

#include <algorithm>
#include <cstdint>

#include "cache/policy_checks.hpp"

using namespace banyan;
using namespace banyan::testing;

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
