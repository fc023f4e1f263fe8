#pragma once

#include <atomic>
#include <cstdint>

namespace banyan::detail {

/// How many may be opened at the same time, and when. One word: how many are, how many may be, how many failed in a
/// row.
///
///     up:    limit = most
///     failure:  limit = 1, and nothing begins before a pause that doubles with each failure
///     success:  limit = twice what it was, up to most; not while what is opened proves useless
///
/// Lock-free, O(1). Times are ticks of one clock, in nanoseconds.
template <template <class> class Atomic = std::atomic>
class opening_pace {
 public:
  opening_pace(std::uint32_t most, std::int64_t base, std::int64_t cap) noexcept
      : most_{most < 0xffff ? most : 0xffff}, base_{base}, cap_{cap}, word_{word_of(0, most_, 0)} {}

  /// True: one more is being opened, until `succeeded`, `failed` or `abandoned`.
  [[nodiscard]] bool try_begin(std::int64_t now) noexcept {
    // relaxed throughout: one word and one time, which order nothing else.
    // A pause that seems longer than any is one whose clock was set back.
    const std::int64_t until = not_before_.load(std::memory_order_relaxed);
    if (now < until && until - now <= cap_) return false;
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      if (opening_in(word) >= limit_in(word)) return false;
    } while (!word_.compare_exchange_weak(word, word + 1, std::memory_order_relaxed));
    return true;
  }

  /// `forgive`: the failures before are over.
  void succeeded(bool forgive = true) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
      const std::uint64_t limit = limit_in(word) * 2;
      next = forgive ? word_of(opening_in(word) - 1, limit < most_ ? limit : most_, 0) : word - 1;
    } while (!word_.compare_exchange_weak(word, next, std::memory_order_relaxed));
  }

  /// `random` has 64 random bits.
  void failed(std::int64_t now, std::uint64_t random) noexcept { fail(now, random, 1); }

  /// What was opened before proved useless: as a failure, of none that is being opened.
  void set_back(std::int64_t now, std::uint64_t random) noexcept { fail(now, random, 0); }

  void abandoned() noexcept { word_.fetch_sub(1, std::memory_order_relaxed); }

  [[nodiscard]] std::uint32_t opening() const noexcept {
    return static_cast<std::uint32_t>(opening_in(word_.load(std::memory_order_relaxed)));
  }
  [[nodiscard]] std::int64_t not_before() const noexcept { return not_before_.load(std::memory_order_relaxed); }

 private:
  static std::uint64_t word_of(std::uint64_t opening, std::uint64_t limit, std::uint64_t failures) noexcept {
    return failures << 32 | limit << 16 | opening;
  }
  static std::uint64_t opening_in(std::uint64_t word) noexcept { return word & 0xffff; }
  static std::uint64_t limit_in(std::uint64_t word) noexcept { return word >> 16 & 0xffff; }
  static std::uint64_t failures_in(std::uint64_t word) noexcept { return word >> 32; }

  void fail(std::int64_t now, std::uint64_t random, std::uint64_t ended) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    std::uint64_t failures = 0;
    do {
      failures = failures_in(word) < 63 ? failures_in(word) + 1 : 63;
    } while (
        !word_.compare_exchange_weak(word, word_of(opening_in(word) - ended, 1, failures), std::memory_order_relaxed));
    std::int64_t pause = base_;
    for (std::uint64_t i = 1; i < failures && pause < cap_; ++i) pause *= 2;
    if (pause > cap_) pause = cap_;
    const auto less =
        static_cast<std::int64_t>(static_cast<double>(random >> 11) * 0x1p-53 * static_cast<double>(pause) / 2);
    not_before_.store(now + pause - less, std::memory_order_relaxed);
  }

  std::uint64_t most_;
  std::int64_t base_;
  std::int64_t cap_;
  Atomic<std::uint64_t> word_;
  Atomic<std::int64_t> not_before_{INT64_MIN};
};

}  // namespace banyan::detail
