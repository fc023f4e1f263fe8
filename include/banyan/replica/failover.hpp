#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/add_sat.hpp>
#include <banyan/core/detail/signal.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/replica/detail/failover_machine.hpp>
#include <banyan/replica/detail/failover_task.hpp>
#include <banyan/replica/failover_actions.hpp>
#include <banyan/replica/failover_options.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan {

/// Replaces a primary that is down by its most advanced replica, and a working one when asked to:
///
///     banyan::failover keeper{{.primary = p}, {r1, r2}, {.probe = ..., .fence = ..., .position = ..., .promote = ...,
///                                                        .repoint = ..., .follow = ...},
///                             {.acknowledgements = 1}, [](const banyan::failover_report& r) { log(r); }};
///     keeper.switch_over(keeper.primary());       // planned: no write is lost
///
/// By itself: when `failures` of the latest `probes` probes failed (and `confirm` agrees), the old primary is fenced
/// under a new epoch, what is under way there drains, the replicas are asked for their positions, the most advanced is
/// promoted, clients are re-pointed, and all others, the old one included, are made its replicas for as long as that
/// takes. Planned: writes are stopped and drain, a replica reaches the primary's last position, and then the same from
/// fencing on. What comes before fencing is given up when it takes too long; there is no way back after it.
///
/// What it takes care of: two primaries (nothing is promoted before the old one is fenced, nor before a candidate that
/// could not be promoted is), going to and fro (`quiet_period`), losing acknowledged writes (`acknowledgements`),
/// actions that throw, hang or are repeated (each on its own with a time limit; one that hangs is not begun twice), the
/// end of its process (`save`, and the record given here), two of its kind (a `save` that refuses). What it cannot do
/// is tell a primary that is down from one that it cannot reach: that is what fencing is for.
///
/// Thread-safe. All calls block while another thread is in one, not while actions run. Nothing here is for a hot path.
///
/// The destructor ends it where it stands: actions that have not begun are not run, those under way are waited for up
/// to `timeout`; what one that hangs refers to must live as long as it does. Actions and the listener may call it, but
/// must not destroy it.
///
/// Sources: Orchestrator (confirmation by the replicas, a period without another recovery), Patroni (most advanced,
/// `max_loss`, the leader's lease), Vitess (planned and emergency re-parenting, the expected primary in requests),
/// epochs as in B. Oki, B. Liskov, "Viewstamped replication", PODC 1988.
template <class Clock = steady_clock>
class failover {
 public:
  using time_point = typename Clock::time_point;
  using listener = std::function<void(const failover_report&)>;

  /// `record`: the primary, for a new one; or what was saved last, to go on from there. `replicas`: all others; one
  /// that comes earlier is preferred to one as advanced. `listener` is told each step, in order, one at a time; what it
  /// throws is ignored. Throws `std::invalid_argument`.
  failover(const failover_record& record, const std::vector<endpoint_id>& replicas, failover_actions actions,
           failover_options options = {}, listener listening = {})
      : options_{checked(record, replicas, actions, std::move(options))},
        actions_{std::make_shared<failover_actions>(std::move(actions))},
        listener_{std::move(listening)},
        machine_{options_,
                 {.confirm = static_cast<bool>(actions_->confirm),
                  .drain = static_cast<bool>(actions_->drain),
                  .save = static_cast<bool>(actions_->save),
                  .switchover = static_cast<bool>(actions_->stop_writes)},
                 record,
                 replicas} {
    if (options_.background) thread_ = std::thread{[this] { run(); }};
  }

  failover(const failover&) = delete;
  failover& operator=(const failover&) = delete;

  ~failover() {
    stopping_.store(true, std::memory_order_relaxed);  // seen after the signal
    events_->raise();
    if (thread_.joinable()) thread_.join();
    for (const auto& each : runs_) (void)each->cancel();  // all, before any is waited for
    const auto until = steady_clock::now() + options_.timeout;
    for (const auto& each : runs_) {
      for (;;) {
        const std::uint32_t seen = events_->seen();
        if (each->at() != run_type::stage::running) break;
        if (steady_clock::now() >= until) return;
        events_->wait_until(seen, until);
      }
    }
  }

