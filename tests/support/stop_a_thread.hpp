#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/postponed_stop.hpp"
#include "support/seed.hpp"

/// The stop-a-thread driver: shows whether code is lock-free in the strict sense, that is, whether the other threads
/// still finish when any one of them stops anywhere.
///
///     std::atomic<int> counter{0};
///     const auto result = banyan::testing::stop_a_thread({.workers = 4}, [&](std::size_t worker) { ++counter; });
///     INFO(result.describe());
///     REQUIRE(result.passed());
///
/// Each worker repeats the operation. The calling thread is the controller: it picks a worker at random, stops it at
/// whatever instruction it is at (a POSIX signal whose handler sleeps in `read`), and lets it go on only when every
/// other worker has completed a number of further operations. When that does not happen within `watchdog`, the result
/// says which worker made no progress while which one was stopped.
///
/// What it cannot judge:
/// - A worker stopped in the C library's allocator may hold an arena's lock. glibc gives each thread an arena of its
///   own while there are no more than eight threads to a core, but `free` of a block that another thread allocated can
///   take that thread's arena lock. Operators new and delete are excused when failing_allocator.cpp is linked in (it
///   is, in every test program here); bare `malloc` calls go inside a `postponed_stop`, or the test uses values that do
///   not allocate. Throwing exceptions allocates by `malloc` and locks the loader's lists: also not for stopped
///   workers.
/// - Under ThreadSanitizer a signal is delivered at the next atomic operation or intercepted call, not between two
///   plain instructions.
/// - It samples. Passing is evidence; a model checker gives proof.
///
/// The controller itself neither allocates nor locks anything while a worker is stopped.
namespace banyan::testing {

/// Whom to stop in each round.
enum class stop_mode {
  one,             ///< one random worker
  several,         ///< between one and all but one, a random number of random workers
  all_but_one,     ///< all but one random worker
  one_throughout,  ///< one worker stays stopped from the first round to the last; each round stops one more
};

/// Who must go on while others are stopped.
enum class required_progress {
  each,  ///< every worker that is not stopped: what components of this library promise in practice
  any,   ///< the workers that are not stopped, added together: the bare definition of lock-free
};

struct stop_options {
  std::size_t workers = 4;  ///< at least 2; at least 3 for one_throughout
  stop_mode mode = stop_mode::one;
  std::size_t rounds = 100;        ///< stop and release this often...
  std::chrono::nanoseconds at_most{///< ...or until this much time is gone, whichever comes first; at least one round
                                   std::chrono::seconds{1}};
  std::uint64_t operations = 8;  ///< how many operations must complete in each round
  required_progress progress = required_progress::each;
  std::chrono::nanoseconds watchdog{std::chrono::seconds{20}};  ///< patience with one round; only a failure takes it
  std::uint64_t seed = run_seed();
};

enum class stop_failure {
  none,
  no_progress,   ///< a worker that was not stopped did not complete its operations
  did_not_stop,  ///< a worker never reached a place where it could be stopped
  threw,         ///< an operation threw
  check_failed,  ///< the check made while workers were stopped said no
};

struct stop_result {
  stop_failure failure = stop_failure::none;
  std::uint64_t seed = 0;
  std::size_t rounds = 0;                      ///< rounds done
  std::size_t stops = 0;                       ///< workers stopped, over all rounds
  std::uint64_t operations = 0;                ///< operations completed by all workers
  std::uint64_t operations_while_stopped = 0;  ///< those of them completed while somebody was stopped
  std::size_t worker = 0;                      ///< with no_progress, did_not_stop, threw: which one
  std::size_t victim = 0;  ///< with no_progress, check_failed: who was stopped (the last, if several)

  bool passed() const noexcept { return failure == stop_failure::none; }

