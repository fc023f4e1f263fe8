#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/parking_word.hpp>

namespace banyan::detail {

/// Where one connection lives, with what is known of it. Whoever holds the number writes; maintenance reads the times
/// of others' ones, hence atomics, all relaxed: what they are compared with is as old as they may be. All bits zero is
/// an empty slot.
template <class T>
struct alignas(alignof(T) > cache_line_size ? alignof(T) : cache_line_size) pool_slot {
  std::atomic<std::int64_t> lent_since{0};  // 0: not lent
  std::atomic<const char*> tag{nullptr};
  std::atomic<std::int64_t> last_used{0};
  std::atomic<std::int64_t> retire_at{0};   // the drawn lifetime's end
  std::atomic<std::int64_t> checked_at{0};  // last use or validation in the background
  std::atomic<std::int64_t> keepalive{0};   // the drawn time
  std::atomic<std::uint64_t> lendings{0};   // since the pool was made, of whatever connection is here
  std::int64_t dies_at = 0;                 // the owner's: the lifetime's end
  std::int64_t precise_start = 0;           // the owner's: of a sampled lease
  std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> free_link{0};
  std::atomic<bool> open{false};
  std::atomic<bool> leak_told{false};
  bool proven = false;  // the owner's: it has been lent before
  alignas(T) std::byte storage[sizeof(T)];

  [[nodiscard]] void* place() noexcept { return &storage; }
  [[nodiscard]] T& value() noexcept { return *std::launder(reinterpret_cast<T*>(&storage)); }
};

/// What belongs to an entry of the waiting list.
struct pool_waiter {
  parking_word woken;                     // a waiting thread's: counts wake-ups, also those of others' turns
  std::atomic<void*> request{nullptr};    // an asynchronous one's: owned by who claims or withdraws the entry
  std::atomic<std::int64_t> deadline{0};  // an asynchronous one's
};

}  // namespace banyan::detail
