#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <limits>
#include <thread>

#include <banyan/core/clock.hpp>

#if defined(__linux__) && __has_include(<linux/futex.h>)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <ctime>
#if defined(SYS_futex)
#define BANYAN_HAS_FUTEX 1
#endif
#endif
#if !defined(BANYAN_HAS_FUTEX)
#define BANYAN_HAS_FUTEX 0
#endif

namespace banyan {

/// A 32-bit word on which threads may sleep until it changes. It wakes whom it is told to and remembers nothing: change
/// the word first, then notify. The order of wake-ups is the system's.
///
/// The word itself is an ordinary atomic. A notification may touch the address after the word is gone, which the system
/// takes as a wake-up for nobody in particular: waiters therefore look again, as `wait` does.
///
/// Thread-safe. `wait` blocks until the word differs from `expected`; everything else is wait-free.
///
/// Source: U. Drepper, "Futexes are tricky", 2011. `std::atomic::wait` serves where there is no futex; it has lost
/// wake-ups in libstdc++ for other sizes than 32 bits.
class parking_word {
 public:
  explicit constexpr parking_word(std::uint32_t initial = 0) noexcept : word_{initial} {}

  parking_word(const parking_word&) = delete;
  parking_word& operator=(const parking_word&) = delete;

  [[nodiscard]] std::atomic<std::uint32_t>& value() noexcept { return word_; }
  [[nodiscard]] const std::atomic<std::uint32_t>& value() const noexcept { return word_; }

  /// Returns once the word is not `expected` (acquire). Blocking.
  void wait(std::uint32_t expected) noexcept {
    // (2) acquire: pairs with whatever release changed the word.
    while (word_.load(std::memory_order_acquire) == expected) {
#if BANYAN_HAS_FUTEX
      sleep(expected, nullptr);
#else
      word_.wait(expected, std::memory_order_acquire);
#endif
    }
  }

  /// As above, until `until` at the latest; false if the word was still `expected` then. Blocking up to there.
  [[nodiscard]] bool wait_until(std::uint32_t expected, steady_clock::time_point until) noexcept {
    for (;;) {
      if (word_.load(std::memory_order_acquire) != expected) return true;  // as (2)
      const steady_clock::time_point now = steady_clock::now();
      if (now >= until) return false;
#if BANYAN_HAS_FUTEX
      // The steady clock of both standard libraries is CLOCK_MONOTONIC here; asking for the time that is left spares us
      // from relying on it.
      const auto left = until - now;
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timespec time{};
      using ticks = decltype(time.tv_sec);
      time.tv_sec = seconds.count() < max_sleep ? static_cast<ticks>(seconds.count()) : static_cast<ticks>(max_sleep);
      time.tv_nsec = static_cast<decltype(time.tv_nsec)>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds).count());
      sleep(expected, &time);
#else
      const auto left = until - now;
      std::this_thread::sleep_for(left < std::chrono::milliseconds{1} ? left : std::chrono::milliseconds{1});
#endif
    }
  }

  /// Wakes one of the threads that wait, if any. A system call.
  void notify_one() noexcept {
#if BANYAN_HAS_FUTEX
    wake(1);
#else
    word_.notify_one();
#endif
  }

  /// Wakes all threads that wait. A system call.
  void notify_all() noexcept {
#if BANYAN_HAS_FUTEX
    wake(std::numeric_limits<int>::max());
#else
    word_.notify_all();
#endif
  }

 private:
#if BANYAN_HAS_FUTEX
  static constexpr std::int64_t max_sleep = 24 * 60 * 60;  // seconds; then the deadline is looked at again

  // The kernel compares and sleeps in one step; signals and spurious wake-ups end in another look at the word.
  void sleep(std::uint32_t expected, const timespec* longest) noexcept {
    const int saved = errno;
    ::syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, expected, longest, nullptr, 0);
    errno = saved;
  }

  void wake(int count) noexcept {
    const int saved = errno;
    ::syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
    errno = saved;
  }
#endif

  std::atomic<std::uint32_t> word_;
};

static_assert(sizeof(parking_word) == sizeof(std::uint32_t) && std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace banyan
