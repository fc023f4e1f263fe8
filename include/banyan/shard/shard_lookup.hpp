#pragma once

#include <cstdint>

namespace banyan {

/// How a look-up in a `shard_map` ended.
enum class shard_lookup : std::uint8_t {
  found,   ///< here is what serves the shard
  nobody,  ///< the router makes nobody responsible for the key, or the shard asked for is not served
  stale,   ///< the caller's version is older than the map: it has to route again
  ahead,   ///< the caller's version is newer than the map: the map has to be refreshed
};

}  // namespace banyan
