#pragma once

#include <bit>
#include <cstdint>

namespace banyan::detail {

/// A limit, a latency and a count of windows in one word: limit:28 (8 of them after the point), latency:24, count:12.
/// The latency is a binary floating-point number, 6 bits of exponent and 18 of mantissa: from 1 to 2^63 ns with an
/// error of 2 in a million, or 0 for none. O(1), wait-free.
struct limit_estimate {
  double limit = 1;
  double latency = 0;  // nanoseconds
  std::uint32_t count = 0;

  static constexpr std::uint32_t most_count = 4095;

  [[nodiscard]] static constexpr limit_estimate from(std::uint64_t word) noexcept {
    return {static_cast<double>(word >> 36) / 256, unpacked(static_cast<std::uint32_t>(word >> 12) & 0xff'ffffU),
            count_in(word)};
  }

  [[nodiscard]] constexpr std::uint64_t word() const noexcept {
    const double parts = limit * 256 + 0.5;
    const std::uint64_t fixed =
        !(parts < 0x1p28) ? (std::uint64_t{1} << 28) - 1 : (parts < 256 ? 256 : static_cast<std::uint64_t>(parts));
    return fixed << 36 | std::uint64_t{packed(latency)} << 12 | (count < most_count ? count : most_count);
  }

  /// A latency as the word would hold it, 1 ns at least: so that what is compared has been rounded in the same way.
  [[nodiscard]] static constexpr double rounded(double latency) noexcept {
    return unpacked(latency >= 1 ? packed(latency) : 1);
  }

  [[nodiscard]] static constexpr std::uint32_t limit_in(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> 44);
  }
  [[nodiscard]] static constexpr std::uint32_t count_in(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word) & 0xfffU;
  }

 private:
  static constexpr std::uint32_t packed(double value) noexcept {
    if (!(value >= 1)) return 0;
    if (value > 0x1p62) value = 0x1p62;
    // A double's mantissa, rounded to 18 bits; rounding up may carry into the exponent, as it should.
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(value) + (std::uint64_t{1} << 33);
    const auto exponent = static_cast<std::uint32_t>(bits >> 52) - 1023;
    // 0 stands for none, so 1 ns is the next number above it.
    const std::uint32_t result = exponent << 18 | (static_cast<std::uint32_t>(bits >> 34) & 0x3'ffffU);
    return result == 0 ? 1 : result;
  }
  static constexpr double unpacked(std::uint32_t value) noexcept {
    if (value == 0) return 0;
    const std::uint64_t exponent = (value >> 18) + 1023;
    return std::bit_cast<double>(exponent << 52 | std::uint64_t{value & 0x3'ffffU} << 34);
  }
};

}  // namespace banyan::detail
