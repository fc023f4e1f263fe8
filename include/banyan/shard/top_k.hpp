#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <ranges>
#include <vector>

namespace banyan {

/// The `k` first of all elements of several lists in the order of `compare`, sorted; the lists need not be. With the
/// default the smallest; `std::greater<>{}` gives the largest. What is equal comes in the order of the lists.
///
/// For the right answer to a query over several shards, each has to give its own first `k`; for counts that are to be
/// added up across shards that is not enough.
///
/// O(n log k) comparisons over n elements, memory for 2 k pointers; throws what comparing and copying throw, and
/// `std::bad_alloc`.
template <std::ranges::forward_range Lists, class Compare = std::less<>>
requires std::ranges::forward_range<const std::ranges::range_value_t<Lists>>
[[nodiscard]] auto top_k(const Lists& lists, std::size_t k, Compare compare = {}) {
  using value = std::ranges::range_value_t<std::ranges::range_value_t<Lists>>;
  struct candidate {
    const value* at;
    std::size_t order;
  };
  const auto before = [&](const candidate& a, const candidate& b) {
    if (compare(*a.at, *b.at)) return true;
    if (compare(*b.at, *a.at)) return false;
    return a.order < b.order;
  };
  std::vector<candidate> best;  // a heap with the last of them on top
  std::size_t order = 0;
  for (const auto& list : lists) {
    for (const value& each : list) {
      const candidate next{&each, order++};
      if (best.size() < k) {
        best.push_back(next);
        std::push_heap(best.begin(), best.end(), before);
      } else if (k > 0 && before(next, best.front())) {
        std::pop_heap(best.begin(), best.end(), before);
        best.back() = next;
        std::push_heap(best.begin(), best.end(), before);
      }
    }
  }
  std::sort_heap(best.begin(), best.end(), before);
  std::vector<value> found;
  found.reserve(best.size());
  for (const candidate& each : best) found.push_back(*each.at);
  return found;
}

}  // namespace banyan
