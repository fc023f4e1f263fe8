#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <banyan/limit/detail/gcra_terms.hpp>

namespace banyan::detail {

/// A clock's time in nanoseconds since its epoch; what does not fit is the nearest that does. O(1), wait-free.
template <class TimePoint>
[[nodiscard]] constexpr std::int64_t clamped_nanoseconds(TimePoint now) noexcept {
  using duration = typename TimePoint::duration;
  using std::chrono::nanoseconds;
  if constexpr (std::is_same_v<duration, nanoseconds>) {
    return now.time_since_epoch().count();
  } else {
    using wide = std::chrono::duration<long double, std::nano>;
    const duration since = now.time_since_epoch();
    if (wide{since}.count() >= 9.2e18L) return std::numeric_limits<std::int64_t>::max();
    if (wide{since}.count() <= -9.2e18L) return std::numeric_limits<std::int64_t>::min();
    return std::chrono::duration_cast<nanoseconds>(since).count();
  }
}

/// Any duration in nanoseconds, rounded down, in the same way.
template <class Rep, class Period>
[[nodiscard]] constexpr std::int64_t clamped_nanoseconds(std::chrono::duration<Rep, Period> length) noexcept {
  using wide = std::chrono::duration<long double, std::nano>;
  if (!(wide{length}.count() < 9.2e18L)) return std::numeric_limits<std::int64_t>::max();
  if (wide{length}.count() <= -9.2e18L) return std::numeric_limits<std::int64_t>::min();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(length).count();
}

/// The ticks of one bucket: 0 lies `gcra_terms::max_tolerance` before its construction, so that a new bucket, empty
/// since 0, is full. They end thirteen years after it; then time stands still, and so does the bucket.
class tick_scale {
 public:
  explicit constexpr tick_scale(std::int64_t constructed) noexcept {
    const std::uint64_t since_first = static_cast<std::uint64_t>(constructed) - static_cast<std::uint64_t>(first);
    if (since_first >= before) {
      zero_ = constructed - static_cast<std::int64_t>(before);
    } else {
      zero_ = first;  // before which there are no times: they begin later than at 0
      offset_ = before - since_first;
    }
  }

  [[nodiscard]] constexpr std::uint64_t ticks(std::int64_t nanoseconds) const noexcept {
    const std::uint64_t since = static_cast<std::uint64_t>(nanoseconds) - static_cast<std::uint64_t>(zero_);
    if (nanoseconds < zero_) return offset_ << ticks_per_nanosecond_log2;
    const std::uint64_t passed = (since < last ? since : last) + offset_;
    return (passed < last ? passed : last) << ticks_per_nanosecond_log2;
  }

  [[nodiscard]] static constexpr std::uint64_t length(std::int64_t nanoseconds) noexcept {
    if (nanoseconds <= 0) return 0;
    const auto positive = static_cast<std::uint64_t>(nanoseconds);
    return (positive < last ? positive : last) << ticks_per_nanosecond_log2;
  }

  /// Rounded up.
  [[nodiscard]] static constexpr std::int64_t nanoseconds(std::uint64_t ticks) noexcept {
    constexpr std::uint64_t part = (std::uint64_t{1} << ticks_per_nanosecond_log2) - 1;
    return static_cast<std::int64_t>((ticks >> ticks_per_nanosecond_log2) + ((ticks & part) != 0 ? 1 : 0));
  }

 private:
  static constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
  static constexpr std::uint64_t before = gcra_terms::max_tolerance >> ticks_per_nanosecond_log2;
  static constexpr std::uint64_t last =
      (std::numeric_limits<std::uint64_t>::max() >> ticks_per_nanosecond_log2) - 1 - before;

  std::int64_t zero_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace banyan::detail
