#pragma once

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/key_affinity.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>

namespace banyan {

/// Affinity by key by rendezvous hashing: the members of `key_affinity`.
///
/// When to use: up to some dozen endpoints, with the best of both others: even shares, exact weights, and no key moves
/// that need not. When not to: many endpoints; a pick asks them all, at a nanosecond or two each.
///
/// Memory: 16 bytes an endpoint.
using rendezvous_affinity = key_affinity<rendezvous_placement>;

static_assert(balance_policy<rendezvous_affinity>);

}  // namespace banyan
