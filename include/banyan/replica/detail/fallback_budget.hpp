#pragma once

#include <atomic>
#include <cstdint>

#include <banyan/core/cache_line.hpp>

namespace banyan::detail {

/// The part of the reads that may go to the primary. Each read brings its part of a credit, each fallback takes one;
/// what is not used adds up to `burst`. Threads bring what they have in batches, so that the word is not written by
/// every read.
///
/// Credits are counted in 2^-32: a share is right to within that. Lock-free: a repetition means that somebody else has
/// changed the word. One that brings gives up after some tries: the credits of a batch are then missing.
template <template <class> class Atomic = std::atomic>
class fallback_budget {
 public:
  static constexpr std::uint32_t batch = 16;  // reads

  fallback_budget(double share, std::uint32_t burst) noexcept
      : per_batch_{static_cast<std::uint64_t>(share * one * batch)},
        most_{share > 0 ? std::uint64_t{burst} << 32 : 0},
        credit_{most_} {}

  /// `batch` reads have come.
  void bring() noexcept {
    std::uint64_t credit = credit_.load(std::memory_order_relaxed);  // relaxed: the number is all there is
    for (int i = 0; i < 16 && credit < most_; ++i) {
      const std::uint64_t more = most_ - credit < per_batch_ ? most_ : credit + per_batch_;
      if (credit_.compare_exchange_weak(credit, more, std::memory_order_relaxed)) return;
    }
  }

  [[nodiscard]] bool try_take() noexcept {
    std::uint64_t credit = credit_.load(std::memory_order_relaxed);
    while (credit >= whole) {
      if (credit_.compare_exchange_weak(credit, credit - whole, std::memory_order_relaxed)) return true;
    }
    return false;
  }

 private:
  static constexpr double one = 4294967296.0;
  static constexpr std::uint64_t whole = std::uint64_t{1} << 32;

  std::uint64_t per_batch_;
  std::uint64_t most_;
  alignas(cache_line_size) Atomic<std::uint64_t> credit_;
};

}  // namespace banyan::detail
