#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>

namespace banyan::detail {

/// The last requests of one thread, by hash, for whoever wants to learn from a sample of them. One thread writes and
/// one reads. The writer never waits and never looks at what the reader has done, so the two share a cache line only
/// while the reader reads; what the reader is too slow for is overwritten, oldest first.
///
/// Zero-initialised it is an empty ring. 520 bytes. `push`: O(1), wait-free. `drain`: O(`capacity`), wait-free.
class sample_ring {
 public:
  static constexpr std::uint32_t capacity = 128;

  void push(std::uint32_t hash) noexcept {
    const std::uint32_t at = written_.load(std::memory_order_relaxed);  // only this thread writes it
    samples_[at % capacity].store(hash, std::memory_order_relaxed);     // published by (1)
    written_.store(at + 1, std::memory_order_release);                  // (1) release: pairs with (2)
  }

  /// Calls `use(hash)` for what came since the last call, oldest first. A sample that is overwritten meanwhile shows
  /// the newer request in its place: samples are hints, and none is a torn one.
  template <std::invocable<std::uint32_t> Use>
  void drain(Use&& use) noexcept(std::is_nothrow_invocable_v<Use, std::uint32_t>) {
    const std::uint32_t end = written_.load(std::memory_order_acquire);  // (2) acquire: pairs with (1)
    if (end - read_ > capacity) read_ = end - capacity;
    for (; read_ != end; ++read_) use(samples_[read_ % capacity].load(std::memory_order_relaxed));
  }

 private:
  std::array<std::atomic<std::uint32_t>, capacity> samples_{};
  std::atomic<std::uint32_t> written_{0};
  std::uint32_t read_ = 0;  // the reader's
};

}  // namespace banyan::detail
