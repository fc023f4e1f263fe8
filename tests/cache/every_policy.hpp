#pragma once

#include <tuple>

#include <banyan/cache.hpp>

namespace banyan::testing {

/// For TEMPLATE_LIST_TEST_CASE: what holds for a cache holds for each of its policies.
using every_policy =
    std::tuple<lru_policy, lfu_policy, fifo_policy, sieve_policy, s3fifo_policy, tinylfu_policy, adaptive_policy>;

/// One ranked and one ordered policy, where what is tested lies above the policy: each more costs seconds of compiling.
using one_policy_of_each_kind = std::tuple<lru_policy, s3fifo_policy>;

}  // namespace banyan::testing
