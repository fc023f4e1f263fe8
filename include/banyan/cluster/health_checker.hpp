#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/detail/probe_schedule.hpp>
#include <banyan/cluster/health_checker_options.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/cluster/health_probe.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/signal.hpp>

namespace banyan {

/// Asks every endpoint of a cluster again and again how it is, and sets its health accordingly:
///
///     banyan::health_checker checker{web, [](backend& b) { return answers(b.address); }, {.interval = 5s}};
///
/// It follows the membership: an endpoint that joins is probed at once when `run_due` is called by hand, and within
/// a tenth of the interval, a second at most, by the checker's own thread. Its health is the checker's: what others set
/// holds until the checker changes its mind. Endpoints that drain or are ejected are probed as well. A probe does not
/// count as in flight; it keeps the endpoint's value alive.
///
/// A probe that takes too long has failed, and fails again each interval, until it returns; meanwhile the endpoint gets
/// no second one. Such hanging probes do not keep others waiting up to `max_hanging`; then nothing is probed and all
/// health stays as it is, until one of them returns. The time that a probe waits for a busy executor does not count.
///
/// The cluster must outlive the checker. The destructor ends the checks: probes that have not begun are not run, those
/// under way are waited for up to `timeout`; one that hangs is left behind, and what it refers to must live as long.
///
/// Thread-safe. Picks never wait for it. A look around takes O(n), a change of health as long as `cluster::set_health`.
template <class T, class Clock = steady_clock>
class health_checker {
 public:
  using time_point = typename Clock::time_point;

  /// Throws `std::invalid_argument` when an option is out of its range.
  template <health_probe<T> Probe>
  health_checker(cluster<T, Clock>& web, Probe probe, health_checker_options options = {})
      : web_{web},
        options_{checked(std::move(options))},
        probe_{std::make_shared<detail::erased_probe_of<T, Probe>>(std::move(probe))},
        schedule_{options_} {
    if (options_.background) thread_ = std::thread{[this] { run(); }};
  }

  health_checker(const health_checker&) = delete;
  health_checker& operator=(const health_checker&) = delete;

  ~health_checker() {
    // relaxed: the thread sees it once it has seen the signal.
    stopping_.store(true, std::memory_order_relaxed);
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

  /// Looks around: takes results, sets healths, starts the probes that are due. For those who set `background` to
  /// false; harmless otherwise. Does nothing while another such call is under way. An older `now` than before counts as
  /// the one before. What `cluster::set_health` throws is let through, and tried again with the next call.
  void run_due(time_point now = Clock::now()) {
    if (driven_.exchange(true, std::memory_order_acquire)) return;  // (1) acquire: pairs with the release in (2)
    const release_at_end done{driven_};
    const time_point at = time_.observe(now);
    const std::int64_t ticks = detail::nanoseconds_of(at);
    schedule_.follow(web_.ids(), ticks, [&](endpoint_id id) { return known_health(id); });
    bool started = true;
    while (started) {  // where probes run inline, they have ended when they are started
      schedule_.take_results(ticks);
      schedule_.tell([&](endpoint_id id, health state) { return web_.set_health(id, state, at); });
      started = false;
      for (const endpoint_id id : schedule_.due(ticks)) started = start(id, ticks) || started;
    }
    next_.store(schedule_.next_event(), std::memory_order_relaxed);  // a number, and no more
  }

  /// As of the last look around. Blocks while another thread reads or writes them.
  [[nodiscard]] health_checker_stats stats() const { return schedule_.stats(); }

  /// What the latest probes of an endpoint amount to; nothing when that cannot be told, or it is not watched. Blocks as
  /// `stats`.
  [[nodiscard]] std::optional<health> verdict(endpoint_id id) const { return schedule_.verdict(id); }

 private:
  struct release_at_end {
    std::atomic<bool>& flag;
    ~release_at_end() { flag.store(false, std::memory_order_release); }  // (2) release: pairs with (1)
  };

  static health_checker_options checked(health_checker_options options) {
    check(options);
    if (!options.executor) options.executor = any_executor{thread_executor{}};
    return options;
  }

  // As far as it shows: not while the endpoint drains or is ejected.
  [[nodiscard]] std::optional<health> known_health(endpoint_id id) const {
    const auto known = web_.stats(id);
    if (!known || known->ejected || known->state == health::draining) return std::nullopt;
    return known->state;
  }

  bool start(endpoint_id id, std::int64_t now) {
    endpoint_handle<T> endpoint = web_.lend(id);
    if (!endpoint) return false;  // removed just now
    detail::probe_task<T> work{probe_, std::move(endpoint), schedule_.begin(id, now), events_};
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
      } catch (...) {  // out of memory, or a balancer that cannot follow: again after a while
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

  cluster<T, Clock>& web_;
  const health_checker_options options_;
  const std::shared_ptr<detail::erased_probe<T>> probe_;
  const std::shared_ptr<detail::signal> events_ = std::make_shared<detail::signal>();
  detail::probe_schedule schedule_;  // driven by whoever has set `driven_`
  monotonic<Clock> time_{};
  std::atomic<bool> driven_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> next_{0};
  std::thread thread_;  // last: it uses all the others
};

}  // namespace banyan
