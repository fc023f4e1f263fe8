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

TEST_CASE("s3fifo_policy gives back each slot once, whatever is erased") {
  for (const std::uint32_t entries : {1u, 2u, 3u, 10u, 40u}) {
    gives_back_each_slot_once<s3fifo_policy>(entries, 50'000, derived_seed("s3fifo slots", entries));
  }
}

TEST_CASE("s3fifo_policy keeps its capacity when keys are erased and come back") {
  for (const std::uint32_t capacity : {1u, 2u, 5u, 50u}) {
    const std::uint64_t seed = derived_seed("s3fifo erase", capacity);
    CAPTURE(capacity, seed);
    random_source random{seed};
    sequential_cache<s3fifo_policy> cache{capacity, seed, 5};
    for (int i = 0; i < 20'000; ++i) {
      const std::uint64_t key = skewed_key(random, capacity * 3u);
      if (random.chance(1, 4)) {
        cache.erase(key);
        REQUIRE_FALSE(cache.contains(key));
      } else {
        cache.access(key);
      }
      REQUIRE(cache.size() <= capacity);
    }
    CHECK(cache.hits() > 1'000);
  }
}

TEST_CASE("s3fifo_policy may be touched by other threads meanwhile") {
  threads_touch_meanwhile<s3fifo_policy>(50, 20'000, derived_seed("s3fifo threads"));
}
