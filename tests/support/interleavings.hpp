#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BANYAN_INTERLEAVINGS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BANYAN_INTERLEAVINGS 0
#endif
#endif
#if !defined(BANYAN_INTERLEAVINGS)
#if defined(__linux__)
#define BANYAN_INTERLEAVINGS 1
#include <ucontext.h>
#else
#define BANYAN_INTERLEAVINGS 0
#endif
#endif

/// Runs a few short threads in every order of their atomic operations in which control passes from one thread that
/// could go on to another at most `preemptions` times (Musuvathi, Qadeer, "Iterative context bounding for systematic
/// testing of multithreaded programs", PLDI 2007: nearly all faults need two). The threads are fibers of one thread, so
/// a run takes microseconds and can be repeated exactly.
///
///     const auto report = banyan::testing::explore({.preemptions = 3}, [] {
///       auto shared = std::make_shared<thing<banyan::testing::scheduled_atomic>>();
///       return scenario{{[=] { shared->push(1); }, [=] { shared->pop(); }}, [=] { return shared->empty(); }};
///     });
///     REQUIRE(report.passed);
///
/// The code under test takes its atomics as a template parameter. What this checks is sequentially consistent: it finds
/// wrong protocols, not memory orders that are too weak. Not under the sanitizers, which do not know fibers.
namespace banyan::testing {

struct scenario {
  std::vector<std::function<void()>> threads;
  std::function<bool()> holds;  ///< asked when all threads have ended
};

struct explore_options {
  unsigned preemptions = 2;
  std::size_t most_runs = 2'000'000;
  std::size_t most_steps = 2'000;  ///< of one run; more is taken for a livelock
};

struct explore_report {
  bool passed = true;
  bool complete = true;  ///< whether all such orders were run, rather than the first `most_runs`
  std::size_t runs = 0;
  std::string schedule{};  ///< of the run that failed: which thread took each step
};

#if BANYAN_INTERLEAVINGS

namespace detail {

class scheduler {
 public:
  explicit scheduler(explore_options options) : options_{options} {}

  static scheduler*& current() {
    static scheduler* now = nullptr;
    return now;
  }

  template <class Make>
  explore_report run(Make make) {
    explore_report report;
    current() = this;
    for (;;) {
      bool good = false;
      {
        scenario each = make();
        good = run_once(each) && each.holds();
      }
      ++report.runs;
      if (!good) {
        report.passed = false;
        for (const choice& c : choices_) report.schedule += std::to_string(c.thread);
        break;
      }
      if (!next_schedule()) break;
      if (report.runs >= options_.most_runs) {
        report.complete = false;
        break;
      }
    }
    current() = nullptr;
    return report;
  }

  // Before each atomic operation of a fiber: back to the loop, which says who goes on.
  void step() {
    if (running_ == none) return;
    swapcontext(&fibers_[running_]->context, &loop_);
  }

 private:
  static constexpr std::size_t none = ~std::size_t{0};
  static constexpr std::size_t stack_bytes = 128 * 1024;

  struct fiber {
    ucontext_t context{};
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    std::function<void()> work;
    bool done = false;
  };

  struct choice {
    std::size_t thread = 0;
    std::size_t last = 0;  // who ran before
    std::uint32_t ready = 0;
    std::uint32_t tried = 0;
    unsigned preemptions = 0;  // spent before this choice
  };

