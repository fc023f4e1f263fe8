#pragma once

/// \file
/// The hashing room: which of several nodes a key belongs to.

#include <banyan/hashing/anchor_hash.hpp>
#include <banyan/hashing/bounded_load.hpp>
#include <banyan/hashing/cassandra_token.hpp>
#include <banyan/hashing/crc16.hpp>
#include <banyan/hashing/crc32.hpp>
#include <banyan/hashing/envoy_maglev.hpp>
#include <banyan/hashing/envoy_ring.hpp>
#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/hash_ring.hpp>
#include <banyan/hashing/jump_back_hash.hpp>
#include <banyan/hashing/jump_hash.hpp>
#include <banyan/hashing/ketama_ring.hpp>
#include <banyan/hashing/maglev_placement.hpp>
#include <banyan/hashing/maglev_table.hpp>
#include <banyan/hashing/md5.hpp>
#include <banyan/hashing/multi_probe.hpp>
#include <banyan/hashing/multi_probe_placement.hpp>
#include <banyan/hashing/murmur_hash2.hpp>
#include <banyan/hashing/murmur_hash3.hpp>
#include <banyan/hashing/named_nodes.hpp>
#include <banyan/hashing/nginx_ring.hpp>
#include <banyan/hashing/node_change.hpp>
#include <banyan/hashing/node_list.hpp>
#include <banyan/hashing/placed_nodes.hpp>
#include <banyan/hashing/redis_slot.hpp>
#include <banyan/hashing/rendezvous.hpp>
#include <banyan/hashing/rendezvous_placement.hpp>
#include <banyan/hashing/ring_placement.hpp>
#include <banyan/hashing/ring_table.hpp>
#include <banyan/hashing/siphash.hpp>
#include <banyan/hashing/weighted_hash.hpp>
#include <banyan/hashing/weighted_node.hpp>
#include <banyan/hashing/xxhash64.hpp>
