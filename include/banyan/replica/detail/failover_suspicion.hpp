#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/detail/failover_orders.hpp>
#include <banyan/replica/detail/failover_steps.hpp>
#include <banyan/replica/detail/failure_window.hpp>
#include <banyan/replica/failover_options.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan::detail {

/// Probes the primary while nothing else is to be done, and says when it has failed: k of its latest n probes have, and
/// the last failover was long enough ago.
class failover_suspicion {
 public:
  explicit failover_suspicion(const failover_options& options)
      : interval_{options.probe_interval},
        failures_{options.probes, options.failures,
                  (options.probe_interval + options.timeout).count() * 2 * options.probes} {}

  /// True when it is to be replaced.
  [[nodiscard]] bool due(failover_steps& steps, endpoint_id primary, bool replaceable) {
    if (!failures_.suspect(steps.now())) {
      suspected_ = held_back_ = false;
      return false;
    }
    if (!std::exchange(suspected_, true)) steps.report(failover_event::suspected, primary);
    const bool quiet = steps.now() < quiet_until_;
    if (!quiet && replaceable) return true;
    if (!std::exchange(held_back_, true)) steps.report(failover_event::held_back, primary);
    if (quiet) steps.wake_at(quiet_until_);
    return false;
  }

  void probe(failover_steps& steps, endpoint_id primary) {
    if (!steps.pending(failover_action::probe, primary) && steps.now() >= probe_at_) {
      probe_at_ = steps.in(interval_);
      if (!steps.order({.action = failover_action::probe, .node = primary})) {  // the last one hangs
        failures_.record(steps.now(), true);
        steps.change();
      }
    }
    steps.wake_after_now(probe_at_);
  }
  void answered(std::int64_t now, bool failed) { failures_.record(now, failed); }

  /// It is reported anew when it is suspected again.
  void report_anew() noexcept { suspected_ = held_back_ = false; }
  /// What was is no reason any more.
  void clear() noexcept {
    failures_.clear();
    report_anew();
  }
  void clear_and_probe_at_once() noexcept {
    clear();
    probe_at_ = failover_steps::before_time;
  }
  void keep_quiet_until(std::int64_t time) noexcept { quiet_until_ = time; }

 private:
  const std::chrono::nanoseconds interval_;
  failure_window failures_;
  bool suspected_ = false;
  bool held_back_ = false;
  std::int64_t probe_at_ = failover_steps::before_time;
  std::int64_t quiet_until_ = failover_steps::before_time;
};

}  // namespace banyan::detail