  /// Takes answers, and does all that is due. For those who set `background` to false; harmless otherwise. Does nothing
  /// while another such call is under way. An older `now` than before counts as the one before.
  void step(time_point now = Clock::now()) {
    if (driven_.exchange(true, std::memory_order_acquire)) return;  // (1) acquire: pairs with the release in (2)
    const release_at_end done{driven_};
    const std::int64_t at = nanoseconds(time_.observe(now));
    bool again = true;
    while (again) {
      std::vector<std::shared_ptr<run_type>> begun;
      std::vector<failover_report> reports;
      {
        const std::lock_guard lock{lock_};
        take_answers(at);
        machine_.advance(at);
        // Whatever is short of memory throws before an order has been taken: one that nobody does would never end.
        for (const auto& each : machine_.fresh_orders()) begun.push_back(std::make_shared<run_type>(each));
        runs_.reserve(runs_.size() + begun.size());
        (void)machine_.take_orders();
        runs_.insert(runs_.end(), begun.begin(), begun.end());
        reports = machine_.take_reports();
        next_ = machine_.next_event();
        for (const auto& each : runs_) {
          if (!machine_.wants(each->order.number)) (void)each->cancel();
        }
      }
      for (const failover_report& each : reports) tell(each);
      for (auto& each : begun) start(std::move(each));
      const std::lock_guard lock{lock_};
      again = std::any_of(runs_.begin(), runs_.end(), has_ended);
    }
  }

  /// Replaces the primary without waiting for it to be found dead. `expected`: who is thought to be the primary. False,
  /// and nothing happens, when it is another, when something is under way, or there is no replica.
  bool fail_over(endpoint_id expected) {
    return request([&] { return machine_.request_failover(expected); });
  }

  /// A planned switchover, to `target` or to the first that has caught up. False, and nothing happens: as `fail_over`,
  /// and when there is no `stop_writes`.
  bool switch_over(endpoint_id expected, endpoint_id target = {}) {
    return request([&] { return machine_.request_switchover(expected, target); });
  }

  /// When it waits (`failover_event::waiting`) for replicas that will not come back: promotes the best of those that
  /// answer, and may lose acknowledged writes. False when it does not wait.
  bool accept_loss() {
    return request([&] { return machine_.accept_loss(); });
  }

  /// False when it is there already. It is taken for a replica of the primary.
  bool add_replica(endpoint_id id) {
    return request([&] { return machine_.add_replica(id); });
  }
  /// False when it is not there, or something is under way.
  bool remove_replica(endpoint_id id) {
    return request([&] { return machine_.remove_replica(id); });
  }

  /// The old one until another has been promoted.
  [[nodiscard]] endpoint_id primary() const { return locked(&detail::failover_machine::primary); }
  [[nodiscard]] std::vector<endpoint_id> replicas() const { return locked(&detail::failover_machine::replicas); }
  [[nodiscard]] std::uint32_t epoch() const { return locked(&detail::failover_machine::epoch); }
  [[nodiscard]] failover_phase phase() const { return locked(&detail::failover_machine::phase); }
  /// Watching, with all replicas following, and nothing asked for.
  [[nodiscard]] bool settled() const { return locked(&detail::failover_machine::settled); }
  /// Another is in charge: this one does nothing any more.
  [[nodiscard]] bool superseded() const { return locked(&detail::failover_machine::superseded); }

 private:
  using run_type = detail::failover_run;

  struct release_at_end {
    std::atomic<bool>& flag;
    ~release_at_end() { flag.store(false, std::memory_order_release); }  // (2) release: pairs with (1)
  };

