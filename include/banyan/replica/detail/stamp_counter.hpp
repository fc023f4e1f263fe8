#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace banyan::detail {

/// Numbers that only grow, and are given to one caller each: the larger of what the caller knows and one more than all
/// that was given or taken before.
///
///     last -> max(last + 1, received + 1, least)
///
/// A number is given by the compare-exchange that brings it in, from the one before to itself: two callers that saw the
/// same last number cannot both succeed. At the end of the numbers it stands still, and gives the last one again.
///
/// Lock-free: another try means that somebody else got a number.
template <template <class> class Atomic = std::atomic>
class stamp_counter {
 public:
  explicit constexpr stamp_counter(std::uint64_t last = 0) noexcept : last_{last} {}

  [[nodiscard]] std::uint64_t latest() const noexcept {
    return last_.load(std::memory_order_relaxed);  // as below
  }

  /// A number later than all before and than `received`, and at least `least`.
  std::uint64_t next(std::uint64_t received, std::uint64_t least) noexcept {
    // relaxed: the number is all that is shared, and one variable's values are seen in order. What a stamp orders is
    // handed on by other means.
    std::uint64_t last = last_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t known = last > received ? last : received;
      const std::uint64_t after = known == std::numeric_limits<std::uint64_t>::max() ? known : known + 1;
      const std::uint64_t given = least > after ? least : after;
      if (last_.compare_exchange_weak(last, given, std::memory_order_relaxed)) return given;
    }
  }

 private:
  Atomic<std::uint64_t> last_;
};

}  // namespace banyan::detail
