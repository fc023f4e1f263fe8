#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include <banyan/hashing/murmur_hash3.hpp>

namespace banyan {

/// The token of a partition key (in its serialised form) under Cassandra's and ScyllaDB's Murmur3Partitioner: the first
/// half of MurmurHash3_x64_128, except that the last up to 15 bytes count as signed numbers, as Cassandra has it. The
/// least number stands for the empty key alone. O(size), wait-free.
///
/// Source: Apache Cassandra, Murmur3Partitioner; CASSANDRA-3594.
[[nodiscard]] inline std::int64_t cassandra_token(std::string_view partition_key) noexcept {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  if (partition_key.empty()) return least;
  const auto token = static_cast<std::int64_t>(detail::murmur3_x64_128<signed char>(partition_key, 0)[0]);
  return token == least ? std::numeric_limits<std::int64_t>::max() : token;
}

}  // namespace banyan
