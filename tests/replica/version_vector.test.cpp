#include <banyan/replica/version_vector.hpp>

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::version_vector;
using entry = version_vector<3>::entry;

}  // namespace

TEST_CASE("version_vector: before, after, equal, or at the same time", "[replica][version_vector]") {
  version_vector<3> a;
  version_vector<3> b;
  CHECK((a <=> b) == std::partial_ordering::equivalent);
  REQUIRE(a.increment(7));
  CHECK((a <=> b) == std::partial_ordering::greater);
  CHECK((b <=> a) == std::partial_ordering::less);
  REQUIRE(b.increment(5));
  CHECK((a <=> b) == std::partial_ordering::unordered);
  CHECK_FALSE(a == b);
  CHECK_FALSE(a < b);
  REQUIRE(a.merge(b));
  CHECK(a > b);
  REQUIRE(b.merge(a));
  CHECK(a == b);
  REQUIRE(a.increment(7));
  REQUIRE(b.increment(5));
  CHECK((a <=> b) == std::partial_ordering::unordered);
  CHECK(a.writes(7) == 2);
  CHECK(a.writes(5) == 1);
  CHECK(a.writes(6) == 0);
}

TEST_CASE("version_vector: one node too many is refused and changes nothing", "[replica][version_vector]") {
  version_vector<3> a;
  for (const std::uint64_t node : {9U, 1U, 5U}) REQUIRE(a.increment(node));
  CHECK_FALSE(a.increment(4));
  CHECK(a.increment(5));
  version_vector<3> b;
  REQUIRE(b.increment(1));
  REQUIRE(b.increment(2));
  const auto before = a;
  CHECK_FALSE(a.merge(b));
  CHECK(a == before);
  version_vector<1> full;
  REQUIRE(full.increment(0));
  CHECK_FALSE(full.increment(1));
}

TEST_CASE("version_vector: from the network", "[replica][version_vector]") {
  const std::array good{entry{9, 1}, entry{2, 5}, entry{4, 0}, entry{3, 2}};
  const auto made = version_vector<3>::from_entries(good);
  REQUIRE(made);
  CHECK(made->entries().size() == 3);
  CHECK(made->writes(2) == 5);
  CHECK(made->writes(4) == 0);
  CHECK(version_vector<3>::from_entries(made->entries()) == made);
  const std::array twice{entry{9, 1}, entry{9, 1}};
  CHECK_FALSE(version_vector<3>::from_entries(twice));
  const std::array many{entry{1, 1}, entry{2, 1}, entry{3, 1}, entry{4, 1}};
  CHECK_FALSE(version_vector<3>::from_entries(many));
  CHECK(version_vector<3>::from_entries({}) == version_vector<3>{});
  const std::array end{entry{1, std::numeric_limits<std::uint64_t>::max()}};
  auto last = version_vector<3>::from_entries(end);
  CHECK_FALSE(last->increment(1));
}

TEST_CASE("version_vector: agrees with sets of writes", "[replica][version_vector]") {
  const std::uint64_t seed = banyan::testing::derived_seed("version vectors and sets of writes");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 300; ++round) {
    constexpr std::size_t nodes = 4;
    std::vector<version_vector<nodes>> copies(nodes);
    std::vector<std::set<int>> seen(nodes);
    int next = 0;
    for (int i = 0; i < 30; ++i) {
      const std::size_t a = random.below(nodes);
      const std::size_t b = random.below(nodes);
      if (random.chance(1, 2)) {
        REQUIRE(copies[a].increment(a * 1000));
        seen[a].insert(next++);
      } else {
        REQUIRE(copies[a].merge(copies[b]));
        seen[a].insert(seen[b].begin(), seen[b].end());
      }
      const bool a_in_b = std::includes(seen[b].begin(), seen[b].end(), seen[a].begin(), seen[a].end());
      const bool b_in_a = std::includes(seen[a].begin(), seen[a].end(), seen[b].begin(), seen[b].end());
      const auto expected = a_in_b && b_in_a ? std::partial_ordering::equivalent
                            : a_in_b         ? std::partial_ordering::less
                            : b_in_a         ? std::partial_ordering::greater
                                             : std::partial_ordering::unordered;
      REQUIRE((copies[a] <=> copies[b]) == expected);
    }
  }
}
