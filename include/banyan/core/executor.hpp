#pragma once

/// \file
/// Where work runs: the one thing a library has to know of the user's threads.

#include <concepts>
#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

namespace banyan {

/// Something to be run once: a callable without arguments, which need not be copyable. Empty after it has been moved
/// from. One thread at a time.
class task {
 public:
  task() = default;

  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, task> && std::invocable<std::decay_t<F>&>) task(F&& function)
      : work_{std::make_unique<work_of<std::decay_t<F>>>(std::forward<F>(function))} {}

  [[nodiscard]] explicit operator bool() const noexcept { return work_ != nullptr; }

  /// Not of an empty one. Throws what the callable throws.
  void operator()() { work_->run(); }

 private:
  struct work {
    work() = default;
    work(const work&) = delete;
    work& operator=(const work&) = delete;
    virtual ~work() = default;
    virtual void run() = 0;
  };

  template <class F>
  struct work_of final : work {
    template <class G>
    explicit work_of(G&& given) : function(std::forward<G>(given)) {}
    void run() override { static_cast<void>(function()); }
    F function;
  };

  std::unique_ptr<work> work_;
};

/// Runs tasks, now or later, on this thread or another: `ex.execute(f)` with any callable without arguments, also one
/// that can only be moved. Thread pools, event loops and the executors of Asio are such, or are made so by three lines.
/// A task may also be dropped without being run. When `execute` throws, the task does not run.
template <class E>
concept executor = requires(E& ex, task work) {
  ex.execute(std::move(work));
};

/// Runs each task at once, on the thread that hands it over, and lets through what it throws.
struct inline_executor {
  template <std::invocable F>
  void execute(F&& work) const {
    std::forward<F>(work)();
  }
};

/// Runs each task on a new thread that nobody waits for. A task must not throw. For work that is rare or may hang;
/// costs some 20 to 50 microseconds a task. Throws `std::system_error` when there is no thread to be had.
struct thread_executor {
  template <std::invocable F>
  void execute(F&& work) const {
    std::thread{std::forward<F>(work)}.detach();
  }
};

/// A handle of some executor, whatever its type. Copies name the same executor. Made of an executor by value it keeps
/// it alive; made of `std::ref(executor)` it refers to it, and must not outlive it.
///
/// As thread-safe as the executor, apart from assignment to the handle itself.
class any_executor {
 public:
  /// None.
  any_executor() = default;

  template <executor E>
  requires(!std::same_as<E, any_executor>) any_executor(E given)
      : held_{std::make_shared<executor_of<E>>(std::move(given))} {}

  template <executor E>
  any_executor(std::reference_wrapper<E> given) : held_{std::make_shared<reference_to<E>>(given.get())} {}

  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

  /// Hands over the task; not to an empty handle. Throws what the executor throws.
  void execute(task work) const { held_->execute(std::move(work)); }

 private:
  struct executor_base {
    executor_base() = default;
    executor_base(const executor_base&) = delete;
    executor_base& operator=(const executor_base&) = delete;
    virtual ~executor_base() = default;
    virtual void execute(task&& work) = 0;
  };

  template <class E>
  struct executor_of final : executor_base {
    explicit executor_of(E&& given) : held(std::move(given)) {}
    void execute(task&& work) override { held.execute(std::move(work)); }
    E held;
  };

  template <class E>
  struct reference_to final : executor_base {
    explicit reference_to(E& given) : held(given) {}
    void execute(task&& work) override { held.execute(std::move(work)); }
    E& held;
  };

  std::shared_ptr<executor_base> held_;
};

static_assert(executor<inline_executor> && executor<thread_executor> && executor<any_executor>);

}  // namespace banyan