  static failover_options checked(const failover_record& record, const std::vector<endpoint_id>& replicas,
                                  const failover_actions& actions, failover_options options) {
    check(options);
    if (!record.primary) invalid_option("failover_record.primary", record.primary.value(), "must name an endpoint");
    // From the others one would go on without the fence.
    using enum failover_phase;
    if (record.phase != watching && record.phase != stopping && record.phase != fencing && record.phase != promoting &&
        record.phase != repointing)
      invalid_option("failover_record.phase", static_cast<int>(record.phase), "must be one that is saved");
    const bool named = record.phase == promoting || record.phase == repointing;
    if (named && !record.candidate)
      invalid_option("failover_record.candidate", record.candidate.value(), "must name an endpoint");
    for (std::size_t i = 0; i < replicas.size(); ++i) {
      const auto end = replicas.begin() + static_cast<std::ptrdiff_t>(i);
      if (!replicas[i] || replicas[i] == record.primary || std::find(replicas.begin(), end, replicas[i]) != end)
        invalid_option("failover.replicas", replicas[i].value(), "must name an endpoint, and each only once");
    }
    const auto required = [](const char* field, bool there) {
      if (!there) invalid_option(field, "none", "must be given");
    };
    required("failover_actions.probe", static_cast<bool>(actions.probe));
    required("failover_actions.fence", static_cast<bool>(actions.fence));
    required("failover_actions.position", static_cast<bool>(actions.position));
    required("failover_actions.promote", static_cast<bool>(actions.promote));
    required("failover_actions.repoint", static_cast<bool>(actions.repoint));
    required("failover_actions.follow", static_cast<bool>(actions.follow));
    required("failover_actions.stop_writes", actions.stop_writes || !actions.resume_writes);
    required("failover_actions.resume_writes",
             actions.resume_writes || (!actions.stop_writes && record.phase != stopping));
    if (!options.executor) options.executor = any_executor{thread_executor{}};
    return options;
  }

  static std::int64_t nanoseconds(time_point at) noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  }
  static bool has_ended(const std::shared_ptr<run_type>& one) noexcept { return one->at() == run_type::stage::ended; }
  // What cannot be taken for want of memory is lost, and what it was about asked again.
  void take_answers(std::int64_t at) {
    for (std::size_t i = 0; i < runs_.size();) {
      if (has_ended(runs_[i])) {
        machine_.answer(runs_[i]->order.number, runs_[i]->answer(), at);
        runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  template <class Result>
  [[nodiscard]] Result locked(Result (detail::failover_machine::*ask)() const) const {
    const std::lock_guard lock{lock_};
    return (machine_.*ask)();
  }
  template <class F>
  bool request(F ask) {
    bool taken = false;
    {
      const std::lock_guard lock{lock_};
      taken = ask();
    }
    if (taken) events_->raise();
    return taken;
  }

  void tell(const failover_report& what) {
    if (!listener_) return;
#if defined(__cpp_exceptions)
    try {
      listener_(what);
    } catch (...) {  // a failover does not end because of its log
    }
#else
    listener_(what);
#endif
  }

  void start(std::shared_ptr<run_type> run) {
    detail::failover_task work{actions_, std::move(run), events_};
#if defined(__cpp_exceptions)
    try {
      options_.executor.execute(std::move(work));
    } catch (...) {  // the task has been dropped, and has said so
    }
#else
    options_.executor.execute(std::move(work));
#endif
  }

  void run() {
    constexpr std::chrono::nanoseconds longest = std::chrono::seconds{1};  // another clock may run faster than this one
    while (!stopping_.load(std::memory_order_relaxed)) {
      const std::uint32_t seen = events_->seen();
#if defined(__cpp_exceptions)
      try {
        step();
      } catch (...) {  // out of memory: again after a while
      }
#else
      step();
#endif
      const std::int64_t now = nanoseconds(Clock::now());
      std::int64_t wait = longest.count();
      {
        const std::lock_guard lock{lock_};
        if (next_ < detail::add_sat(now, wait)) wait = std::max<std::int64_t>(next_ - now, 100'000);
      }
      if (!stopping_.load(std::memory_order_relaxed))
        events_->wait_until(seen, steady_clock::now() + std::chrono::nanoseconds{wait});
    }
  }

  const failover_options options_;
  const std::shared_ptr<const failover_actions> actions_;
  const listener listener_;
  const std::shared_ptr<detail::signal> events_ = std::make_shared<detail::signal>();

  mutable std::mutex lock_;
  detail::failover_machine machine_;                              // under the lock
  std::vector<std::shared_ptr<run_type>> runs_;                   // under the lock
  std::int64_t next_ = std::numeric_limits<std::int64_t>::min();  // under the lock

  monotonic<Clock> time_{};
  std::atomic<bool> driven_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses all the others
};

}  // namespace banyan
