#pragma once

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string_view>

/// Seeds for the randomised tests.
///
///     const std::uint64_t seed = banyan::testing::derived_seed("lru against a list");
///     CAPTURE(seed);
///     banyan::testing::random_source random{seed};
///     for (int i = 0; i < 10'000; ++i) step(random.below(64));
///
/// The run's seed is fixed, so a plain run is the same every time. `BANYAN_TEST_SEED=12345` (decimal, or hexadecimal
/// after 0x) repeats another run, and `BANYAN_TEST_SEED=random` draws a new one. It is printed once, on standard error,
/// when the first test asks for it.
namespace banyan::testing {

namespace detail {

inline std::uint64_t read_run_seed() {
  std::uint64_t seed = 0x62616e79616eULL;
  if (const char* text = std::getenv("BANYAN_TEST_SEED"); text != nullptr && *text != '\0') {
    if (std::string_view{text} == "random") {
      std::random_device device;
      seed = (std::uint64_t{device()} << 32) | std::uint64_t{device()};
    } else {
      char* end = nullptr;
      errno = 0;
      seed = std::strtoull(text, &end, 0);
      if (errno != 0 || end == text || *end != '\0') {
        std::fprintf(stderr, "BANYAN_TEST_SEED: expected a number or \"random\", got \"%s\"\n", text);
        std::exit(2);
      }
    }
  }
  std::fprintf(stderr, "BANYAN_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace detail

/// The seed of this run of the test program. Thread-safe.
inline std::uint64_t run_seed() {
  static const std::uint64_t seed = detail::read_run_seed();
  return seed;
}

/// A seed that depends on the run's seed and a name, so that tests do not share their random numbers and do not depend
/// on the order in which they run.
inline std::uint64_t derived_seed(std::string_view name, std::uint64_t index = 0) {
  std::uint64_t seed = detail::mix(run_seed() + 0x9e3779b97f4a7c15ULL * (index + 1));
  for (const char c : name) seed = detail::mix(seed ^ static_cast<unsigned char>(c)) + 0x9e3779b97f4a7c15ULL;
  return seed;
}

/// A small, fast random number generator (SplitMix64) that gives the same numbers on every platform, which the
/// distributions of the standard library do not. It never allocates. One thread at a time.
class random_source {
 public:
  using result_type = std::uint64_t;

  explicit constexpr random_source(std::uint64_t seed) noexcept : state_{seed} {}

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }
  constexpr result_type operator()() noexcept { return detail::mix(state_ += 0x9e3779b97f4a7c15ULL); }

  /// A number in [0, bound); 0 when `bound` is 0. Masks and rejects, so it has no bias.
  constexpr std::uint64_t below(std::uint64_t bound) noexcept {
    if (bound < 2) return 0;
    const std::uint64_t mask = max() >> std::countl_zero(bound - 1);
    for (;;) {
      if (const std::uint64_t drawn = (*this)() & mask; drawn < bound) return drawn;
    }
  }

  /// True `numerator` times out of `denominator`.
  constexpr bool chance(std::uint64_t numerator, std::uint64_t denominator) noexcept {
    return below(denominator) < numerator;
  }

 private:
  std::uint64_t state_;
};

}  // namespace banyan::testing
