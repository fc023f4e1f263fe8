#include <banyan/hashing/jump_back_hash.hpp>
#include <banyan/hashing/jump_hash.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::jump_back_hash;
using banyan::jump_hash;
constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

TEST_CASE("jump_hash gives Guava's table", "[hashing][jump_hash]") {
  static_assert(jump_hash(1, 1) == 0);
  const std::vector<std::uint32_t> first = {0, 55, 62, 8, 45, 59, 86, 97, 82, 59};
  for (std::uint64_t key = 0; key < 10; ++key) CHECK(jump_hash(key, 100) == first[key]);
  CHECK(jump_hash(10863919174838991U, 11) == 6);
  CHECK(jump_hash(2016238256797177309U, 11) == 3);
  CHECK(jump_hash(2, 100001) == 80343);
  const std::vector<std::uint32_t> of_one = {0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 17, 17};
  for (std::uint32_t buckets = 1; buckets <= 19; ++buckets) CHECK(jump_hash(1, buckets) == of_one[buckets - 1]);
}

TEST_CASE("no buckets, one bucket, all buckets", "[hashing][jump_hash][jump_back_hash]") {
  for (std::uint64_t key = 0; key < 1000; ++key) {
    CHECK(jump_hash(key, 0) == none);
    CHECK(jump_back_hash(key, 0) == none);
    CHECK(jump_hash(key, 1) == 0);
    CHECK(jump_back_hash(key, 1) == 0);
    CHECK(jump_hash(key, none) < none);
    CHECK(jump_back_hash(key, none) < none);
  }
}

template <class F>
void check_movement(F hash, std::uint64_t seed) {
  banyan::testing::random_source random{seed};
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t key = random();
    std::uint32_t last = hash(key, 1U);
    for (std::uint32_t buckets = 2; buckets < 200; ++buckets) {
      const std::uint32_t now = hash(key, buckets);
      // Where it was, or in the new bucket.
      if (now != last) REQUIRE(now == buckets - 1);
      last = now;
    }
    const std::uint32_t large = 1U << 31;
    const std::uint32_t before = hash(key, large - 1);
    const std::uint32_t after = hash(key, large + 5);
    if (before != after) REQUIRE(after >= large - 1);
  }
}

TEST_CASE("keys move to new buckets alone", "[hashing][jump_hash][jump_back_hash]") {
  const std::uint64_t seed = banyan::testing::derived_seed("jump: movement");
  CAPTURE(seed);
  check_movement([](std::uint64_t key, std::uint32_t buckets) { return jump_hash(key, buckets); }, seed);
  check_movement([](std::uint64_t key, std::uint32_t buckets) { return jump_back_hash(key, buckets); }, seed);
}

template <class F>
void check_balance(F hash, std::uint64_t first_key, std::uint64_t step) {
  for (const std::uint32_t buckets : {2U, 3U, 5U, 8U, 11U, 33U, 100U, 127U, 128U, 129U}) {
    std::vector<double> seen(buckets);
    const std::uint32_t keys = 1000 * buckets;
    for (std::uint64_t i = 0; i < keys; ++i) ++seen[hash(first_key + i * step, buckets)];
    double chi_square = 0;
    for (const double n : seen) chi_square += (n - 1000) * (n - 1000) / 1000;
    // Mean buckets - 1; a tail beyond this is less likely than one in 100,000.
    const double limit = buckets - 1 + 4.5 * std::sqrt(2.0 * (buckets - 1)) + 12;
    CAPTURE(buckets, chi_square, limit);
    CHECK(chi_square < limit);
  }
}

TEST_CASE("buckets are equally full, of whatever keys", "[hashing][jump_hash][jump_back_hash]") {
  for (const std::uint64_t step : {std::uint64_t{1}, std::uint64_t{1} << 32, std::uint64_t{0x9e3779b97f4a7c15U}}) {
    CAPTURE(step);
    check_balance([](std::uint64_t key, std::uint32_t buckets) { return jump_back_hash(key, buckets); }, 0, step);
    if (step != std::uint64_t{1} << 32) {  // the paper's generator takes keys' upper bits as they are
      check_balance([](std::uint64_t key, std::uint32_t buckets) { return jump_hash(key, buckets); }, 0, step);
    }
  }
}

}  // namespace
