#pragma once

#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/placed_nodes.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>

namespace banyan {

/// Nodes under rendezvous hashing: exact weights, no key moved in vain, next to no memory; for tens of nodes, because a
/// look-up asks each. See `rendezvous_placement` for how, `placed_nodes` for what it does.
template <class Node, class Hash = stable_hash>
using rendezvous = placed_nodes<Node, rendezvous_placement, Hash>;

}  // namespace banyan
