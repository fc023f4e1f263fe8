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
/// Memory: some 160 points of 10 to 12 bytes for each endpoint of weight 1, up to 2^23 points together.
using ring_affinity = key_affinity<ring_placement>;

static_assert(balance_policy<ring_affinity>);

}  // namespace banyan
