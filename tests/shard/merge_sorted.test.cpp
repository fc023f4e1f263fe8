#include <banyan/shard/merge_sorted.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <banyan/shard/merged_lists.hpp>
#include <banyan/shard/top_k.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using lists = std::vector<std::vector<int>>;

TEST_CASE("sorted lists become one") {
  CHECK(banyan::merge_sorted(lists{{1, 4, 9}, {}, {2, 4}, {0}}) == std::vector<int>{0, 1, 2, 4, 4, 9});
  CHECK(banyan::merge_sorted(lists{{9, 4, 1}, {4, 2}}, std::greater<>{}, 3) == std::vector<int>{9, 4, 4});
  CHECK(banyan::merge_sorted(lists{}).empty());
  CHECK(banyan::merge_sorted(lists{{}, {}}).empty());
  CHECK(banyan::merge_sorted(lists{{1}, {2}}, std::less<>{}, 0).empty());
}

TEST_CASE("merging is stable, and agrees with sorting") {
  banyan::testing::random_source random{banyan::testing::derived_seed("merge")};
  using pair = std::pair<int, int>;  // compared by the first only
  const auto by_first = [](const pair& a, const pair& b) { return a.first < b.first; };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::vector<pair>> parts(random.below(9));
    std::vector<pair> all;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::uint64_t size = random.below(12);
      for (std::uint64_t n = 0; n < size; ++n) {
        parts[i].emplace_back(static_cast<int>(random.below(10)), static_cast<int>(i * 100 + n));
      }
      std::stable_sort(parts[i].begin(), parts[i].end(), by_first);
      all.insert(all.end(), parts[i].begin(), parts[i].end());
    }
    std::stable_sort(all.begin(), all.end(), by_first);
    REQUIRE(banyan::merge_sorted(parts, by_first) == all);
    const std::size_t k = random.below(all.size() + 3);
    const std::vector<pair> first(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(k, all.size())));
    REQUIRE(banyan::merge_sorted(parts, by_first, k) == first);
    REQUIRE(banyan::top_k(parts, k, by_first) == first);
    banyan::merged_lists<std::vector<pair>, decltype(by_first)> one_by_one{parts, by_first};
    for (const pair& each : all) {
      const pair* const next = one_by_one.next();
      REQUIRE(next != nullptr);
      REQUIRE(*next == each);
    }
    REQUIRE(one_by_one.next() == nullptr);
    REQUIRE(one_by_one.next() == nullptr);
  }
}

TEST_CASE("merging looks at little more than it gives, in log many comparisons") {
  std::vector<std::vector<int>> parts(64);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (int n = 0; n < 100; ++n) parts[i].push_back(n * 64 + static_cast<int>(i));
  }
  std::size_t comparisons = 0;
  const auto counting = [&](int a, int b) {
    ++comparisons;
    return a < b;
  };
  CHECK(banyan::merge_sorted(parts, counting, 10).size() == 10);
  CHECK(comparisons < 64 * 6 + 10 * 4 * 6 + 64);
  comparisons = 0;
  CHECK(banyan::merge_sorted(parts, counting).size() == 6400);
  CHECK(comparisons < 6400 * 4 * 6);
}

TEST_CASE("the first k of lists that need not be sorted") {
  const lists parts{{5, 1, 9}, {7, 7}, {}, {3}};
  CHECK(banyan::top_k(parts, 3) == std::vector<int>{1, 3, 5});
  CHECK(banyan::top_k(parts, 3, std::greater<>{}) == std::vector<int>{9, 7, 7});
  CHECK(banyan::top_k(parts, 0).empty());
  CHECK(banyan::top_k(parts, std::numeric_limits<std::size_t>::max()) == std::vector<int>{1, 3, 5, 7, 7, 9});
  CHECK(banyan::top_k(lists{}, 4).empty());
  banyan::merged_lists deduced{lists{}};
  CHECK(deduced.next() == nullptr);
}

}  // namespace
