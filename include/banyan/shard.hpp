#pragma once

/// \file
/// The shard room: which shard a key belongs to, who serves it, and what moves when that changes.

#include <banyan/shard/any_router.hpp>
#include <banyan/shard/composite_router.hpp>
#include <banyan/shard/directory_router.hpp>
#include <banyan/shard/empty_router.hpp>
#include <banyan/shard/entity_router.hpp>
#include <banyan/shard/geo_options.hpp>
#include <banyan/shard/geo_point.hpp>
#include <banyan/shard/geo_router.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/key_range.hpp>
#include <banyan/shard/plan_reshard.hpp>
#include <banyan/shard/range_router.hpp>
#include <banyan/shard/reshard_plan.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>
#include <banyan/shard/shard_key_advisor.hpp>
#include <banyan/shard/shard_key_report.hpp>
#include <banyan/shard/shard_lookup.hpp>
#include <banyan/shard/shard_map.hpp>
#include <banyan/shard/slot_range.hpp>
#include <banyan/shard/slot_router.hpp>
