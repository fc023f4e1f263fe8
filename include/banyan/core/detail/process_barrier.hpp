#pragma once

#include <atomic>
#include <cstdlib>

#if defined(__linux__) && __has_include(<linux/membarrier.h>)
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(SYS_membarrier)
#define BANYAN_HAS_MEMBARRIER 1
#endif
#endif
#if !defined(BANYAN_HAS_MEMBARRIER)
#define BANYAN_HAS_MEMBARRIER 0
#endif

namespace banyan::detail {

/// A barrier on all threads of the process, by Linux's `membarrier(PRIVATE_EXPEDITED)` where it is there.
///
/// Whether it is used is settled once, before the first hazard, and stays: readers and the reclaiming side must agree.
/// Only the child of a fork, alone in its process at that moment, may settle anew.
class process_barrier {
 public:
  /// `allowed`: whether to ask the system at all.
  constexpr explicit process_barrier(bool allowed = true) noexcept : allowed_{allowed} {}
  constexpr process_barrier(const process_barrier& unused) noexcept : allowed_{unused.allowed_} {}
  process_barrier& operator=(const process_barrier&) = delete;

  /// Whether `heavy` works, so that its partners need only keep the compiler from reordering. False until settled.
  [[nodiscard]] bool light() const noexcept {
    return mode_.load(std::memory_order_relaxed) == asymmetric;  // relaxed: settle() of the same thread came before
  }

  /// Decides the form; called before the first hazard of every thread. Lock-free.
  void settle() noexcept {
    // (1) acquire: pairs with the release in (2): the registration came before.
    if (mode_.load(std::memory_order_acquire) != unsettled) return;
    const mode found = allowed_ && enlist() ? asymmetric : symmetric;
    mode expected = unsettled;
    // (2) release, acquire: pairs with (1); a loser takes over the winner's choice.
    mode_.compare_exchange_strong(expected, found, std::memory_order_acq_rel, std::memory_order_acquire);
  }

  /// Full barrier on all running threads of the process. Aborts if the system takes back what it had granted (a seccomp
  /// filter installed later): going on would free memory in use.
  void heavy() noexcept {
#if BANYAN_HAS_MEMBARRIER
    if (barrier()) return;
    if (enroll() && barrier()) return;
#endif
    std::abort();
  }

 private:
  enum mode : unsigned char { unsettled, asymmetric, symmetric };

#if BANYAN_HAS_MEMBARRIER
  static bool barrier() noexcept { return ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0; }
  static bool enroll() noexcept {
    return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
  }

  static inline constinit std::atomic<process_barrier*> in_use{nullptr};

  // In the child nobody else runs, and other threads' slots stay as they were: only the form must be right again.
  static void after_fork_in_child() noexcept {
    if (enroll() && barrier()) return;
    for (process_barrier* each = in_use.load(std::memory_order_acquire); each != nullptr; each = each->next_) {  // (4)
      mode expected = asymmetric;
      each->mode_.compare_exchange_strong(expected, symmetric, std::memory_order_relaxed);
    }
  }

  bool enlist() noexcept {
    if (!enroll() || !barrier()) return false;
    if (enlisted_.exchange(true, std::memory_order_relaxed)) return true;
    static constinit std::atomic<bool> watching{false};
    if (!watching.exchange(true, std::memory_order_relaxed)) ::pthread_atfork(nullptr, nullptr, &after_fork_in_child);
    next_ = in_use.load(std::memory_order_relaxed);
    // (3) release: pairs with the acquire in (4).
    while (!in_use.compare_exchange_weak(next_, this, std::memory_order_release, std::memory_order_relaxed)) {
    }
    return true;
  }

  process_barrier* next_ = nullptr;
  std::atomic<bool> enlisted_{false};
#else
  static bool enlist() noexcept { return false; }
#endif

  std::atomic<mode> mode_{unsettled};
  bool allowed_;
};

}  // namespace banyan::detail
