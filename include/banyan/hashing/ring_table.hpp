#pragma once

#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/placed_nodes.hpp>
#include <banyan/hashing/ring_placement.hpp>

namespace banyan {

/// Nodes on a consistent hashing ring, as a value; `hash_ring` is the same for many threads. See `ring_placement` for
/// how, `placed_nodes` for what it does.
template <class Node, class Hash = stable_hash>
using ring_table = placed_nodes<Node, ring_placement, Hash>;

}  // namespace banyan
