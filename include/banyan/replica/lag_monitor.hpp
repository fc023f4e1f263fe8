#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/cluster/detail/probe_schedule.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/signal.hpp>
#include <banyan/replica/detail/lag_probe.hpp>
#include <banyan/replica/lag_monitor_options.hpp>
#include <banyan/replica/replica_set.hpp>

namespace banyan {

/// Asks all members of a replica set again and again how far they are, and reports it to the set:
///
///     banyan::lag_monitor monitor{users, [](database& d) { return banyan::replica_report{.position = d.applied(),
///                                                                                        .lag = d.lag()}; }};
///
/// A report counts from when its probe began, and for the primary of that time: it can be older than it says, not
/// younger. A member that does not answer is not reported: what the set knows of it grows old, and the set takes it for
/// behind (`bounded_staleness`), then for out (`replica_set_options::report_timeout`). Health is not its concern: see
/// `health_checker`, `outlier_detector`. Where the probe gives no `round_trip`, the time it took is taken for it.
///
/// It follows the membership. A probe that takes longer than `timeout` is not listened to, and the member gets no
/// second one until it returns; up to `max_hanging` of them keep no other member from being probed.
///
/// The set must outlive the monitor. The destructor ends the probing: probes under way are waited for up to `timeout`;
/// one that hangs is left behind, and what it refers to must live as long.
///
/// Thread-safe. Reads never wait for it. A look around takes O(n).
template <class T, class Policy, class Clock = steady_clock>
class lag_monitor {
 public:
  using time_point = typename Clock::time_point;
  using set_type = replica_set<T, Policy, Clock>;

  /// Throws `std::invalid_argument` when an option is out of its range.
  template <lag_probe<T> Probe>
  lag_monitor(set_type& watched, Probe probe, lag_monitor_options options = {})
      : set_{watched},
        options_{checked(std::move(options))},
        probe_{std::make_shared<detail::erased_lag_probe_of<T, Probe>>(std::move(probe))},
        schedule_{detail::schedule_options(options_)} {
    if (options_.background) thread_ = std::thread{[this] { run(); }};
  }

  lag_monitor(const lag_monitor&) = delete;
  lag_monitor& operator=(const lag_monitor&) = delete;

  ~lag_monitor() {
    stopping_.store(true, std::memory_order_relaxed);  // seen after the signal
    events_->raise();
    if (thread_.joinable()) thread_.join();
    const auto until = steady_clock::now() + options_.timeout;
    for (const auto& each : schedule_.runs()) {
      for (;;) {
        const std::uint32_t seen = events_->seen();
        if (each->cancel() || each->late || each->at() != detail::probe_run::stage::running) break;
        if (steady_clock::now() >= until) return;
        events_->wait_until(seen, until);
      }
    }
  }

  /// Looks around: reports what probes have found, starts those that are due. For those who set `background` to false;
  /// harmless otherwise. Does nothing while another such call is under way. An older `now` than before counts as the
  /// one before.
  void run_due(time_point now = Clock::now()) {
    if (driven_.exchange(true, std::memory_order_acquire)) return;  // (1) acquire: pairs with the release in (2)
    const release_at_end done{driven_};
    const time_point at = time_.observe(now);
    const std::int64_t ticks = detail::nanoseconds_of(at);
    schedule_.follow(set_.members().ids(), ticks, [](endpoint_id) { return std::optional<health>{}; });
    bool started = true;
    while (started) {  // where probes run inline, they have ended when they are started
      report_found(ticks);
      schedule_.take_results(ticks);
      started = false;
      for (const endpoint_id id : schedule_.due(ticks)) started = start(id, at, ticks) || started;
    }
    next_.store(schedule_.next_event(), std::memory_order_relaxed);  // a number, and no more
  }

  /// As of the last look around: of probes; `changes` stays 0. Blocks while another thread reads or writes them.
  [[nodiscard]] health_checker_stats stats() const { return schedule_.stats(); }

 private:
  using run_type = detail::lag_run<time_point>;

  struct release_at_end {
    std::atomic<bool>& flag;
    ~release_at_end() { flag.store(false, std::memory_order_release); }  // (2) release: pairs with (1)
  };

  static lag_monitor_options checked(lag_monitor_options options) {
    check(options);
    if (!options.executor) options.executor = any_executor{thread_executor{}};
    return options;
  }

  void report_found(std::int64_t now) {
    std::erase_if(runs_, [&](const std::shared_ptr<run_type>& each) {
      using stage = detail::probe_run::stage;
      const stage at = each->run->at();
      if (at == stage::waiting || at == stage::running) return false;
      const bool in_time = !each->run->late && now < detail::probe_schedule::later(detail::nanoseconds_of(each->began),
                                                                                   options_.timeout.count());
      if (at == stage::finished && in_time && each->found) {
        if (each->found->epoch == 0) each->found->epoch = each->epoch;
        set_.report(each->run->id, *each->found, each->began);
      }
      return true;
    });
  }

  bool start(endpoint_id id, time_point at, std::int64_t ticks) {
    auto endpoint = set_.members().lend(id);
    if (!endpoint) return false;  // removed just now
    auto made = std::make_shared<run_type>(run_type{nullptr, at, set_.epoch(), {}});
    runs_.push_back(made);
    made->run = schedule_.begin(id, ticks);
    detail::lag_task<T, time_point> work{probe_, std::move(endpoint), std::move(made), events_};
#if defined(__cpp_exceptions)
    try {
      options_.executor.execute(std::move(work));
    } catch (...) {  // the task has been dropped, which is seen with the results
    }
#else
    options_.executor.execute(std::move(work));
#endif
    return true;
  }

  void run() {
    // Members that join are looked for after a tenth of an interval, at most a second.
    const auto patience = std::clamp<std::chrono::nanoseconds>(options_.interval / 10, std::chrono::milliseconds{1},
                                                               std::chrono::seconds{1});
    while (!stopping_.load(std::memory_order_relaxed)) {
      const std::uint32_t seen = events_->seen();
      next_.store(detail::probe_schedule::never, std::memory_order_relaxed);
#if defined(__cpp_exceptions)
      try {
        run_due();
      } catch (...) {  // out of memory: again after a while
      }
#else
      run_due();
#endif
      const std::int64_t now = detail::nanoseconds_of(Clock::now());
      const std::int64_t next = next_.load(std::memory_order_relaxed);
      const auto wait = next < detail::probe_schedule::later(now, patience.count())
                            ? std::chrono::nanoseconds{std::max<std::int64_t>(next - now, 100'000)}
                            : patience;
      if (!stopping_.load(std::memory_order_relaxed)) events_->wait_until(seen, steady_clock::now() + wait);
    }
  }

  set_type& set_;
  const lag_monitor_options options_;
  const std::shared_ptr<detail::erased_lag_probe<T>> probe_;
  const std::shared_ptr<detail::signal> events_ = std::make_shared<detail::signal>();
  detail::probe_schedule schedule_;              // driven by whoever has set `driven_`
  std::vector<std::shared_ptr<run_type>> runs_;  // as `schedule_`
  monotonic<Clock> time_{};
  std::atomic<bool> driven_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> next_{0};
  std::thread thread_;  // last: it uses all the others
};

}  // namespace banyan
