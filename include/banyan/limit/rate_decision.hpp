#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

#include <banyan/limit/detail/gcra_terms.hpp>
#include <banyan/limit/detail/gcra_word.hpp>
#include <banyan/limit/detail/tick_scale.hpp>

namespace banyan {

/// A rate limiter's answer: now, later, or never.
///
///     if (auto d = api.try_acquire()) { serve(); } else { reply_429(d.retry_after()); }
///
/// A value; every operation is O(1) and wait-free. `remaining` is worked out when asked for.
class rate_decision {
 public:
  using duration = std::chrono::nanoseconds;

  /// For limiters of your own. `wait`: how long the admitted request has to wait before it goes ahead.
  [[nodiscard]] static constexpr rate_decision admit(std::uint64_t remaining, duration wait = duration{0}) noexcept {
    return {verdict::admitted, wait.count(), remaining, {}};
  }
  [[nodiscard]] static constexpr rate_decision refuse(duration retry_after, std::uint64_t remaining = 0) noexcept {
    return {verdict::refused, retry_after.count(), remaining, {}};
  }
  [[nodiscard]] static constexpr rate_decision refuse_forever() noexcept { return {verdict::never, 0, 0, {}}; }

  /// What a bucket decided.
  constexpr rate_decision(const detail::gcra_outcome& outcome, detail::gcra_terms terms) noexcept
      : rate_decision{outcome.what, detail::tick_scale::nanoseconds(outcome.wait), outcome.credit, terms} {}

  [[nodiscard]] constexpr bool allowed() const noexcept { return what_ == verdict::admitted; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return allowed(); }

  /// Refused, and waiting will not help: more was asked for than the limiter ever gives at once.
  [[nodiscard]] constexpr bool never() const noexcept { return what_ == verdict::never; }

  /// When refused: after how long the same request would be admitted if nobody else came. The longest duration for
  /// `never`, 0 when admitted. Rounded up.
  [[nodiscard]] constexpr duration retry_after() const noexcept {
    if (never()) return duration::max();
    return allowed() ? duration{0} : duration{nanoseconds_};
  }

  /// When admitted: how long to wait before going ahead. 0 but for reservations and paced limiters.
  [[nodiscard]] constexpr duration wait() const noexcept { return duration{allowed() ? nanoseconds_ : 0}; }

  /// How many tokens were left after this decision; 0 for `never`.
  [[nodiscard]] constexpr std::uint64_t remaining() const noexcept {
    return terms_.bits() == 0 ? left_ : terms_.tokens(left_);
  }

 private:
  using verdict = detail::gcra_outcome::verdict;

  constexpr rate_decision(verdict what, std::int64_t nanoseconds, std::uint64_t left, detail::gcra_terms terms) noexcept
      : nanoseconds_{nanoseconds}, left_{left}, terms_{terms}, what_{what} {}

  std::int64_t nanoseconds_;
  std::uint64_t left_;  // tokens, or ticks when there are terms to count them by
  detail::gcra_terms terms_;
  verdict what_;
};

}  // namespace banyan
