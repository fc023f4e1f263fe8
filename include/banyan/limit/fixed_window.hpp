#pragma once

#include <bit>
#include <chrono>
#include <cstdint>

#include <banyan/core/clock.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/detail/window_scale.hpp>
#include <banyan/limit/detail/window_word.hpp>
#include <banyan/limit/rate_decision.hpp>

namespace banyan {

struct fixed_window_options {
  std::uint64_t limit = 0;  ///< tokens in each window; at least 1, at most about 16 for each nanosecond of it
  std::chrono::nanoseconds window{0};  ///< above 0, at most a year
};

/// Admits `limit` tokens in each window of time; windows begin at multiples of their length since the clock's epoch.
/// For quotas that the other side counts in the same way: what matters is when they begin, not how even they are.
///
/// Promised: at most `limit` in each window, so over any interval of length t at most limit * (t / window + 2); in
/// particular up to twice the limit around a boundary. By the clock that is ahead: a request with an older `now` counts
/// in the present window.
///
/// State is one word. Lock-free, O(1); an admission is one compare-exchange, a refusal one load. Thread-safe. Windows
/// end eighteen years after construction; then the last one stays.
template <class Clock = steady_clock>
class fixed_window {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using options = fixed_window_options;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit fixed_window(fixed_window_options wanted, time_point now = Clock::now())
      : limit_{checked(wanted).limit},
        scale_{detail::clamped_nanoseconds(now), wanted.window.count()},
        form_{.count_bits = static_cast<unsigned>(std::bit_width(limit_)), .before_bits = 0} {
    if (form_.count_bits + scale_.number_bits() > 64) {
      invalid_option("fixed_window_options.limit", limit_,
                     "must be less: its count and 18 years of windows in 64 bits");
    }
  }

  fixed_window(const fixed_window&) = delete;
  fixed_window& operator=(const fixed_window&) = delete;

  /// Counts `n` if they fit in what is left of the window, else nothing. `never` when `n` is above the limit.
  rate_decision try_acquire(std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    if (n > limit_) return rate_decision::refuse_forever();
    const auto at = place(now);
    const auto done = word_.add(form_, at.window, n, [&](const auto& counts) { return counts.count + n <= limit_; });
    return decision(done.admitted, done.seen, n, at);
  }

  /// What `try_acquire` would answer; counts nothing.
  [[nodiscard]] rate_decision look(std::uint64_t n = 1, time_point now = Clock::now()) const noexcept {
    if (n > limit_) return rate_decision::refuse_forever();
    const auto at = place(now);
    const auto counts = word_.look(form_, at.window);
    return decision(counts.count + n <= limit_, counts, n, at);
  }

  /// Undoes an admission of `n` at `taken`, if that window is still the present one.
  void give_back(std::uint64_t n, time_point taken, time_point = time_point{}) noexcept {
    word_.take_out(form_, place(taken).window, n);
  }

 private:
  static const fixed_window_options& checked(const fixed_window_options& options) {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours{24 * 366};
    if (options.limit == 0) invalid_option("fixed_window_options.limit", 0, "must be at least 1");
    if (options.window.count() <= 0 || options.window > longest)
      invalid_option("fixed_window_options.window", options.window.count(), "must be above 0, at most a year");
    return options;
  }

  [[nodiscard]] detail::window_scale::place place(time_point now) const noexcept {
    return scale_.at(detail::clamped_nanoseconds(now));
  }

  [[nodiscard]] rate_decision decision(bool admitted, const detail::window_word::counts& before, std::uint64_t n,
                                       const detail::window_scale::place& at) const noexcept {
    if (admitted) return rate_decision::admit(limit_ - before.count - n);
    // A request with an older now waits for the end of the window that the others are in.
    const std::uint64_t wait = (before.window - at.window + 1) * scale_.length() - at.elapsed;
    return rate_decision::refuse(std::chrono::nanoseconds{wait}, limit_ - before.count);
  }

  std::uint64_t limit_;
  detail::window_scale scale_;
  detail::window_word::layout form_;
  detail::window_word word_;
};

}  // namespace banyan
