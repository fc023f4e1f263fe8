#pragma once

#include <optional>
#include <utility>

#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/detail/health_watch.hpp>
#include <banyan/cluster/detail/probe_loop.hpp>
#include <banyan/cluster/health_checker_options.hpp>
#include <banyan/cluster/health_checker_stats.hpp>
#include <banyan/cluster/health_probe.hpp>
#include <banyan/core/clock.hpp>

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
/// under way are waited for up to `timeout`; one that hangs is left behind, and what it refers to must live as long. A
/// probe may call the checker, but must not destroy it: it would wait for itself. While an executor runs a probe
/// inline, or makes its caller wait, nothing else is checked, nor does the destructor return.
///
/// Thread-safe. Picks never wait for it. A look around takes O(n), a change of health as long as `cluster::set_health`.
template <class T, class Clock = steady_clock>
class health_checker {
 public:
  using time_point = typename Clock::time_point;

  /// Throws `std::invalid_argument` when an option is out of its range.
  template <health_probe<T> Probe>
  health_checker(cluster<T, Clock>& web, Probe probe, const health_checker_options& options = {})
      : watch_{web, std::move(probe), checked(options).healthy_after, options.unhealthy_after},
        loop_{watch_, options} {}

  /// Looks around: takes results, sets healths, starts the probes that are due. For those who set `background` to
  /// false; harmless otherwise. Does nothing while another such call is under way. An older `now` than before counts as
  /// the one before. What `cluster::set_health` throws is let through, and tried again with the next call.
  void run_due(time_point now = Clock::now()) { loop_.run_due(now); }

  /// As of the last look around. Blocks while another thread reads or writes them.
  [[nodiscard]] health_checker_stats stats() const {
    health_checker_stats stats = loop_.stats();
    stats.changes = watch_.changes();
    return stats;
  }

  /// What the latest probes of an endpoint amount to; nothing when that cannot be told, or it is not watched. Blocks as
  /// `stats`.
  [[nodiscard]] std::optional<health> verdict(endpoint_id id) const { return watch_.verdict(id); }

 private:
  static const health_checker_options& checked(const health_checker_options& options) {
    check(options);
    return options;
  }

  detail::health_watch<T, Clock> watch_;
  detail::probe_loop<detail::health_watch<T, Clock>, Clock> loop_;  // last: its thread uses the watch
};

}  // namespace banyan
