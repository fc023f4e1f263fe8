#pragma once

#include <cstdint>
#include <string_view>

#include <banyan/hashing/crc16.hpp>

namespace banyan {

/// Slots of a Redis Cluster.
inline constexpr std::uint16_t redis_slots = 16'384;

/// The part of a key that decides on its slot: what is between the first `{` and the next `}`, unless that is empty or
/// one of them missing; then all of it. O(size), wait-free.
[[nodiscard]] constexpr std::string_view redis_hash_tag(std::string_view key) noexcept {
  const auto open = key.find('{');
  if (open == std::string_view::npos) return key;
  const auto close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

/// The slot of a key in a Redis (or Valkey) Cluster, 0 to 16,383. O(size), wait-free.
///
/// Source: Redis Cluster specification, "Key distribution model" and "Hash tags".
[[nodiscard]] constexpr std::uint16_t redis_slot(std::string_view key) noexcept {
  return static_cast<std::uint16_t>(crc16(redis_hash_tag(key)) % redis_slots);
}

}  // namespace banyan
