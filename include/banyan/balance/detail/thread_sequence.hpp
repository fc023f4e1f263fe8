#pragma once

#include <atomic>
#include <cstdint>

#include <banyan/cluster/detail/cycle_counter.hpp>
#include <banyan/core/cache_line.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// A thread's own place in a cycle and its own random numbers. The first threads have one each; all others share one,
/// which is changed by read-modify-writes. Wait-free, O(1).
class alignas(cache_line_size) thread_sequence {
 public:
  /// `started`: counts the sequences that have begun; the first begins its cycle at 0, later ones elsewhere.
  void set_up(std::uint64_t seed, bool shared, std::atomic<std::uint32_t>& started) noexcept {
    random_.store(seed, std::memory_order_relaxed);
    ready_.store(mix_bits(seed), std::memory_order_relaxed);
    shared_ = shared;
    started_ = &started;
    next_.store(shared ? mix_bits(seed) >> 1 : not_started, std::memory_order_relaxed);
  }

  /// 64 random bits. An own sequence has the next ones ready: they are made while the pick goes on.
  std::uint64_t random() noexcept {
    if (shared_) [[unlikely]] {
      return mix_bits(random_.fetch_add(golden, std::memory_order_relaxed) + golden);
    }
    const std::uint64_t bits = ready_.load(std::memory_order_relaxed);
    const std::uint64_t state = random_.load(std::memory_order_relaxed) + golden;
    random_.store(state, std::memory_order_relaxed);
    ready_.store(mix_bits(state), std::memory_order_relaxed);
    return bits;
  }

  std::uint64_t advance(std::uint64_t length) noexcept {
    if (shared_) [[unlikely]] {
      return next_.fetch_add(1, std::memory_order_relaxed) % length;
    }
    std::uint64_t at = next_.load(std::memory_order_relaxed);
    if (at >= length) [[unlikely]] {
      at = at == not_started ? first(length) : 0;  // not begun; over, or the cycle has become shorter
    }
    next_.store(at + 1, std::memory_order_relaxed);
    return at;
  }

  /// The cycle counter, not older than 20 microseconds or three calls: reading it takes as long as all else in a pick.
  std::uint32_t cycles() noexcept {
    if (!shared_ && calls_left_ != 0) {
      --calls_left_;
      return cycles_;
    }
    const auto now = static_cast<std::uint32_t>(cycle_counter::now());
    if (shared_) return now;
    calls_left_ = now - cycles_ < cycle_counter::microseconds_20 ? 3 : 0;
    return cycles_ = now;
  }

 private:
  static constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;  // 2^64 over the golden ratio: multiples spread evenly
  static constexpr std::uint64_t not_started = ~std::uint64_t{0};

  [[nodiscard]] std::uint64_t first(std::uint64_t length) const noexcept {
    const std::uint64_t part = started_->fetch_add(1, std::memory_order_relaxed) * golden;
    return static_cast<std::uint64_t>(static_cast<double>(part >> 11) * 0x1p-53 * static_cast<double>(length)) % length;
  }

  std::atomic<std::uint64_t> next_{not_started};
  std::atomic<std::uint64_t> random_{0};
  std::atomic<std::uint64_t> ready_{0};
  std::atomic<std::uint32_t>* started_ = nullptr;
  bool shared_ = false;
  std::uint32_t cycles_ = 0;      // the owner's only
  std::uint32_t calls_left_ = 0;  // the owner's only
};

}  // namespace banyan::detail
