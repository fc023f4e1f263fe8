#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace banyan {

/// A time stamp of a `hybrid_clock`: wall time in milliseconds since 1970 (48 bits, until the year 10889) and a counter
/// within it (16 bits). Ordered as the number that it is; times that know of each other are in causal order.
///
/// Times of different clocks can be equal: where that matters, compare the node next (see `last_writer_wins`).
class hybrid_time {
 public:
  static constexpr int logical_bits = 16;
  static constexpr std::uint64_t max_milliseconds = (std::uint64_t{1} << 48) - 1;

  /// Before all others.
  constexpr hybrid_time() noexcept = default;
  /// From `packed()` of another.
  [[nodiscard]] static constexpr hybrid_time from_packed(std::uint64_t packed) noexcept {
    hybrid_time made;
    made.packed_ = packed;
    return made;
  }

  [[nodiscard]] constexpr std::uint64_t packed() const noexcept { return packed_; }
  [[nodiscard]] constexpr std::uint64_t milliseconds() const noexcept { return packed_ >> logical_bits; }
  [[nodiscard]] constexpr std::uint16_t logical() const noexcept { return static_cast<std::uint16_t>(packed_); }
  [[nodiscard]] constexpr std::chrono::sys_time<std::chrono::milliseconds> wall_time() const noexcept {
    return std::chrono::sys_time<std::chrono::milliseconds>{
        std::chrono::milliseconds{static_cast<std::int64_t>(milliseconds())}};
  }

  friend constexpr auto operator<=>(hybrid_time, hybrid_time) noexcept = default;

 private:
  std::uint64_t packed_ = 0;
};

}  // namespace banyan
