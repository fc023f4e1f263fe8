#pragma once

#include <atomic>
#include <cstdint>

namespace banyan::detail {

/// How many are alive, and how many of these are about to leave. Lock-free, O(1).
template <template <class> class Atomic = std::atomic>
class population {
 public:
  /// One more, unless there are `most`.
  [[nodiscard]] bool try_enter(std::uint32_t most) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);  // a guess: the exchange decides
    do {
      if (alive_in(word) >= most) return false;
      // (1) acquire: pairs with the release in (2): what left is gone before what comes begins.
    } while (!word_.compare_exchange_weak(word, word + 1, std::memory_order_acquire, std::memory_order_relaxed));
    return true;
  }

  /// One is about to leave, if more than `least` stay that are not.
  [[nodiscard]] bool try_leave(std::uint32_t least) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      if (alive_in(word) - leaving_in(word) <= least) return false;
    } while (!word_.compare_exchange_weak(word, word + one_leaving, std::memory_order_relaxed));
    return true;
  }
  void leave() noexcept { word_.fetch_add(one_leaving, std::memory_order_relaxed); }

  /// One that was about to leave has left.
  /// seq_cst, as `alive`: who leaves and then looks whether the pool is closed, and who closes it and then looks who is
  /// alive, cannot miss each other.
  void left() noexcept { word_.fetch_sub(one_leaving + 1, std::memory_order_seq_cst); }  // (2) release: pairs with (1)

  [[nodiscard]] std::uint32_t alive() const noexcept { return alive_in(word_.load(std::memory_order_seq_cst)); }
  [[nodiscard]] std::uint32_t staying() const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    return alive_in(word) - leaving_in(word);
  }

 private:
  static constexpr std::uint64_t one_leaving = std::uint64_t{1} << 32;
  static std::uint32_t alive_in(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
  static std::uint32_t leaving_in(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32); }

  Atomic<std::uint64_t> word_{0};
};

}  // namespace banyan::detail
