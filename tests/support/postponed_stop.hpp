#pragma once

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

/// The part of the stop-a-thread driver that runs inside the stopped thread. See stop_a_thread.hpp.
namespace banyan::testing {

namespace detail {

/// What a worker and the controller share. The counters only grow, so the controller can tell one stop from the next.
///
/// The atomics are relaxed on purpose: the driver must not order the workers' memory accesses, or it would hide the
/// very races that ThreadSanitizer is to find. Nothing is published through them.
struct alignas(64) stop_slot {
  std::atomic<std::uint64_t> completed{0};
  std::atomic<std::uint64_t> stops{0};
  std::atomic<std::uint32_t> postponing{0};
  std::atomic<bool> pending{false};
  std::atomic<bool> ready{false};
  std::atomic<bool> finished{false};
  std::atomic<bool> threw{false};
  int wake_read = -1;
  int wake_write = -1;
};

/// Constant-initialised, so that the signal handler reads it without running any code that could lock or allocate.
inline constinit thread_local stop_slot* this_threads_slot = nullptr;

/// Announces the stop and sleeps until the controller writes one byte. Only async-signal-safe calls.
inline void stop_here(stop_slot& slot) noexcept {
  const int saved_errno = errno;
  slot.stops.fetch_add(1, std::memory_order_relaxed);
  char byte = 0;
  while (::read(slot.wake_read, &byte, 1) < 0 && errno == EINTR) {
  }
  errno = saved_errno;
}

}  // namespace detail

/// While one of these lives, the stop-a-thread driver does not stop this thread; a stop that arrives meanwhile happens
/// when the outermost one ends. It excuses code that is not part of what the test claims, such as the C library's
/// allocator: a thread stopped inside `malloc` may hold a lock that another thread's `free` needs.
///
///     { banyan::testing::postponed_stop excused;  buffer = std::malloc(size); }
///
/// The replaced operators new and delete of failing_allocator.cpp do this already. On threads that are not workers of
/// the driver it does nothing. Wait-free (unless the stop it postponed happens at its end).
class postponed_stop {
 public:
  postponed_stop() noexcept : slot_{detail::this_threads_slot} {
    if (slot_ == nullptr) return;
    // Only this thread and its own signal handler touch the count, so the compiler is all there is to keep in order.
    slot_->postponing.store(slot_->postponing.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  ~postponed_stop() {
    if (slot_ == nullptr) return;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::uint32_t left = slot_->postponing.load(std::memory_order_relaxed) - 1;
    slot_->postponing.store(left, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (left == 0 && slot_->pending.load(std::memory_order_relaxed)) {
      slot_->pending.store(false, std::memory_order_relaxed);
      detail::stop_here(*slot_);
    }
  }

  postponed_stop(const postponed_stop&) = delete;
  postponed_stop& operator=(const postponed_stop&) = delete;

 private:
  detail::stop_slot* slot_;
};

}  // namespace banyan::testing
