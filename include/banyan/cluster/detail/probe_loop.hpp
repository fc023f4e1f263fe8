#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/cluster/detail/probe_options.hpp>
#include <banyan/cluster/detail/probe_schedule.hpp>
#include <banyan/cluster/detail/probe_task.hpp>
#include <banyan/cluster/detail/ticks.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/add_sat.hpp>
#include <banyan/core/detail/signal.hpp>
#include <banyan/core/executor.hpp>

namespace banyan::detail {

/// Whose members are probed, what is asked of them, and who hears the answers. Called by one thread at a time, with no
/// lock held; may throw, and is asked again later then.
///
/// - `members(now)`: the ids, in order.
/// - `question(id, now)`: asked of that member next; empty when it has just left.
/// - `take(outcomes, now)`: what came of probes since; called often, also with none.
template <class Subject, class Clock>
concept probe_subject = requires(Subject& subject, endpoint_id id, typename Clock::time_point now,
                                 std::span<const probe_outcome<typename Subject::answer>> outcomes) {
  { subject.members(now) } -> std::convertible_to<std::vector<endpoint_id>>;
  { subject.question(id, now) } -> std::same_as<probe_question<typename Subject::answer>>;
  subject.take(outcomes, now);
};

/// Asks each member again and again, on a thread of its own or when `run_due` is called: what health checkers and lag
/// monitors have in common. The subject must outlive the loop.
///
///                     +--------- follow <- members
///     run_due, thread |          take_results -> take
///                     +--------- due -> question -> executor -> probe_task -> events: look around again
///
/// The destructor ends the probing: probes that have not begun are not run, those under way are waited for up to the
/// timeout; one that hangs is left behind, with all that its question holds.
template <class Subject, class Clock>
requires probe_subject<Subject, Clock>
class probe_loop {
 public:
  using answer = typename Subject::answer;
  using time_point = typename Clock::time_point;

  /// Of options that have been checked.
  template <probe_options Options>
  probe_loop(Subject& subject, const Options& options)
      : subject_{subject},
        interval_{options.interval},
        timeout_{options.timeout},
        executor_{options.executor ? options.executor : any_executor{thread_executor{}}},
        schedule_{options} {
    if (options.background) thread_ = std::thread{[this] { run(); }};
  }

  probe_loop(const probe_loop&) = delete;
  probe_loop& operator=(const probe_loop&) = delete;

  ~probe_loop() {
    // relaxed: the thread sees it once it has seen the signal.
    stopping_.store(true, std::memory_order_relaxed);
    events_->raise();
    if (thread_.joinable()) thread_.join();
    for (const auto& each : schedule_.runs()) each->cancel();  // all, before any is waited for
    const auto until = steady_clock::now() + timeout_;
    for (const auto& each : schedule_.runs()) {
      for (;;) {
        const std::uint32_t seen = events_->seen();
        if (each->late || each->at() != run_type::stage::running) break;
        if (steady_clock::now() >= until) return;
        events_->wait_until(seen, until);
      }
    }
  }

  /// Looks around: takes results, starts the probes that are due. Does nothing while another such call is under way,
  /// also on this thread. An older `now` than before counts as the one before. What the subject throws is let through.
  void run_due(time_point now = Clock::now()) {
    if (driven_.exchange(true, std::memory_order_acquire)) return;  // (1) acquire: pairs with the release in (2)
    const release_at_end done{driven_};
    const time_point at = time_.observe(now);
    const std::int64_t ticks = nanoseconds_of(at);
    schedule_.follow(subject_.members(at), ticks);
    bool started = true;
    while (started) {  // where probes run inline, they have ended when they are started
      subject_.take(schedule_.take_results(ticks), at);
      started = false;
      for (const endpoint_id id : schedule_.due(ticks)) started = start(id, at, ticks) || started;
    }
    next_.store(schedule_.next_event(), std::memory_order_relaxed);  // a number, and no more
  }

  /// As of the last look around; `changes` is 0. Blocks while another thread reads or writes them.
  [[nodiscard]] health_checker_stats stats() const { return schedule_.stats(); }

 private:
  using run_type = probe_run<answer>;

  struct release_at_end {
    std::atomic<bool>& flag;
    ~release_at_end() { flag.store(false, std::memory_order_release); }  // (2) release: pairs with (1)
  };

  bool start(endpoint_id id, time_point at, std::int64_t ticks) {
    probe_question<answer> question = subject_.question(id, at);
    if (!question) return false;
    probe_task<answer, Clock> work{std::move(question), schedule_.begin(id, ticks), events_};
#if defined(__cpp_exceptions)
    try {
      executor_.execute(std::move(work));
    } catch (...) {  // the task has been dropped, which is seen with the results
    }
#else
    executor_.execute(std::move(work));
#endif
    return true;
  }

  void run() {
    // Members that join are looked for after a tenth of an interval, at most a second.
    const auto patience =
        std::clamp<std::chrono::nanoseconds>(interval_ / 10, std::chrono::milliseconds{1}, std::chrono::seconds{1});
    while (!stopping_.load(std::memory_order_relaxed)) {
      const std::uint32_t seen = events_->seen();
      next_.store(end_of_time, std::memory_order_relaxed);
#if defined(__cpp_exceptions)
      try {
        run_due();
      } catch (...) {  // out of memory, or a subject that cannot follow: again after a while
      }
#else
      run_due();
#endif
      const std::int64_t now = nanoseconds_of(Clock::now());
      const std::int64_t next = next_.load(std::memory_order_relaxed);
      const auto wait = next < add_sat(now, patience.count())
                            ? std::chrono::nanoseconds{std::max<std::int64_t>(next - now, 100'000)}
                            : patience;
      if (!stopping_.load(std::memory_order_relaxed)) events_->wait_until(seen, steady_clock::now() + wait);
    }
  }

  Subject& subject_;
  const std::chrono::nanoseconds interval_;
  const std::chrono::nanoseconds timeout_;
  const any_executor executor_;
  const std::shared_ptr<signal> events_ = std::make_shared<signal>();
  probe_schedule<answer> schedule_;  // driven by whoever has set `driven_`
  monotonic<Clock> time_{};
  std::atomic<bool> driven_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> next_{0};
  std::thread thread_;  // last: it uses all the others
};

}  // namespace banyan::detail
