#pragma once

#include <cstdint>
#include <limits>

namespace banyan {

/// The number of a shard. It names the shard for good: routers keep it when shards are split, merged, added or removed,
/// so that a shard is never taken for another that came later.
using shard_id = std::uint32_t;

/// What a router answers when nobody is responsible for a key.
inline constexpr shard_id no_shard = std::numeric_limits<shard_id>::max();

}  // namespace banyan
