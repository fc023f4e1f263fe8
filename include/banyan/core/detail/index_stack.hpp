#pragma once

#include <atomic>
#include <cstdint>

namespace banyan::detail {

/// A lock-free stack of numbers over an array of links that outlives it (Treiber 1986). A 32-bit version beside the
/// top makes a compare-exchange fail when the top was popped and pushed back meanwhile; a pop that sleeps through
/// exactly 2^32 others is not guarded against.
///
/// `Links` gives `Atomic<std::uint32_t>& operator()(i)`; a link holds 0 for the end or `i + 1`, in its low 31 bits
/// (the top bit is the array owner's and is kept by `push` as it stands in `kept_bit`). Lock-free; O(1).
template <template <class> class Atomic = std::atomic>
class basic_index_stack {
 public:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// Pushes a chain whose members are already linked from `first` to `last`.
  template <class Links>
  void push(std::uint32_t first, std::uint32_t last, Links&& links, std::uint32_t kept_bit = 0) noexcept {
    std::uint64_t top = top_.load(std::memory_order_relaxed);  // only a guess: the exchange decides
    std::uint64_t wanted = 0;
    do {
      links(last).store(static_cast<std::uint32_t>(top) | kept_bit, std::memory_order_relaxed);
      wanted = ((top >> 32) + 1) << 32 | (first + 1);
      // (1) release: publishes the links, and what the caller wrote to the members, to (2).
    } while (!top_.compare_exchange_weak(top, wanted, std::memory_order_release, std::memory_order_relaxed));
  }

  template <class Links>
  void push(std::uint32_t index, Links&& links, std::uint32_t kept_bit = 0) noexcept {
    push(index, index, links, kept_bit);
  }

  /// The newest member, or `none`.
  template <class Links>
  std::uint32_t pop(Links&& links) noexcept {
    // (2) acquire: pairs with the release in (1); every later version of the top carries on its release sequence.
    std::uint64_t top = top_.load(std::memory_order_acquire);
    while (static_cast<std::uint32_t>(top) != 0) {
      const std::uint32_t index = static_cast<std::uint32_t>(top) - 1;
      // May be stale: then the version has moved on and the exchange fails.
      const std::uint32_t next = links(index).load(std::memory_order_relaxed) & ~(std::uint32_t{1} << 31);
      const std::uint64_t wanted = ((top >> 32) + 1) << 32 | next;
      if (top_.compare_exchange_weak(top, wanted, std::memory_order_acquire, std::memory_order_acquire)) return index;
    }
    return none;
  }

  [[nodiscard]] bool empty() const noexcept {
    return static_cast<std::uint32_t>(top_.load(std::memory_order_relaxed)) == 0;  // a hint
  }

 private:
  Atomic<std::uint64_t> top_{0};
};

using index_stack = basic_index_stack<>;

}  // namespace banyan::detail
