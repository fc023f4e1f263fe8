#pragma once

#include <cstdint>

#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Slots from `first` to `last`, both included (as Redis Cluster writes them), and their shard.
struct slot_range {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  shard_id shard = no_shard;

  friend bool operator==(const slot_range&, const slot_range&) = default;
};

}  // namespace banyan
