#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <banyan/core/cancellation.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/detail/caught.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/limit/hedge.hpp>
#include <banyan/limit/hedge_race.hpp>

namespace banyan {

struct hedged_call_options {
  deadline until = current_deadline();  ///< nobody waits any longer
  cancellation* cancel = nullptr;       ///< given up when it is set; outlives the call; none when null
  std::size_t max_attempts = 2;         ///< from 1 to 8; the third after another delay, and so on
};

/// What the function of a `hedged_call` is told.
struct hedge_attempt {
  std::size_t number;  ///< 0, 1, ...: for instance which replica to ask
  cancellation& flag;  ///< nobody wants the result any more
  [[nodiscard]] bool cancelled() const noexcept { return flag.requested(); }
};

namespace detail {

template <class F, class Value>
struct hedged_work {
  explicit hedged_work(F&& given) : function(std::move(given)) {}

  // The attempt is still there when the function, or moving its value, throws.
  void run(typename hedge_race<Value>::attempt& mine) {
#if defined(__cpp_exceptions)
    try {
      mine.succeeded(std::invoke(function, hedge_attempt{mine.number(), mine.flag()}));
    } catch (...) {
      if (mine) mine.failed(std::current_exception());
    }
#else
    mine.succeeded(std::invoke(function, hedge_attempt{mine.number(), mine.flag()}));
#endif
  }

  void end(typename hedge_race<Value>::result&& result, std::size_t attempt) {
    ended = steady_clock::now();
    winner = attempt;
#if defined(__cpp_exceptions)
    try {
      outcome.emplace(std::move(result));
    } catch (...) {  // moving the value threw; somebody waits all the same
      hedge_failure lost{.attempts = attempt + 1};
      lost.errors[attempt] = std::current_exception();
      outcome.emplace(unexpected{std::move(lost)});
    }
#else
    outcome.emplace(std::move(result));
#endif
    ready.value().store(1, std::memory_order_release);  // (1) pairs with the acquire in parking_word::wait
    ready.notify_all();
  }

  F function;
  parking_word ready{0};
  std::optional<typename hedge_race<Value>::result> outcome{};
  std::size_t winner = 0;
  steady_clock::time_point ended{};
};

// Whatever becomes of the task, the attempt is reported on.
template <class Work, class Attempt, class Executor>
void launch_attempt(Executor& runs, const std::shared_ptr<Work>& work, Attempt attempt, deadline until) {
  const auto mine = std::make_shared<Attempt>(std::move(attempt));
  auto task = with_deadline(until, [work, mine] { work->run(*mine); });
#if defined(__cpp_exceptions)
  try {
    runs.execute(std::move(task));
  } catch (...) {
    if (*mine) mine->failed(std::current_exception());
  }
#else
  runs.execute(std::move(task));
#endif
}

/// Launches attempts and waits for the outcome, on which `policy` is told. `send_another(may_send)`: whether the next
/// attempt is to be launched; asks `may_send()` last of all, as that takes from the budget.
template <class F, class Value, class Executor, class SendAnother>
[[nodiscard]] auto run_hedged(hedge& policy, Executor& runs, const std::shared_ptr<hedged_work<F, Value>>& work,
                              const hedged_call_options& options, SendAnother send_another) {
  const auto race = hedge_race<Value>::start([work](typename hedge_race<Value>::result&& result, std::size_t attempt) {
    work->end(std::move(result), attempt);
  });
  const steady_clock::time_point start = steady_clock::now();
  const auto delay = policy.request(start);
  launch_attempt(runs, work, race.enter(), options.until);

  const auto wait = [&] {
    deadline next = deadline::in(delay.value_or(std::chrono::nanoseconds::max()), start);
    for (std::size_t attempts = 1; attempts < options.max_attempts && next < options.until; ++attempts) {
      if (work->ready.wait_until(0, next.at()) || !send_another([&policy] { return policy.try_send(); })) break;
      // Without the memory to launch it, it has failed: the first one goes on.
      static_cast<void>(caught([&] {
        if (auto another = race.enter()) launch_attempt(runs, work, std::move(another), options.until);
      }));
      next = deadline::in(*delay, next.at());
    }
    if (options.until.is_never() || work->ready.wait_until(0, options.until.at())) {
      work->ready.wait(0);
    } else {
      race.abandon(hedge_end::timed_out);
      work->ready.wait(0);  // somebody may just be bringing it
    }
  };
  if (options.cancel != nullptr) {
    const on_cancel stop{*options.cancel, [&race] { race.abandon(hedge_end::cancelled); }};
    wait();
  } else {
    wait();
  }

  const auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(work->ended - start);
  for (std::size_t failed = race.failures(); failed > 0; --failed) policy.failed();
  if (!work->outcome.has_value()) std::abort();  // never: `ready` says so
  auto& outcome = *work->outcome;
  if (outcome.has_value()) {
    work->winner == 0 ? policy.succeeded(elapsed) : policy.overtaken(elapsed);
  } else if (outcome.error().why == hedge_end::timed_out) {
    policy.timed_out(elapsed);
  }
  return std::move(outcome);
}

}  // namespace detail

/// Calls `function(attempt)` on an executor, and once more when that takes longer than most calls do and `policy` lets
/// it; returns the first value there is. The other attempt is told by `attempt.cancelled()` and goes on alone:
/// `function` may be running on two threads at once, and after this has returned, so it must own what it uses.
///
///     banyan::hedge reads{{.percentile = 0.95, .max_extra = 0.05}};
///     auto row = banyan::hedged_call(reads, threads, [replicas, key](const banyan::hedge_attempt& attempt) {
///       return replicas[attempt.number]->fetch(key, attempt.flag);
///     });
///     if (!row) std::rethrow_exception(row.error().first_error());
///
/// Hedging is no retrying: when the first attempt fails before there is a second, that is the result. Errors, those of
/// `runs.execute` among them, are reported only when all attempts have failed, and then all of them; a task that the
/// executor drops has failed without error. Attempts run under `until` as their current deadline. `policy` learns what
/// it needs before this returns, and is not used afterwards.
///
/// Blocking, up to `until`; needs an executor that runs tasks elsewhere to be of use. Throws `std::bad_alloc` before
/// anything runs, and `std::invalid_argument` for `max_attempts` out of range.
template <class F, executor Executor>
[[nodiscard]] auto hedged_call(hedge& policy, Executor& runs, F function, hedged_call_options options = {}) {
  using value = std::remove_cvref_t<std::invoke_result_t<F&, const hedge_attempt&>>;
  static_assert(!std::is_void_v<value>, "the function returns what is raced for");
  if (options.max_attempts == 0 || options.max_attempts > hedge_race<value>::most_attempts)
    invalid_option("hedged_call_options.max_attempts", options.max_attempts, "must be from 1 to 8");

  const auto work = std::make_shared<detail::hedged_work<F, value>>(std::move(function));
  return detail::run_hedged(policy, runs, work, options, [](auto may_send) { return may_send(); });
}

}  // namespace banyan
