#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>

#include <banyan/core/clock.hpp>
#include <banyan/core/detail/wide_product.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/detail/window_scale.hpp>
#include <banyan/limit/detail/window_word.hpp>
#include <banyan/limit/rate_decision.hpp>

namespace banyan {

struct sliding_window_counter_options {
  std::uint64_t limit = 0;             ///< tokens in any window; at least 1; for a window of a second below 2^25
  std::chrono::nanoseconds window{0};  ///< above 0, at most a year
};

/// Admits about `limit` tokens in any window of time. It counts by fixed windows and takes the one before as if its
/// tokens had come evenly: count + before * (part of the window that is still to come) may reach the limit.
///
/// Promised: in each fixed window at most `limit`; in any interval no longer than the window less than twice the
/// limit, and that only for traffic made for it (all at the end of a window, then as much as is let through); evenly
/// spread traffic gets the limit. For an exact limit take `sliding_window_log`, for a smooth one `token_bucket`.
///
/// State is one word. Where the counts of two windows and 18 years of window numbers do not fit in 64 bits, the window
/// before is rounded up to at least 7 significant bits, which can only refuse. Lock-free, O(1); an admission is one
/// compare-exchange, a refusal one load. Thread-safe. An older `now` counts in the present window, at its beginning.
///
/// Source: Cloudflare, "How we built rate limiting capable of scaling to millions of domains", 2017.
template <class Clock = steady_clock>
class sliding_window_counter {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using options = sliding_window_counter_options;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit sliding_window_counter(sliding_window_counter_options wanted, time_point now = Clock::now())
      : limit_{checked(wanted).limit}, scale_{detail::clamped_nanoseconds(now), wanted.window.count()} {
    const unsigned room = 64 - scale_.number_bits();
    auto bits = static_cast<unsigned>(std::bit_width(limit_));
    if (2 * bits > room) ++bits;  // rounded up, the window before must not overflow
    if (limit_ >= (std::uint64_t{1} << 52) || bits + std::min(bits, 8U) > room) {
      invalid_option("sliding_window_counter_options.limit", limit_,
                     "must be less: two counts and 18 years of windows in 64 bits");
    }
    form_ = {.count_bits = bits, .before_bits = std::min(bits, room - bits)};
  }

  sliding_window_counter(const sliding_window_counter&) = delete;
  sliding_window_counter& operator=(const sliding_window_counter&) = delete;

  /// Counts `n` if they fit, else nothing. `never` when `n` is above the limit.
  rate_decision try_acquire(std::uint64_t n = 1, time_point now = Clock::now()) noexcept {
    if (n > limit_) return rate_decision::refuse_forever();
    const auto at = scale_.at(detail::clamped_nanoseconds(now));
    const auto done = word_.add(form_, at.window, n, [&](const counts& seen) { return fits(seen, n, at); });
    return decision(done.admitted, done.seen, n, at);
  }

  /// What `try_acquire` would answer; counts nothing.
  [[nodiscard]] rate_decision look(std::uint64_t n = 1, time_point now = Clock::now()) const noexcept {
    if (n > limit_) return rate_decision::refuse_forever();
    const auto at = scale_.at(detail::clamped_nanoseconds(now));
    const counts seen = word_.look(form_, at.window);
    return decision(fits(seen, n, at), seen, n, at);
  }

  /// Undoes an admission of `n` at `taken`, if that window is still the present one.
  void give_back(std::uint64_t n, time_point taken, time_point = time_point{}) noexcept {
    word_.take_out(form_, scale_.at(detail::clamped_nanoseconds(taken)).window, n);
  }

 private:
  using counts = detail::window_word::counts;
  using place = detail::window_scale::place;

  static const sliding_window_counter_options& checked(const sliding_window_counter_options& options) {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours{24 * 366};
    if (options.limit == 0) invalid_option("sliding_window_counter_options.limit", 0, "must be at least 1");
    if (options.window.count() <= 0 || options.window > longest) {
      invalid_option("sliding_window_counter_options.window", options.window.count(),
                     "must be above 0, at most a year");
    }
    return options;
  }

  [[nodiscard]] static std::uint64_t elapsed(const counts& seen, const place& at) noexcept {
    return seen.window == at.window ? at.elapsed : 0;
  }

  [[nodiscard]] bool fits(const counts& seen, std::uint64_t n, const place& at) const noexcept {
    if (seen.count + n > limit_) return false;
    const std::uint64_t length = scale_.length();
    return detail::multiply(seen.before, length - elapsed(seen, at)) <=
           detail::multiply(limit_ - seen.count - n, length);
  }

  [[nodiscard]] rate_decision decision(bool admitted, const counts& seen, std::uint64_t n,
                                       const place& at) const noexcept {
    const std::uint64_t length = scale_.length();
    const std::uint64_t now = elapsed(seen, at);
    const std::uint64_t count = seen.count + (admitted ? n : 0);
    const std::uint64_t weight = detail::divide(detail::multiply(seen.before, length - now), length);
    const std::uint64_t free = limit_ - count;
    const std::uint64_t left = free > weight ? free - weight : 0;  // rounded up where the weight is a fraction
    const bool exact =
        left == 0 || detail::multiply(seen.before, length - now) <= detail::multiply(limit_ - count - left, length);
    const std::uint64_t remaining = exact ? left : left - 1;
    if (admitted) return rate_decision::admit(remaining);

    // From the beginning of the window that the others are in; a request with an older now gets there first.
    std::uint64_t wait = (seen.window - at.window) * length - at.elapsed;
    if (seen.count + n <= limit_) {
      wait += fits_from(seen.before, limit_ - seen.count - n);
    } else {
      wait += length + fits_from(form_.rounded(seen.count), limit_ - n);
    }
    return rate_decision::refuse(std::chrono::nanoseconds{static_cast<std::int64_t>(wait)}, remaining);
  }

  /// After how much of a window the one before it weighs no more than `most`.
  [[nodiscard]] std::uint64_t fits_from(std::uint64_t before, std::uint64_t most) const noexcept {
    if (before <= most) return 0;
    return scale_.length() - detail::divide(detail::multiply(most, scale_.length()), before);
  }

  std::uint64_t limit_;
  detail::window_scale scale_;
  detail::window_word::layout form_;
  detail::window_word word_;
};

}  // namespace banyan
