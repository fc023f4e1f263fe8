#include <banyan/core/detail/wide_product.hpp>

#include <cstdint>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

TEST_CASE("128 bits without the compiler's help", "[core][wide_product]") {
  using namespace banyan::detail;
  const std::uint64_t seed = banyan::testing::derived_seed("wide product");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t a = random() >> random.below(64);
    const std::uint64_t b = random() >> random.below(64);
    REQUIRE((portable::multiply(a, b) == multiply(a, b)));
    REQUIRE(multiply_high(a, b) == portable::multiply(a, b).high);
    REQUIRE(multiply_fold(a, b) == (portable::multiply(a, b).high ^ portable::multiply(a, b).low));
    const std::uint64_t by = (random() >> random.below(60)) + 1;
    const wide_product dividend{by == 1 ? 0 : random.below(by), random()};
    REQUIRE(portable::divide(dividend, by) == divide(dividend, by));
  }
  CHECK((portable::multiply(~std::uint64_t{0}, ~std::uint64_t{0}) == wide_product{~std::uint64_t{0} - 1, 1}));
}

}  // namespace