  std::string describe() const {
    std::string text = "seed " + std::to_string(seed) + ": " + std::to_string(stops) + " stops in " +
                       std::to_string(rounds) + " rounds, " + std::to_string(operations) + " operations, " +
                       std::to_string(operations_while_stopped) + " of them while somebody was stopped; ";
    switch (failure) {
      case stop_failure::none:
        return text + "no worker waited for a stopped one";
      case stop_failure::no_progress:
        return text + "worker " + std::to_string(worker) + " made no progress while worker " + std::to_string(victim) +
               " was stopped";
      case stop_failure::did_not_stop:
        return text + "worker " + std::to_string(worker) + " could not be stopped";
      case stop_failure::threw:
        return text + "the operation of worker " + std::to_string(worker) + " threw";
      case stop_failure::check_failed:
        return text + "the check failed while worker " + std::to_string(victim) + " was stopped";
    }
    return text;
  }
};

namespace detail {

inline void stop_signal_handler(int) {
  stop_slot* slot = this_threads_slot;
  if (slot == nullptr) return;
  if (slot->postponing.load(std::memory_order_relaxed) != 0) {
    slot->pending.store(true, std::memory_order_relaxed);
    return;
  }
  stop_here(*slot);
}

template <class Operation>
void call_operation(Operation& operation, std::size_t worker, std::uint64_t iteration) {
  if constexpr (std::is_invocable_v<Operation&, std::size_t, std::uint64_t>) {
    static_cast<void>(operation(worker, iteration));
  } else if constexpr (std::is_invocable_v<Operation&, std::size_t>) {
    static_cast<void>(operation(worker));
  } else {
    static_cast<void>(operation());
  }
}

[[noreturn]] inline void bad_stop_option(const std::string& message) {
#if defined(__cpp_exceptions)
  throw std::invalid_argument(message);
#else
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
#endif
}

/// Threads, pipes and the signal handler of one run.
class stop_run {
 public:
  using clock = std::chrono::steady_clock;

  explicit stop_run(const stop_options& options)
      : options_{options},
        random_{options.seed},
        slots_(options.workers),
        before_(options.workers),
        order_(options.workers),
        stopped_(options.workers, char{0}) {
    threads_.reserve(options.workers);
    for (std::size_t i = 0; i < options.workers; ++i) order_[i] = i;
    for (stop_slot& slot : slots_) {
      int ends[2];
      if (::pipe(ends) != 0) give_up("stop_a_thread: pipe failed");
      slot.wake_read = ends[0];
      slot.wake_write = ends[1];
    }
    struct sigaction action {};
    action.sa_handler = stop_signal_handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (::sigaction(SIGUSR1, &action, &previous_action_) != 0) give_up("stop_a_thread: sigaction failed");
  }

  ~stop_run() {
    for (std::size_t i = 0; i < slots_.size(); ++i) release(i);
    begin_.store(true, std::memory_order_relaxed);
    end_.store(true, std::memory_order_relaxed);
    // Threads that stay stuck although nobody is stopped any more hold references to the caller's frame: there is no
    // way to return.
    for (const clock::time_point start = clock::now(); !all_finished();) {
      if (clock::now() - start > options_.watchdog + std::chrono::seconds{20}) {
        give_up("stop_a_thread: workers are stuck although nobody is stopped");
      }
      pause();
    }
    for (std::thread& thread : threads_) thread.join();
    ::sigaction(SIGUSR1, &previous_action_, nullptr);
    for (stop_slot& slot : slots_) {
      ::close(slot.wake_read);
      ::close(slot.wake_write);
    }
  }

  stop_run(const stop_run&) = delete;
  stop_run& operator=(const stop_run&) = delete;

  template <class Operation>
  void start(Operation& operation) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      threads_.emplace_back([this, i, &operation] { work(i, operation); });
    }
    // A signal that comes before the worker knows its slot would be lost.
    for (const stop_slot& slot : slots_) {
      while (!slot.ready.load(std::memory_order_relaxed)) pause();
    }
    begin_.store(true, std::memory_order_relaxed);
  }

