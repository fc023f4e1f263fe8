#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace banyan::detail {

/// Cuts time into windows of one length, numbered from one some time before `from` on, that begin at multiples of the
/// length since the clock's epoch. Times before the first window are its beginning, times after the last one its end.
class window_scale {
 public:
  struct place {
    std::uint64_t window = 0;
    std::uint64_t elapsed = 0;  // nanoseconds since its beginning
  };

  /// `length` in nanoseconds, above 0. There are windows for eighteen years.
  constexpr window_scale(std::int64_t from, std::int64_t length) noexcept
      : length_{static_cast<std::uint64_t>(length)} {
    constexpr std::int64_t earliest = std::numeric_limits<std::int64_t>::min();
    std::int64_t into = from % length;
    if (into < 0) into += length;
    begin_ = from < earliest + into ? earliest : from - into;
  }

  [[nodiscard]] constexpr std::uint64_t length() const noexcept { return length_; }

  /// How many bits a window's number takes.
  [[nodiscard]] constexpr unsigned number_bits() const noexcept {
    return static_cast<unsigned>(std::bit_width(reach / length_));
  }

  [[nodiscard]] constexpr place at(std::int64_t nanoseconds) const noexcept {
    if (nanoseconds <= begin_) return {};
    std::uint64_t since = static_cast<std::uint64_t>(nanoseconds) - static_cast<std::uint64_t>(begin_);
    if (since > reach) since = reach;
    const std::uint64_t window = since / length_;
    return {window, since - window * length_};
  }

 private:
  static constexpr std::uint64_t reach = std::uint64_t{1} << 59;

  std::int64_t begin_ = 0;
  std::uint64_t length_;
};

}  // namespace banyan::detail
