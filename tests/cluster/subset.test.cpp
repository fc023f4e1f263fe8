#include <banyan/cluster/subset.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <set>
#include <vector>

#include "support/catch.hpp"

namespace {

using banyan::deterministic_subset;

constexpr auto last_client = std::numeric_limits<std::uint32_t>::max();

}  // namespace

TEST_CASE("subsets are of the size asked for, without repetition, in order") {
  for (std::uint32_t backends = 0; backends <= 24; ++backends) {
    for (std::uint32_t size = 0; size <= backends + 2; ++size) {
      for (std::uint32_t client : {0U, 1U, 2U, 3U, 17U, 1000U, last_client}) {
        const auto subset = deterministic_subset(backends, size, client);
        INFO(size << " of " << backends << ", client " << client);
        REQUIRE(subset.size() == (size == 0 ? backends : std::min(size, backends)));
        REQUIRE(std::is_sorted(subset.begin(), subset.end()));
        REQUIRE(std::adjacent_find(subset.begin(), subset.end()) == subset.end());
        if (!subset.empty()) REQUIRE(subset.back() < backends);
      }
    }
  }
}

TEST_CASE("every backend serves the same number of clients, give or take one, at any time") {
  for (std::uint32_t backends = 1; backends <= 31; ++backends) {
    for (std::uint32_t size = 1; size < backends; ++size) {
      std::vector<std::uint32_t> clients(backends);
      for (std::uint32_t client = 0; client < 3 * backends; ++client) {
        for (const std::uint32_t each : deterministic_subset(backends, size, client)) ++clients[each];
        const auto [fewest, most] = std::minmax_element(clients.begin(), clients.end());
        INFO(size << " of " << backends << ", clients up to " << client);
        REQUIRE(*most - *fewest <= 1);
      }
    }
  }
}

TEST_CASE("subsets differ between clients and rounds") {
  std::set<std::vector<std::uint32_t>> seen;
  for (std::uint32_t client = 0; client < 300; ++client) seen.insert(deterministic_subset(300, 10, client));
  CHECK(seen.size() == 300);
  // Two clients share no more backends than chance has it: 100 pairs, 10 of 300 each.
  std::size_t shared = 0;
  for (std::uint32_t client = 0; client < 100; ++client) {
    const auto one = deterministic_subset(300, 10, client);
    const auto other = deterministic_subset(300, 10, client + 30);
    std::vector<std::uint32_t> both;
    std::set_intersection(one.begin(), one.end(), other.begin(), other.end(), std::back_inserter(both));
    shared += both.size();
  }
  CHECK(shared > 5);
  CHECK(shared < 100);  // a third of a backend for each pair is expected
}

TEST_CASE("subsets are the same on every machine") {
  CHECK(deterministic_subset(12, 3, 0) == std::vector<std::uint32_t>{5, 6, 11});
  CHECK(deterministic_subset(10, {.size = 4, .client = 7}) == deterministic_subset(10, 4, 7));
  CHECK(deterministic_subset(10, 4, 2) == std::vector<std::uint32_t>{0, 3, 8, 9});
  CHECK(deterministic_subset(10, 7, 5) == std::vector<std::uint32_t>{0, 1, 4, 5, 6, 8, 9});
}