  template <class Check>
  stop_result control(Check& check) {
    result_.seed = options_.seed;
    const clock::time_point start = clock::now();
    const bool keep_first = options_.mode == stop_mode::one_throughout;
    // Everybody is up and running before the first stop.
    bool going = wait_for_operations(patience_with_nobody_stopped());
    const std::size_t kept = keep_first ? random_.below(slots_.size()) : slots_.size();
    if (going && keep_first) going = stop(kept);
    while (going && result_.rounds < options_.rounds) {
      wait_at_random();
      shuffle();
      const std::size_t victims = how_many();
      std::size_t chosen = 0;
      for (std::size_t i = 0; going && chosen < victims; ++i) {
        if (order_[i] == kept) continue;
        going = stop(order_[i]);
        ++chosen;
      }
      const std::uint64_t total_before = total();
      if (going) going = wait_for_operations(options_.watchdog);
      result_.operations_while_stopped += total() - total_before;
      if (going && !check()) going = fail(stop_failure::check_failed, 0);
      for (std::size_t i = 0; i < slots_.size(); ++i) {
        if (i != kept) release(i);
      }
      ++result_.rounds;
      if (clock::now() - start >= options_.at_most) break;
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) release(i);
    result_.operations = total();
    return result_;
  }

 private:
  [[noreturn]] static void give_up(const char* message) {
    std::fprintf(stderr, "%s\n", message);
    std::abort();
  }

  static void pause() { std::this_thread::sleep_for(std::chrono::microseconds{50}); }

  template <class Operation>
  void work(std::size_t index, Operation& operation) {
    stop_slot& slot = slots_[index];
    this_threads_slot = &slot;
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the handler on this thread is to find it
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    slot.ready.store(true, std::memory_order_relaxed);
    while (!begin_.load(std::memory_order_relaxed)) pause();
    const auto repeat = [&] {
      for (std::uint64_t i = 0; !end_.load(std::memory_order_relaxed); ++i) {
        call_operation(operation, index, i);
        slot.completed.store(i + 1, std::memory_order_relaxed);
      }
    };
#if defined(__cpp_exceptions)
    try {
      repeat();
    } catch (...) {
      slot.threw.store(true, std::memory_order_relaxed);
    }
#else
    repeat();
#endif
    slot.finished.store(true, std::memory_order_relaxed);
  }

  bool all_finished() const {
    return std::all_of(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(threads_.size()),
                       [](const stop_slot& slot) { return slot.finished.load(std::memory_order_relaxed); });
  }

  std::size_t how_many() {
    switch (options_.mode) {
      case stop_mode::all_but_one:
        return slots_.size() - 1;
      case stop_mode::several:
        return 1 + static_cast<std::size_t>(random_.below(slots_.size() - 1));
      default:
        return 1;
    }
  }

  void shuffle() {
    for (std::size_t i = order_.size(); i > 1; --i) {
      std::swap(order_[i - 1], order_[static_cast<std::size_t>(random_.below(i))]);
    }
  }

  /// Half of the waits spin, to hit a running worker between two instructions; half sleep, to hit those that wait.
  void wait_at_random() {
    const std::uint64_t length = random_.below(200);
    if (random_.chance(1, 2)) {
      std::this_thread::sleep_for(std::chrono::microseconds{length});
    } else {
      for (std::uint64_t i = 0; i < length * 16; ++i) static_cast<void>(begin_.load(std::memory_order_relaxed));
    }
  }

  bool fail(stop_failure failure, std::size_t worker) {
    result_.failure = failure;
    result_.worker = worker;
    result_.victim = last_victim_;
    return false;
  }

  bool stop(std::size_t victim) {
    stop_slot& slot = slots_[victim];
    const std::uint64_t stops = slot.stops.load(std::memory_order_relaxed);
    if (slot.threw.load(std::memory_order_relaxed)) return fail(stop_failure::threw, victim);
    const std::uint64_t completed = slot.completed.load(std::memory_order_relaxed);
    ::pthread_kill(threads_[victim].native_handle(), SIGUSR1);
    const bool alone = std::count(stopped_.begin(), stopped_.end(), char{1}) == 0;
    const auto patience = alone ? patience_with_nobody_stopped() : options_.watchdog;
    stopped_[victim] = 1;
    for (const clock::time_point start = clock::now(); slot.stops.load(std::memory_order_relaxed) == stops; pause()) {
      if (slot.threw.load(std::memory_order_relaxed)) return fail(stop_failure::threw, victim);
      if (clock::now() - start > patience) {
        // Under ThreadSanitizer a thread that sleeps on a lock takes no signal. If somebody else is stopped already and
        // this one has completed nothing since, then waiting for the stopped one is what keeps it.
        const bool waits = !alone && slot.completed.load(std::memory_order_relaxed) == completed;
        return fail(waits ? stop_failure::no_progress : stop_failure::did_not_stop, victim);
      }
    }
    last_victim_ = victim;
    ++result_.stops;
    return true;
  }

