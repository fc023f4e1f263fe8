#pragma once

#include <utility>

#include <banyan/cluster/detail/probe_loop.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/replica/detail/lag_watch.hpp>
#include <banyan/replica/lag_monitor_options.hpp>
#include <banyan/replica/lag_probe.hpp>
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
/// It follows the membership. A probe that takes longer than `timeout`, with what it waits for its executor, is not
/// listened to, and the member gets no second one until it returns; up to `max_hanging` of them keep no other member
/// from being probed.
///
/// The set must outlive the monitor. The destructor ends the probing: probes under way are waited for up to `timeout`;
/// one that hangs is left behind, and what it refers to must live as long. A probe may call the monitor, but must not
/// destroy it: it would wait for itself. While an executor runs a probe inline, or makes its caller wait, nobody else
/// is probed, nor does the destructor return.
///
/// Thread-safe. Reads never wait for it. A look around takes O(n).
template <class T, class Policy, class Clock = steady_clock>
class lag_monitor {
 public:
  using time_point = typename Clock::time_point;
  using set_type = replica_set<T, Policy, Clock>;

  /// Throws `std::invalid_argument` when an option is out of its range.
  template <lag_probe<T> Probe>
  lag_monitor(set_type& watched, Probe probe, const lag_monitor_options& options = {})
      : watch_{watched, std::move(probe), checked(options).timeout}, loop_{watch_, options} {}

  /// Looks around: reports what probes have found, starts those that are due. For those who set `background` to false;
  /// harmless otherwise. Does nothing while another such call is under way. An older `now` than before counts as the
  /// one before.
  void run_due(time_point now = Clock::now()) { loop_.run_due(now); }

  /// As of the last look around: of probes; `changes` stays 0. Blocks while another thread reads or writes them.
  [[nodiscard]] health_checker_stats stats() const { return loop_.stats(); }

 private:
  static const lag_monitor_options& checked(const lag_monitor_options& options) {
    check(options);
    return options;
  }

  detail::lag_watch<T, Policy, Clock> watch_;
  detail::probe_loop<detail::lag_watch<T, Policy, Clock>, Clock> loop_;  // last: its thread uses the watch
};

}  // namespace banyan
