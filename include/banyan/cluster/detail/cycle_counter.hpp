#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#endif

namespace banyan::detail {

/// The processor's counter, to tell "just now" from "a while ago" for less than reading a clock costs. It is never
/// compared between threads and decides nothing but when to look again.
struct cycle_counter {
#if defined(__x86_64__) || defined(__i386__)
  static constexpr std::uint64_t microseconds_20 = 50'000;  // at 2 to 4 GHz
  [[nodiscard]] static std::uint64_t now() noexcept { return __rdtsc(); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t microseconds_20 = 500;  // 25 MHz on most systems; 1 GHz by architecture 8.6
  [[nodiscard]] static std::uint64_t now() noexcept {
    std::uint64_t count = 0;
    asm volatile("mrs %0, cntvct_el0" : "=r"(count));
    return count;
  }
#else
  // Without a counter, look every time.
  static constexpr std::uint64_t microseconds_20 = 0;
  [[nodiscard]] static std::uint64_t now() noexcept {
    static constinit thread_local std::uint64_t calls = 0;
    return ++calls;
  }
#endif
};

}  // namespace banyan::detail
