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
