#pragma once

#include <atomic>
#include <cstdint>

namespace banyan::detail {

/// Counts votes of two kinds and tells, once, which of them has won.
///
///     undecided -> reached      by the yes number `needed`
///               -> impossible   by the no number `total - needed + 1`
///
/// There are at most `total` votes, too few for both, so exactly one vote can be the deciding one: it is the one whose
/// addition arrives at such a number. Both counts are one word, so the same vote cannot be counted as both.
///
/// Wait-free: one addition.
template <template <class> class Atomic = std::atomic>
class vote_count {
 public:
  enum class decision : std::uint8_t { none, reached, impossible };

  /// `needed` from 1 to `total`.
  constexpr vote_count(std::uint32_t needed, std::uint32_t total) noexcept : needed_{needed}, total_{total} {}

  /// Not `none` for the one vote that decides. No more than `total` calls.
  decision cast(bool yes) noexcept {
    // (1) acquire and release: pairs with itself. Who decides comes after all who voted before, and who looks by (2)
    // after all that was counted.
    const std::uint64_t before = counts_.fetch_add(yes ? one_yes : one_no, std::memory_order_acq_rel);
    if (yes) return yes_of(before) + 1 == needed_ ? decision::reached : decision::none;
    return no_of(before) + 1 == total_ - needed_ + 1 ? decision::impossible : decision::none;
  }

  [[nodiscard]] std::uint32_t yes() const noexcept {
    return yes_of(counts_.load(std::memory_order_acquire));  // (2) acquire: pairs with (1)
  }
  [[nodiscard]] std::uint32_t no() const noexcept {
    return no_of(counts_.load(std::memory_order_acquire));  // as (2)
  }
  [[nodiscard]] std::uint32_t needed() const noexcept { return needed_; }
  [[nodiscard]] std::uint32_t total() const noexcept { return total_; }

 private:
  static constexpr std::uint64_t one_yes = 1;
  static constexpr std::uint64_t one_no = std::uint64_t{1} << 32;
  static constexpr std::uint32_t yes_of(std::uint64_t counts) noexcept { return static_cast<std::uint32_t>(counts); }
  static constexpr std::uint32_t no_of(std::uint64_t counts) noexcept {
    return static_cast<std::uint32_t>(counts >> 32);
  }

  const std::uint32_t needed_;
  const std::uint32_t total_;
  Atomic<std::uint64_t> counts_{0};  // yes:32, no:32
};

}  // namespace banyan::detail
