#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <ranges>
#include <utility>
#include <vector>

namespace banyan {

/// Several sorted lists read as one, an element at a time: no more is looked at than is asked for.
///
///     banyan::merged_lists all{pages, std::less<>{}};
///     while (const row* next = all.next()) { ... }
///
/// Equal elements come in the order of the lists. The lists must stay where they are. One thread at a time. Making one
/// takes O(lists), an element O(log lists) comparisons; throws what those throw, and then must not be used further.
template <std::ranges::random_access_range List, class Compare = std::less<>>
class merged_lists {
 public:
  using value_type = std::ranges::range_value_t<List>;

  /// `lists` is a range of lists.
  template <std::ranges::forward_range Lists>
  explicit merged_lists(const Lists& lists, Compare compare = {}) : compare_{std::move(compare)} {
    std::size_t order = 0;
    for (const List& each : lists) {
      if (!std::ranges::empty(each)) heap_.push_back({std::ranges::begin(each), std::ranges::end(each), order});
      ++order;
    }
    std::make_heap(heap_.begin(), heap_.end(), later());
  }

  /// The next element, nothing at the end.
  [[nodiscard]] const value_type* next() {
    if (heap_.empty()) return nullptr;
    std::pop_heap(heap_.begin(), heap_.end(), later());
    source& first = heap_.back();
    const value_type* const found = &*first.at;
    if (++first.at == first.end) {
      heap_.pop_back();
    } else {
      std::push_heap(heap_.begin(), heap_.end(), later());
    }
    return found;
  }

 private:
  struct source {
    std::ranges::iterator_t<const List> at;
    std::ranges::sentinel_t<const List> end;
    std::size_t order;
  };

  // The heap keeps at its top what is later than nothing else.
  [[nodiscard]] auto later() const {
    return [this](const source& a, const source& b) {
      if (compare_(*b.at, *a.at)) return true;
      if (compare_(*a.at, *b.at)) return false;
      return b.order < a.order;
    };
  }

  [[no_unique_address]] Compare compare_;
  std::vector<source> heap_;
};

template <class Lists, class Compare = std::less<>>
merged_lists(const Lists&, Compare = {}) -> merged_lists<std::ranges::range_value_t<Lists>, Compare>;

}  // namespace banyan
