#pragma once

#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/maglev_placement.hpp>
#include <banyan/hashing/placed_nodes.hpp>

namespace banyan {

/// Nodes in a Maglev table: the fastest look-up there is, the best balance, and a few more moved keys than the least
/// when the nodes change. See `maglev_placement` for how, `placed_nodes` for what it does.
template <class Node, class Hash = stable_hash>
using maglev_table = placed_nodes<Node, maglev_placement, Hash>;

}  // namespace banyan
