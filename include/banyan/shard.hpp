#pragma once

/// \file
/// The shard room: which shard a key belongs to, who serves it, and what moves when that changes.

#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/key_range.hpp>
#include <banyan/shard/range_router.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>
#include <banyan/shard/shard_lookup.hpp>
#include <banyan/shard/shard_map.hpp>