  void release(std::size_t worker) {
    if (stopped_[worker] == 0) return;
    stopped_[worker] = 0;
    const char byte = 0;
    while (::write(slots_[worker].wake_write, &byte, 1) < 0 && errno == EINTR) {
    }
  }

  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const stop_slot& slot : slots_) sum += slot.completed.load(std::memory_order_relaxed);
    return sum;
  }

  /// A slow machine is the only thing to wait for then, so a short watchdog does not apply.
  std::chrono::nanoseconds patience_with_nobody_stopped() const {
    return std::max<std::chrono::nanoseconds>(options_.watchdog, std::chrono::seconds{20});
  }

  bool wait_for_operations(std::chrono::nanoseconds patience) {
    for (std::size_t i = 0; i < slots_.size(); ++i) before_[i] = slots_[i].completed.load(std::memory_order_relaxed);
    for (const clock::time_point start = clock::now();; pause()) {
      std::uint64_t sum = 0;
      std::size_t slowest = slots_.size();
      for (std::size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].threw.load(std::memory_order_relaxed)) return fail(stop_failure::threw, i);
        if (stopped_[i] != 0) continue;
        const std::uint64_t done = slots_[i].completed.load(std::memory_order_relaxed) - before_[i];
        sum += done;
        if (done < options_.operations) slowest = i;
      }
      if (slowest == slots_.size()) return true;
      if (options_.progress == required_progress::any && sum >= options_.operations) return true;
      if (clock::now() - start > patience) return fail(stop_failure::no_progress, slowest);
    }
  }

  const stop_options& options_;
  random_source random_;
  std::vector<stop_slot> slots_;
  std::vector<std::uint64_t> before_;
  std::vector<std::size_t> order_;
  std::vector<char> stopped_;
  std::vector<std::thread> threads_;
  std::atomic<bool> begin_{false};
  std::atomic<bool> end_{false};
  std::size_t last_victim_ = 0;
  stop_result result_;
  struct sigaction previous_action_ {};
};

}  // namespace detail

/// Runs `operation` on `options.workers` threads while stopping some of them, and returns when all have been joined.
/// `operation` is called as `operation(worker, iteration)`, `operation(worker)` or `operation()`, by all workers at
/// once. `check`, a function without arguments that returns bool, is called in every round while somebody is stopped
/// and the rest have shown progress (for bounds that must hold even then); it must neither allocate nor wait.
///
/// Uses SIGUSR1. Calls from several threads take turns. Throws std::invalid_argument for options that make no sense.
/// If workers are stuck even after everybody was released, there is nothing to return to: it prints so and aborts.
template <class Operation, class Check>
stop_result stop_a_thread(const stop_options& options, Operation&& operation, Check&& check) {
  const std::size_t needed = options.mode == stop_mode::one_throughout ? 3 : 2;
  if (options.workers < needed) {
    detail::bad_stop_option("stop_options::workers must be at least " + std::to_string(needed) + ", got " +
                            std::to_string(options.workers));
  }
  if (options.operations == 0) detail::bad_stop_option("stop_options::operations must be at least 1, got 0");
  if (options.rounds == 0) detail::bad_stop_option("stop_options::rounds must be at least 1, got 0");
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> turn{one_at_a_time};
  detail::stop_run run{options};
  run.start(operation);
  return run.control(check);
}

template <class Operation>
stop_result stop_a_thread(const stop_options& options, Operation&& operation) {
  return stop_a_thread(options, operation, [] { return true; });
}

}  // namespace banyan::testing
