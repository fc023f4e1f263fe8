#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>

#include <banyan/core/random.hpp>

#if defined(__linux__) && __has_include(<sys/random.h>)
#include <sys/random.h>
#define BANYAN_HAS_GETRANDOM 1
#else
#define BANYAN_HAS_GETRANDOM 0
#endif

namespace banyan {

namespace detail {

inline std::uint64_t draw_seed() noexcept {
#if BANYAN_HAS_GETRANDOM
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, GRND_NONBLOCK) == static_cast<ssize_t>(sizeof seed)) return seed;
#else
#if defined(__cpp_exceptions)
  try {
#endif
    std::random_device device;
    return (std::uint64_t{device()} << 32) | std::uint64_t{device()};
#if defined(__cpp_exceptions)
  } catch (...) {  // no source of randomness: the clock and the layout of memory remain
  }
#endif
#endif
  static const char place = 0;
  const auto ticks = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  return mix_bits(ticks ^ mix_bits(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&place))));
}

inline constinit std::atomic<std::uint64_t> drawn_process_seed{0};

}  // namespace detail

/// A random number drawn from the operating system on first use and kept for the life of the process: the default seed
/// of hashes, so that nobody outside can construct colliding keys. Never 0. Wait-free after the first use, O(1).
/// Another shared library may see another number.
[[nodiscard]] inline std::uint64_t process_seed() noexcept {
  // The number is all there is to see, so relaxed will do.
  std::uint64_t seed = detail::drawn_process_seed.load(std::memory_order_relaxed);
  if (seed != 0) [[likely]] {
    return seed;
  }
  std::uint64_t drawn = detail::draw_seed();
  if (drawn == 0) drawn = 1;
  return detail::drawn_process_seed.compare_exchange_strong(seed, drawn, std::memory_order_relaxed) ? drawn : seed;
}

}  // namespace banyan
