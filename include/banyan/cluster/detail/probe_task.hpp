#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <banyan/cluster/detail/ticks.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/core/detail/signal.hpp>

namespace banyan::detail {

/// What a probe is to find out, with all it needs: runs on another thread; nothing, and what it throws, are no answer.
template <class Answer>
using probe_question = std::function<std::optional<Answer>()>;

/// One probe on its way: what the thread that runs it and those who wait for it know of each other.
///
///     waiting -> running -> finished
///             -> not_run              dropped by its executor, or not wanted any more
template <class Answer>
class probe_run {
 public:
  static_assert(std::is_nothrow_move_constructible_v<Answer> && std::is_nothrow_move_assignable_v<Answer>);

  enum class stage : std::uint8_t { waiting, running, finished, not_run };

  explicit probe_run(endpoint_id endpoint, std::int64_t now) noexcept : id{endpoint}, since{now} {}

  /// False when it is not wanted any more.
  bool begin(std::int64_t now) noexcept {
    began_ = now;
    stage expected = stage::waiting;
    // (4) release: pairs with (3). Failed, relaxed: what it needs has come by way of the executor.
    return stage_.compare_exchange_strong(expected, stage::running, std::memory_order_release,
                                          std::memory_order_relaxed);
  }
  /// False when it has begun.
  bool cancel() noexcept {
    stage expected = stage::waiting;
    // (1) release: pairs with (3). Failed, it tells nothing, so relaxed.
    return stage_.compare_exchange_strong(expected, stage::not_run, std::memory_order_release,
                                          std::memory_order_relaxed);
  }
  void finish(std::optional<Answer> answer) noexcept {
    answer_ = std::move(answer);
    stage_.store(stage::finished, std::memory_order_release);  // (2) release: pairs with (3)
  }
  [[nodiscard]] stage at() const noexcept {
    return stage_.load(std::memory_order_acquire);  // (3) acquire: pairs with the releases in (1), (2) and (4)
  }
  /// Once it runs, by the clock of the thread that runs it.
  [[nodiscard]] std::int64_t began() const noexcept { return began_; }
  /// Once it has finished.
  [[nodiscard]] std::optional<Answer>& answer() noexcept { return answer_; }

  // Of those who wait.
  const endpoint_id id;
  std::int64_t since;  // when it was last seen to wait; once it has been seen to run, when it began
  bool seen_running = false;
  bool late = false;

 private:
  std::int64_t began_ = 0;
  std::atomic<stage> stage_{stage::waiting};
  std::optional<Answer> answer_;
};

/// The task that an executor gets. It lets go of the question, and so of all that is the user's, before it reports.
template <class Answer, class Clock>
class probe_task {
 public:
  probe_task(probe_question<Answer> question, std::shared_ptr<probe_run<Answer>> run,
             std::shared_ptr<signal> events) noexcept
      : question_{std::move(question)}, run_{std::move(run)}, events_{std::move(events)} {}
  probe_task(probe_task&&) noexcept = default;
  probe_task& operator=(probe_task&&) = delete;

  ~probe_task() {
    if (run_ == nullptr) return;
    question_ = nullptr;
    if (run_->cancel()) events_->raise();
  }

  void operator()() noexcept {
    if (run_ == nullptr || !run_->begin(nanoseconds_of(Clock::now()))) return;
    std::optional<Answer> answer = attempt();
    question_ = nullptr;
    run_->finish(std::move(answer));
    events_->raise();
    run_.reset();
  }

 private:
  // Returns from within the try block. Assigned there instead, to a variable with a value from before, that value is
  // lost with GCC 12 from -O1 on: its dead store elimination takes a call that returns in memory for one that always
  // does.
  std::optional<Answer> attempt() const noexcept {
#if defined(__cpp_exceptions)
    try {
      return question_();
    } catch (...) {
      return std::nullopt;
    }
#else
    return question_();
#endif
  }

  probe_question<Answer> question_;
  std::shared_ptr<probe_run<Answer>> run_;
  std::shared_ptr<signal> events_;
};

}  // namespace banyan::detail
