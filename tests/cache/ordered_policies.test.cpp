#include <banyan/cache/s3fifo_policy.hpp>
#include <banyan/cache/sieve_policy.hpp>
#include <banyan/cache/tinylfu_policy.hpp>

#include <cstdint>
#include <tuple>

#include "cache/policy_checks.hpp"

/// What holds for the ordered policies of the library; for the adaptive one, which is built of others, see its own
/// file.
namespace {

using namespace banyan;
using namespace banyan::testing;

using ordered_policies = std::tuple<sieve_policy, s3fifo_policy, tinylfu_policy>;

TEMPLATE_LIST_TEST_CASE("ordered policies give back each slot once, whatever is erased", "", ordered_policies) {
  for (const std::uint32_t entries : {1u, 2u, 3u, 10u, 40u}) {
    gives_back_each_slot_once<TestType>(entries, 50'000, derived_seed("ordered slots", entries));
  }
}

TEMPLATE_LIST_TEST_CASE("ordered policies keep their capacity when keys are erased and come back", "",
                        ordered_policies) {
  for (const std::uint32_t capacity : {1u, 2u, 5u, 50u}) {
    const std::uint64_t seed = derived_seed("ordered erase", capacity);
    CAPTURE(capacity, seed);
    random_source random{seed};
    sequential_cache<TestType> cache{capacity, seed, 5};
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

TEMPLATE_LIST_TEST_CASE("ordered policies may be touched by other threads meanwhile", "", ordered_policies) {
  threads_touch_meanwhile<TestType>(50, 20'000, derived_seed("ordered threads"));
}

}  // namespace
