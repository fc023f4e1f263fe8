#pragma once

/// \file
/// The hashing room: which of several nodes a key belongs to.

#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/hash_ring.hpp>
#include <banyan/hashing/maglev_placement.hpp>
#include <banyan/hashing/maglev_table.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/placed_nodes.hpp>
#include <banyan/hashing/rendezvous.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>
#include <banyan/hashing/ring_placement.hpp>
#include <banyan/hashing/weighted_hash.hpp>
#include <banyan/hashing/weighted_node.hpp>
#include <banyan/hashing/xxhash64.hpp>
