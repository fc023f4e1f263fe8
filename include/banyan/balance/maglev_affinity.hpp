#pragma once

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/key_affinity.hpp>
#include <banyan/hashing/maglev_placement.hpp>

namespace banyan {

/// Affinity by key over a Maglev table: the members of `key_affinity`.
///
/// When to use: even shares and the fastest look-up. When not to: no key may move that need not; a few do, and when the
/// number of endpoints passes 1,310, 10,000 or 65,000 the table becomes larger, and most do (`ring_affinity`).
///
/// Memory: 128 KiB; for more than 1,310 endpoints 512 KiB, more than 10,000 2 MiB, more than 65,000 64 MiB.
using maglev_affinity = key_affinity<maglev_placement>;

static_assert(balance_policy<maglev_affinity>);

}  // namespace banyan
