#include "support/seed.hpp"

#include <cstdint>
#include <set>

#include "support/catch.hpp"

using namespace banyan::testing;

TEST_CASE("random_source gives the published numbers of SplitMix64") {
  // From the reference implementation by Sebastiano Vigna, seed 1234567.
  random_source random{1234567};
  CHECK(random() == 6457827717110365317ULL);
  CHECK(random() == 3203168211198807973ULL);
  CHECK(random() == 9817491932198370423ULL);
  CHECK(random() == 4593380528125082431ULL);
  CHECK(random() == 16408922859458223821ULL);
}

TEST_CASE("random_source::below reaches every number under its bound and none above") {
  random_source random{derived_seed("below")};
  CHECK(random.below(0) == 0);
  CHECK(random.below(1) == 0);
  for (const std::uint64_t bound : {2ULL, 3ULL, 8ULL, 13ULL}) {
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(random.below(bound));
    CHECK(seen.size() == bound);
    CHECK(*seen.rbegin() == bound - 1);
  }
}

TEST_CASE("derived seeds depend on the name and the index") {
  std::set<std::uint64_t> seeds;
  for (const char* name : {"", "a", "b", "ab", "ba"}) {
    for (std::uint64_t index = 0; index < 10; ++index) seeds.insert(derived_seed(name, index));
  }
  CHECK(seeds.size() == 50);
  CHECK(derived_seed("a", 3) == derived_seed("a", 3));
}
