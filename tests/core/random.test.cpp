#include <banyan/core/random.hpp>

#include <array>
#include <cstdint>
#include <random>
#include <set>

#include "support/catch.hpp"

namespace {

static_assert(std::uniform_random_bit_generator<banyan::splitmix64>);
static_assert(std::uniform_random_bit_generator<banyan::xoshiro256>);

TEST_CASE("splitmix64 gives its reference numbers", "[core][random]") {
  // The published test vector for the seed 1234567.
  banyan::splitmix64 random{1234567};
  CHECK(random() == 6457827717110365317U);
  CHECK(random() == 3203168211198807973U);
  CHECK(random() == 9817491932198370423U);
  CHECK(random() == 4593380528125082431U);
  CHECK(random() == 16408922859458223821U);
}

TEST_CASE("xoshiro256 repeats by seed and differs between seeds", "[core][random]") {
  banyan::xoshiro256 a{1};
  banyan::xoshiro256 b{1};
  banyan::xoshiro256 c{2};
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t x = a();
    CHECK(x == b());
    seen.insert(x);
    seen.insert(c());
  }
  CHECK(seen.size() == 2000);
}

TEST_CASE("random_below is in range and even", "[core][random]") {
  banyan::xoshiro256 random{5};
  CHECK(banyan::random_below(random, 0) == 0);
  CHECK(banyan::random_below(random, 1) == 0);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts[banyan::random_below(random, 7)];
  for (const int count : counts) CHECK((count > 9500 && count < 10500));
  // Of 2^32 draws, multiplied down to 3 * 2^30, every third number would come twice as often as the others.
  int thirds = 0;
  const std::uint64_t bound = std::uint64_t{3} << 30;
  for (int i = 0; i < 30000; ++i) thirds += banyan::random_below(random, bound) % 3 == 0 ? 1 : 0;
  CHECK((thirds > 9500 && thirds < 10500));
  const std::uint64_t wide = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) REQUIRE(banyan::random_below(random, wide) < wide);
}

TEST_CASE("random_unit lies in [0, 1)", "[core][random]") {
  banyan::splitmix64 random{9};
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double x = banyan::random_unit(random);
    REQUIRE((x >= 0 && x < 1));
    sum += x;
  }
  CHECK((sum > 4800 && sum < 5200));
  struct all_ones {
    std::uint64_t operator()() const { return ~std::uint64_t{0}; }
  } ones;
  CHECK(banyan::random_unit(ones) < 1);
}

}  // namespace
