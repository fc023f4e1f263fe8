#include <banyan/cache/s3fifo_policy.hpp>

#include <cmath>
#include <cstdint>

#include "cache/policy_checks.hpp"

using namespace banyan;
using namespace banyan::testing;

TEST_CASE("s3fifo_policy evicts as the paper's algorithm does") {
  for (const std::uint32_t capacity : {1u, 2u, 9u, 10u}) {
    agrees_with_model<s3fifo_policy, s3fifo_model>(capacity, 20'000, derived_seed("s3fifo model", capacity), false);
  }
}

TEST_CASE("s3fifo_policy hits as the paper's algorithm does where its ghosts are approximate") {
  for (const std::uint32_t capacity : {30u, 300u, 3'000u}) {
    const std::uint64_t seed = derived_seed("s3fifo large", capacity);
    CAPTURE(capacity, seed);
    sequential_cache<s3fifo_policy> cache{capacity, seed};
    s3fifo_model model{capacity};
    const double ratio = drifting_hit_ratio(cache, capacity, 60'000, seed);
    const double exact = drifting_hit_ratio(model, capacity, 60'000, seed);
    CAPTURE(ratio, exact);
    CHECK(exact > 10.0);
    CHECK(std::abs(ratio - exact) < 0.5);
  }
}
