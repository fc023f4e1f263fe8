#include <banyan/cache/sieve_policy.hpp>

#include <cstdint>

#include "cache/policy_checks.hpp"

using namespace banyan;
using namespace banyan::testing;

TEST_CASE("sieve_policy evicts as the paper's algorithm does") {
  for (const std::uint32_t capacity : {1u, 2u, 3u, 7u, 64u, 300u}) {
    agrees_with_model<sieve_policy, sieve_model>(capacity, 20'000, derived_seed("sieve model", capacity), false);
  }
}
