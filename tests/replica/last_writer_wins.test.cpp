#include <banyan/replica/last_writer_wins.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::hybrid_time;
using banyan::last_writer_wins;

constexpr hybrid_time time_of(std::uint64_t packed) { return hybrid_time::from_packed(packed); }

struct throws_on_move {
  throws_on_move() = default;
  explicit throws_on_move(bool bad) : throwing{bad} {}
  throws_on_move(const throws_on_move&) = default;
  throws_on_move& operator=(const throws_on_move& other) {
    if (other.throwing) throw std::runtime_error{"assignment"};
    return *this;
  }
  bool throwing = false;
};

}  // namespace

TEST_CASE("last_writer_wins: by time, then by node", "[replica][last_writer_wins]") {
  last_writer_wins<int> row;
  CHECK(row.assign(1, time_of(10), 1));
  CHECK_FALSE(row.assign(2, time_of(9), 9));
  CHECK_FALSE(row.assign(2, time_of(10), 1));
  CHECK_FALSE(row.assign(2, time_of(10), 0));
  CHECK(row.value() == 1);
  CHECK(row.assign(3, time_of(10), 2));
  CHECK(row.value() == 3);
  CHECK((row.written().time == time_of(10) && row.written().node == 2));
  const last_writer_wins<int> other{4, time_of(11), 0};
  CHECK(row.merge(other));
  CHECK_FALSE(row.merge(other));
  CHECK_FALSE(row.merge(row));
  CHECK_FALSE(row.merge({}));
  CHECK(row.value() == 4);
}

TEST_CASE("last_writer_wins: an assignment that throws can be repeated", "[replica][last_writer_wins]") {
  last_writer_wins<throws_on_move> row{throws_on_move{}, time_of(1), 1};
  CHECK_THROWS_AS(row.assign(throws_on_move{true}, time_of(2), 1), std::runtime_error);
  CHECK(row.written().time == time_of(1));
  CHECK(row.assign(throws_on_move{}, time_of(2), 1));
}

TEST_CASE("last_writer_wins: copies that meet in any order end equal", "[replica][last_writer_wins]") {
  const std::uint64_t seed = banyan::testing::derived_seed("last writer wins, any order");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 200; ++round) {
    std::vector<last_writer_wins<std::uint64_t>> copies(3);
    std::uint64_t latest = 0;
    std::vector<std::uint64_t> used(3, 0);
    for (int i = 0; i < 20; ++i) {
      const std::size_t node = random.below(3);
      used[node] += 1 + random.below(3);
      latest = std::max(latest, used[node] * 4 + node);
      copies[node].assign(used[node] * 4 + node, time_of(used[node]), node);
      copies[random.below(3)].merge(copies[random.below(3)]);
    }
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t i = 0; i < 3; ++i) copies[(i + 1) % 3].merge(copies[i]);
    }
    for (const auto& each : copies) REQUIRE(each.value() == latest);
  }
}
