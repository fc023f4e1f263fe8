#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace banyan::detail {

/// Rates are counted in ticks of 1/32 ns: 64 bits of them are 18 years, and one tick is 0.1 % of a token's interval at
/// 32 million tokens a second.
inline constexpr unsigned ticks_per_nanosecond_log2 = 5;

/// What a bucket promises, interval and burst, in one word: readers never see the rate of one setting and the burst of
/// another, and whoever sets them need not wait for anybody.
///
///     63      59 58         38 37        32 31             0
///     burst exp.  burst mant.   interval e.  interval mant.      each: mantissa * 2^exponent (interval: * 2^-32)
///
/// - The interval, in ticks a token, is rounded up: to a whole number of ticks where that costs 0.1 % at most (always
///   up to 31 million tokens a second), else to 32 significant bits; from the latter also where it is above 2^32.
/// - Bursts are exact up to 2,097,151 tokens, above they are rounded down to 21 significant bits (one in a million).
///
/// So a bucket never gives more than it should. All-zero bits mean no terms at all.
class gcra_terms {
 public:
  static constexpr std::uint64_t max_burst = std::uint64_t{1} << 51;
  static constexpr double max_rate = 1e15;
  /// The longest time, in ticks, that a bucket may take to fill: two years and a quarter.
  static constexpr std::uint64_t max_tolerance = std::uint64_t{1} << 61;

  constexpr gcra_terms() noexcept = default;
  explicit constexpr gcra_terms(std::uint64_t bits) noexcept : bits_{bits} {}

  /// Of a rate in tokens a second and a burst that `acceptable` accepts.
  constexpr gcra_terms(double rate, std::uint64_t burst) noexcept : bits_{pack_burst(burst) | pack_interval(rate)} {}

  /// Whether the burst flows in within the longest time. Comparisons with NaN are false.
  [[nodiscard]] static constexpr bool acceptable(double rate, std::uint64_t burst) noexcept {
    return rate > 0 && rate <= max_rate && burst >= 1 && burst <= max_burst &&
           static_cast<double>(burst) * (ticks_per_second / rate) < static_cast<double>(max_tolerance) * 0.999;
  }

  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  [[nodiscard]] constexpr std::uint64_t burst() const noexcept { return ((bits_ >> 38) & 0x1f'ffffU) << (bits_ >> 59); }

  /// Ticks that `n` tokens take to flow in, rounded up; `n` at most the burst.
  [[nodiscard]] constexpr std::uint64_t cost(std::uint64_t n) const noexcept {
    const std::uint64_t mantissa = bits_ & low_half;
    const unsigned exponent = interval_exponent();
    const std::uint64_t low = (n & low_half) * mantissa;
    const std::uint64_t whole = (n >> 32) * mantissa + (low >> 32);
    const std::uint64_t fraction = low & low_half;  // in units of 2^-32, as long as the exponent is 0
    if (exponent <= 32) return (whole << exponent) + (((fraction << exponent) + low_half) >> 32);
    return (whole << exponent) + (fraction << (exponent - 32));
  }

  /// Ticks that the burst takes to flow in.
  [[nodiscard]] constexpr std::uint64_t tolerance() const noexcept { return cost(burst()); }

  /// How many whole tokens flow in within so many ticks, at most the burst.
  [[nodiscard]] constexpr std::uint64_t tokens(std::uint64_t ticks) const noexcept {
    const std::uint64_t most = burst();
    if (ticks >= cost(most)) return most;
    // An estimate first: below the burst, so it fits; off by a few units in the 53rd bit.
    auto n = static_cast<std::uint64_t>(static_cast<double>(ticks) / interval());
    if (n > most) n = most;
    while (n > 0 && cost(n) > ticks) --n;
    while (n < most && cost(n + 1) <= ticks) ++n;
    return n;
  }

  /// Tokens a second, as they are after rounding.
  [[nodiscard]] constexpr double rate() const noexcept { return ticks_per_second / interval(); }

 private:
  static constexpr std::uint64_t low_half = 0xffff'ffffU;
  static constexpr double ticks_per_second = 1e9 * (1U << ticks_per_nanosecond_log2);

  [[nodiscard]] constexpr unsigned interval_exponent() const noexcept {
    return static_cast<unsigned>(bits_ >> 32) & 0x3fU;
  }

  [[nodiscard]] constexpr double interval() const noexcept {
    return static_cast<double>(bits_ & low_half) * 0x1p-32 *
           static_cast<double>(std::uint64_t{1} << interval_exponent());
  }

  [[nodiscard]] static constexpr std::uint64_t rounded_up(double x) noexcept {
    const auto whole = static_cast<std::uint64_t>(x);
    return static_cast<double>(whole) < x ? whole + 1 : whole;
  }

  [[nodiscard]] static constexpr std::uint64_t pack_interval(double rate) noexcept {
    double ticks = ticks_per_second / rate;
    // A rate is given to 15 digits or so: 1e9 / 3 is meant to be one in 3 ns.
    const auto whole = static_cast<double>(rounded_up(ticks * (1 - 0x1p-50)));
    if (whole - ticks <= ticks * 0x1p-10) ticks = whole;
    double mantissa = ticks * 0x1p32;
    std::uint64_t exponent = 0;
    while (mantissa > static_cast<double>(low_half)) {
      mantissa /= 2;
      ++exponent;
    }
    return (exponent << 32) | rounded_up(mantissa);
  }

  [[nodiscard]] static constexpr std::uint64_t pack_burst(std::uint64_t burst) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(burst));
    const unsigned exponent = width > 21 ? width - 21 : 0;
    return (std::uint64_t{exponent} << 59) | ((burst >> exponent) << 38);
  }

  std::uint64_t bits_ = 0;
};

static_assert(gcra_terms{100.0, 20}.cost(1) == 320'000'000 && gcra_terms{100.0, 20}.burst() == 20);
static_assert(gcra_terms{1e-7, 1}.cost(1) >= 320'000'000'000'000'000);
static_assert(gcra_terms{1e12, 1'000'000}.cost(1'000'000) >= 32'000);
static_assert(gcra_terms{1e12, gcra_terms::max_burst}.burst() == gcra_terms::max_burst);

}  // namespace banyan::detail
