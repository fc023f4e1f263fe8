#pragma once

#include <atomic>
#include <cstdint>

namespace banyan::detail {

/// Counts in the present window and, if asked to, in the one before it, in one word: window number, count of the window
/// before, count. Windows only go forward: what comes with an older one counts in the present one.
///
/// Lock-free: a repetition means that another request went through. The word is all that is shared, so relaxed will do.
class window_word {
 public:
  struct layout {
    unsigned count_bits = 1;
    unsigned before_bits = 0;  ///< at most `count_bits`; where it is less, that count is rounded up and must fit

    /// What becomes of a count when its window is the one before.
    [[nodiscard]] constexpr std::uint64_t rounded(std::uint64_t count) const noexcept {
      const std::uint64_t unit = mask(count_bits - before_bits);
      return (count + unit) & ~unit;
    }
  };

  struct counts {
    std::uint64_t window = 0;
    std::uint64_t before = 0;
    std::uint64_t count = 0;
  };

  /// What there is at `window`, or at a later one if there is any.
  [[nodiscard]] counts look(layout form, std::uint64_t window) const noexcept {
    return moved(form, unpacked(form, word_.load(std::memory_order_relaxed)), window);
  }

  /// Adds `n` if `fits(counts before it)`, else changes nothing. Returns whether,
  /// and the counts before.
  struct answer {
    bool admitted = false;
    counts seen;
  };
  template <class Fits>
  answer add(layout form, std::uint64_t window, std::uint64_t n, Fits fits) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      const counts now = moved(form, unpacked(form, word), window);
      if (!fits(now)) return {false, now};
      counts next = now;
      next.count += n;
      if (word_.compare_exchange_weak(word, packed(form, next), std::memory_order_relaxed)) return {true, now};
    }
  }

  /// Takes `n` out of the count of `window` if it is still the present one.
  void take_out(layout form, std::uint64_t window, std::uint64_t n) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      counts now = unpacked(form, word);
      if (now.window != window || now.count < n) return;
      now.count -= n;
      if (word_.compare_exchange_weak(word, packed(form, now), std::memory_order_relaxed)) return;
    }
  }

 private:
  static constexpr std::uint64_t mask(unsigned bits) noexcept { return (std::uint64_t{1} << bits) - 1; }

  static constexpr counts moved(layout form, counts now, std::uint64_t window) noexcept {
    if (window <= now.window) return now;
    if (form.before_bits == 0 || window != now.window + 1) return {window, 0, 0};
    return {window, form.rounded(now.count), 0};
  }

  static constexpr counts unpacked(layout form, std::uint64_t word) noexcept {
    const unsigned lost = form.count_bits - form.before_bits;
    return {word >> (form.count_bits + form.before_bits),
            form.before_bits == 0 ? 0 : ((word >> form.count_bits) & mask(form.before_bits)) << lost,
            word & mask(form.count_bits)};
  }

  static constexpr std::uint64_t packed(layout form, counts now) noexcept {
    const unsigned lost = form.count_bits - form.before_bits;
    const std::uint64_t before = form.before_bits == 0 ? 0 : now.before >> lost;
    return (((now.window << form.before_bits) | before) << form.count_bits) | now.count;
  }

  std::atomic<std::uint64_t> word_{0};
};

}  // namespace banyan::detail
