#pragma once

#include <atomic>
#include <cstdint>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// A thread's own place in a cycle and its own random numbers. The first threads have one each; all others share one,
/// which then is changed by read-modify-writes. Wait-free, O(1).
class alignas(cache_line_size) thread_sequence {
 public:
  /// `part`: where it starts, as a fraction of 2^64 of the cycle.
  void start(std::uint64_t part, std::uint64_t seed, bool shared) noexcept {
    part_ = part;
    random_.store(seed, std::memory_order_relaxed);
    shared_ = shared;
    if (shared) next_.store(0, std::memory_order_relaxed);
  }

  std::uint64_t random() noexcept {
    constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;
    std::uint64_t state = 0;
    if (!shared_) [[likely]] {
      state = random_.load(std::memory_order_relaxed) + golden;
      random_.store(state, std::memory_order_relaxed);
    } else {
      state = random_.fetch_add(golden, std::memory_order_relaxed) + golden;
    }
    return mix_bits(state);
  }

  std::uint64_t advance(std::uint64_t length) noexcept {
    if (shared_) [[unlikely]] {
      return next_.fetch_add(1, std::memory_order_relaxed) % length;
    }
    std::uint64_t at = next_.load(std::memory_order_relaxed);
    if (at >= length) [[unlikely]] {
      // The cycle is over, has become shorter, or has not begun.
      at = at == not_started ? first(length) : 0;
    }
    next_.store(at + 1, std::memory_order_relaxed);
    return at;
  }

 private:
  static constexpr std::uint64_t not_started = ~std::uint64_t{0};

  [[nodiscard]] std::uint64_t first(std::uint64_t length) const noexcept {
    return static_cast<std::uint64_t>(static_cast<double>(part_) * 0x1p-64 * static_cast<double>(length)) % length;
  }

  std::atomic<std::uint64_t> next_{not_started};
  std::atomic<std::uint64_t> random_{0};
  std::uint64_t part_ = 0;
  bool shared_ = false;
};

}  // namespace banyan::detail
