#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan::detail {

inline void check_shard(std::string_view field, shard_id id) {
  if (id == no_shard) invalid_option(field, id, "must not be no_shard");
}

/// Each once, ascending, without `no_shard`.
[[nodiscard]] inline std::vector<shard_id> distinct_shards(std::vector<shard_id> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (!ids.empty() && ids.back() == no_shard) ids.pop_back();
  return ids;
}

/// `ids` as `distinct_shards` gives them.
[[nodiscard]] inline bool contains_shard(std::span<const shard_id> ids, shard_id id) noexcept {
  return std::binary_search(ids.begin(), ids.end(), id);
}

}  // namespace banyan::detail
