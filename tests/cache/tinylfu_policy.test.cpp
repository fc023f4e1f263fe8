#include <banyan/cache/tinylfu_policy.hpp>

#include <cstdint>

#include "cache/policy_checks.hpp"

using namespace banyan;
using namespace banyan::testing;

TEST_CASE("tinylfu_policy keeps popular entries through a scan") {
  sequential_cache<tinylfu_policy> cache{100};
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t key = 0; key < 80; ++key) cache.access(key);
  }
  for (std::uint64_t key = 1'000; key < 1'300; ++key) cache.access(key);
  int kept = 0;
  for (std::uint64_t key = 0; key < 80; ++key) kept += cache.contains(key) ? 1 : 0;
  CHECK(kept > 70);
}

TEST_CASE("tinylfu_policy forgets what was popular once") {
  sequential_cache<tinylfu_policy> cache{100};
  for (std::uint64_t base : {0u, 1'000u, 2'000u}) {
    for (int round = 0; round < 60; ++round) {
      for (std::uint64_t key = base; key < base + 80; ++key) cache.access(key);
    }
    int kept = 0;
    for (std::uint64_t key = base; key < base + 80; ++key) kept += cache.contains(key) ? 1 : 0;
    CHECK(kept > 70);
  }
}

TEST_CASE("tinylfu_policy widens its window for keys that come back once, soon") {
  // Each key is asked for twice, 60 keys apart, and never again: with a window of a fiftieth nothing would hit.
  sequential_cache<tinylfu_policy> cache{1'000};
  for (std::uint64_t i = 60; i < 60'000; ++i) {
    cache.access(i);
    cache.access(i - 60);
  }
  CHECK(cache.hit_ratio() > 45.0);
}

TEST_CASE("tinylfu_policy gives back each slot once, whatever is erased") {
  for (const std::uint32_t entries : {1u, 2u, 3u, 10u, 40u}) {
    gives_back_each_slot_once<tinylfu_policy>(entries, 50'000, derived_seed("tinylfu slots", entries));
  }
}

TEST_CASE("tinylfu_policy keeps its capacity when keys are erased and come back") {
  for (const std::uint32_t capacity : {1u, 2u, 5u, 50u}) {
    const std::uint64_t seed = derived_seed("tinylfu erase", capacity);
    CAPTURE(capacity, seed);
    random_source random{seed};
    sequential_cache<tinylfu_policy> cache{capacity, seed, 5};
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

TEST_CASE("tinylfu_policy may be touched by other threads meanwhile") {
  threads_touch_meanwhile<tinylfu_policy>(50, 20'000, derived_seed("tinylfu threads"));
}
