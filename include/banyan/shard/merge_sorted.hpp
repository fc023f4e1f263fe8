#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <ranges>
#include <utility>
#include <vector>

#include <banyan/shard/merged_lists.hpp>

namespace banyan {

/// Several sorted lists as one vector, the first `limit` elements of it: the answer to a sorted query to several
/// shards. A list that is not sorted gives some order of its elements. Equal elements come in the order of the lists.
/// O(limit log lists) comparisons, and as many copies; throws what those throw and `std::bad_alloc`.
template <std::ranges::forward_range Lists, class Compare = std::less<>>
requires std::ranges::random_access_range<std::ranges::range_value_t<Lists>>
[[nodiscard]] auto merge_sorted(const Lists& lists, Compare compare = {},
                                std::size_t limit = std::numeric_limits<std::size_t>::max()) {
  using list = std::ranges::range_value_t<Lists>;
  std::size_t size = 0;
  for (const list& each : lists) size += static_cast<std::size_t>(std::ranges::size(each));
  size = std::min(size, limit);
  std::vector<std::ranges::range_value_t<list>> all;
  all.reserve(size);
  merged_lists<list, Compare> merged{lists, std::move(compare)};
  while (all.size() < size) all.push_back(*merged.next());
  return all;
}

}  // namespace banyan