  bool run_once(const scenario& each) {
    while (fibers_.size() < each.threads.size()) fibers_.push_back(std::make_unique<fiber>());
    count_ = each.threads.size();
    for (std::size_t i = 0; i < count_; ++i) {
      fiber& f = *fibers_[i];
      f.work = each.threads[i];
      f.done = false;
      getcontext(&f.context);
      f.context.uc_stack.ss_sp = f.stack.get();
      f.context.uc_stack.ss_size = stack_bytes;
      f.context.uc_link = &loop_;
      makecontext(&f.context, reinterpret_cast<void (*)()>(&enter), 0);
    }
    std::size_t last = none;
    unsigned preemptions = 0;
    for (std::size_t depth = 0;; ++depth) {
      std::uint32_t ready = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        if (!fibers_[i]->done) ready |= 1U << i;
      }
      if (ready == 0) return true;
      if (depth >= options_.most_steps) return false;
      if (depth == choices_.size()) {
        const std::size_t first = last != none && (ready >> last & 1U) != 0 ? last : lowest(ready);
        choices_.push_back({first, last, ready, 1U << first, preemptions});
      }
      const choice& c = choices_[depth];
      if (preempts(c)) ++preemptions;
      last = running_ = c.thread;
      swapcontext(&loop_, &fibers_[running_]->context);
      running_ = none;
    }
  }

  // The next order in depth-first search; false when there is none.
  bool next_schedule() {
    while (!choices_.empty()) {
      choice& c = choices_.back();
      for (std::size_t i = 0; i < count_; ++i) {
        if ((c.ready >> i & 1U) == 0 || (c.tried >> i & 1U) != 0) continue;
        c.tried |= 1U << i;
        c.thread = i;
        if (preempts(c) && c.preemptions >= options_.preemptions) continue;
        return true;
      }
      choices_.pop_back();
    }
    return false;
  }

  static bool preempts(const choice& c) {
    return c.last != none && (c.ready >> c.last & 1U) != 0 && c.thread != c.last;
  }

  static std::size_t lowest(std::uint32_t ready) {
    std::size_t i = 0;
    while ((ready >> i & 1U) == 0) ++i;
    return i;
  }

  static void enter() {
    scheduler& self = *current();
    fiber& mine = *self.fibers_[self.running_];
    mine.work();
    mine.done = true;
  }

  explore_options options_;
  ucontext_t loop_{};
  std::vector<std::unique_ptr<fiber>> fibers_;
  std::vector<choice> choices_;
  std::size_t count_ = 0;
  std::size_t running_ = none;
};

inline void scheduling_point() {
  if (scheduler* const s = scheduler::current()) s->step();
}

}  // namespace detail

template <class Make>
explore_report explore(explore_options options, Make make) {
  return detail::scheduler{options}.run(std::move(make));
}

/// An atomic each operation of which is a step for `explore`.
template <class T>
class scheduled_atomic {
 public:
  scheduled_atomic() = default;
  explicit(false) scheduled_atomic(T value) : value_{value} {}
  scheduled_atomic(const scheduled_atomic&) = delete;
  scheduled_atomic& operator=(const scheduled_atomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst) const { return point(), value_; }
  void store(T value, std::memory_order = std::memory_order_seq_cst) { point(), value_ = value; }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) { return point(), std::exchange(value_, value); }
  T fetch_add(T value, std::memory_order = std::memory_order_seq_cst) {
    return point(), std::exchange(value_, static_cast<T>(value_ + value));
  }
  T fetch_sub(T value, std::memory_order = std::memory_order_seq_cst) {
    return point(), std::exchange(value_, static_cast<T>(value_ - value));
  }
  T fetch_or(T value, std::memory_order = std::memory_order_seq_cst) {
    return point(), std::exchange(value_, static_cast<T>(value_ | value));
  }
  T fetch_and(T value, std::memory_order = std::memory_order_seq_cst) {
    return point(), std::exchange(value_, static_cast<T>(value_ & value));
  }
  bool compare_exchange_strong(T& expected, T wanted, std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) {
    point();
    if (value_ != expected) return expected = value_, false;
    value_ = wanted;
    return true;
  }
  bool compare_exchange_weak(T& expected, T wanted, std::memory_order = std::memory_order_seq_cst,
                             std::memory_order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, wanted);
  }

 private:
  static int point() { return detail::scheduling_point(), 0; }
  T value_{};
};

#else

template <class Make>
explore_report explore(explore_options, Make) {
  return {};
}

template <class T>
using scheduled_atomic = std::atomic<T>;

#endif

}  // namespace banyan::testing
