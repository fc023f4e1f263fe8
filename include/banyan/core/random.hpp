#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace banyan {

/// Spreads a number over all 64 bits; a bijection. O(1), wait-free.
///
/// Source: the output function of SplitMix64; G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014.
[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// A random number generator of one word: any seed is good, which makes it the one to seed others with. Not for
/// secrets. Satisfies std::uniform_random_bit_generator. One thread at a time; O(1), wait-free.
///
/// Source: as `mix_bits`.
class splitmix64 {
 public:
  using result_type = std::uint64_t;

  explicit constexpr splitmix64(std::uint64_t seed) noexcept : state_{seed} {}

  [[nodiscard]] static constexpr result_type min() noexcept { return 0; }
  [[nodiscard]] static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

  constexpr result_type operator()() noexcept { return mix_bits(state_ += 0x9e3779b97f4a7c15U); }

 private:
  std::uint64_t state_;
};

/// xoshiro256++: four words, period 2^256 - 1, about a nanosecond a number. Not for secrets. Satisfies
/// std::uniform_random_bit_generator. One thread at a time; O(1), wait-free.
///
/// Source: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4), 2021.
class xoshiro256 {
 public:
  using result_type = std::uint64_t;

  explicit constexpr xoshiro256(std::uint64_t seed) noexcept {
    splitmix64 seeder{seed};
    for (std::uint64_t& word : state_) word = seeder();
  }

  [[nodiscard]] static constexpr result_type min() noexcept { return 0; }
  [[nodiscard]] static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

  constexpr result_type operator()() noexcept {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

/// A number in [0, bound), each equally likely; 0 when `bound` is 0. `Generator` gives 64 random bits a call. Expected
/// O(1).
///
/// Source: D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1), 2019, in 32-bit halves where
/// the bound allows, by rejection under a mask above.
template <class Generator>
[[nodiscard]] constexpr std::uint64_t random_below(Generator& generator, std::uint64_t bound) noexcept {
  if (bound < 2) return 0;
  constexpr std::uint64_t low_half = 0xffff'ffffU;
  if (bound <= low_half) {
    std::uint64_t product = (generator() >> 32) * bound;
    if ((product & low_half) < bound) {
      // Of the 2^32 draws, the first 2^32 mod bound of each bound-wide stretch would come once too often.
      const std::uint64_t excess = (std::uint64_t{1} << 32) % bound;
      while ((product & low_half) < excess) product = (generator() >> 32) * bound;
    }
    return product >> 32;
  }
  const std::uint64_t mask = std::numeric_limits<std::uint64_t>::max() >> std::countl_zero(bound - 1);
  for (;;) {
    const std::uint64_t drawn = generator() & mask;
    if (drawn < bound) return drawn;
  }
}

/// A number in [0, 1), a multiple of 2^-53. `Generator` gives 64 random bits a call. O(1).
template <class Generator>
[[nodiscard]] constexpr double random_unit(Generator& generator) noexcept {
  return static_cast<double>(generator() >> 11) * 0x1p-53;
}

}  // namespace banyan
