#pragma once

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/key_affinity.hpp>
#include <banyan/hashing/ring_placement.hpp>

namespace banyan {

/// Affinity by key over a hash ring: the members of `key_affinity`.
///
/// When to use: endpoints come and go often, and a key that moves is dear: those that must move do, and no other. When
/// not to: shares must be even; with 160 points each they spread by 8 % (`maglev_affinity`, `rendezvous_affinity`).
///
/// Memory: 160 points of 10 to 12 bytes for each endpoint of weight 1, more for heavier ones; all together at most 2^18
/// points, of more than 102 endpoints 2,560 for each, and never more than 2^23. Above that, and where the mean weight
/// is below 1/4, all weights are scaled in steps of 4; at a step, keys move.
using ring_affinity = key_affinity<ring_placement>;

static_assert(balance_policy<ring_affinity>);

}  // namespace banyan
