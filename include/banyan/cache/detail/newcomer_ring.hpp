#pragma once

/// \file
/// The entries that came in last, in order.

#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/cache_line.hpp>

#include <atomic>
#include <bit>
#include <cstdint>
#include <span>

namespace banyan::detail {

/// A ring of the slots that were stamped last. When it is full, the newest overwrites the oldest. It is a hint: what
/// it says of a slot may be out of date, so each place carries 32 bits that tell whether the slot is still the same.
///
/// 8 bytes for each place, as many places as `least` rounded up to a power of two. `push` is wait-free. `oldest` is
/// lock-free: each step that it repeats has dropped a place. All orders are relaxed, since the reader checks what it
/// gets against the slot's mark.
class newcomer_ring {
 public:
  using place_word = std::atomic<std::uint64_t>;

  /// How many places a ring of at least so many has.
  [[nodiscard]] static constexpr std::uint32_t size_for(std::uint32_t least) noexcept {
    return std::bit_ceil(least < 64 ? 64 : least);
  }

  /// `size_for(least)` places, zeros, which live as long as the ring.
  explicit newcomer_ring(std::span<place_word> places) noexcept : places_{places} {}

  void push(slot_id slot, std::uint32_t check) noexcept {
    const std::uint32_t at = head_.fetch_add(1, std::memory_order_relaxed);
    place(at).store(std::uint64_t{slot} << 32 | check, std::memory_order_relaxed);
  }

  /// The oldest slot that `current(slot, check)` confirms, `no_slot` if there is none. Those that it denies are dropped
  /// and given to `dropped(slot)`.
  template <class Current, class Dropped>
  slot_id oldest(const Current& current, const Dropped& dropped) noexcept {
    const auto size = static_cast<std::uint32_t>(places_.size());
    std::uint32_t tail = tail_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint32_t count = head_.load(std::memory_order_relaxed) - tail;
      if (count == 0 || count > ~std::uint32_t{0} / 2) return no_slot;  // more than half: the tail has moved past
      if (count > size) {
        const std::uint32_t next = tail + (count - size);
        if (tail_.compare_exchange_weak(tail, next, std::memory_order_relaxed, std::memory_order_relaxed)) tail = next;
        continue;
      }
      const std::uint64_t value = place(tail).load(std::memory_order_relaxed);
      const auto slot = static_cast<slot_id>(value >> 32);
      if (current(slot, static_cast<std::uint32_t>(value))) return slot;
      if (tail_.compare_exchange_weak(tail, tail + 1, std::memory_order_relaxed, std::memory_order_relaxed)) {
        ++tail;
        dropped(slot);
      }
    }
  }

 private:
  [[nodiscard]] std::atomic<std::uint64_t>& place(std::uint32_t at) noexcept {
    return places_[at & (places_.size() - 1)];
  }

  std::span<place_word> places_;
  alignas(cache_line_size) std::atomic<std::uint32_t> head_{0};
  alignas(cache_line_size) std::atomic<std::uint32_t> tail_{0};
};

}  // namespace banyan::detail
