#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include <banyan/cluster/cluster.hpp>
#include <banyan/cluster/detail/watched_endpoint.hpp>
#include <banyan/cluster/ejection_limit.hpp>
#include <banyan/cluster/endpoint_stats.hpp>
#include <banyan/cluster/outlier_detector_options.hpp>
#include <banyan/cluster/outlier_detector_stats.hpp>
#include <banyan/cluster/success_rate_outliers.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/add_sat.hpp>

namespace banyan {

/// Watches what pick tokens report and takes endpoints that fail more than the others out of the picks for a while:
///
///     banyan::outlier_detector detector{web, {.consecutive_failures = 5, .interval = 10s}};
///
/// * Consecutive failures: so many in a row, over all threads, eject an endpoint at once.
/// * Consecutive unanswered: the same for failures that came without any answer.
/// * Success rate: each interval, endpoints with enough requests are compared; see `success_rate_outliers`.
///
/// An ejection ends by itself, later each time the endpoint is ejected again; the endpoint then begins with slow start
/// and a clean record. At most `ejection_limit` of the endpoints that do not drain are out at a time, and never the
/// last one that is fit (healthy or degraded, with a weight); the worst go first. Who is spared is looked at again with
/// every look.
///
/// Where all endpoints are near their limit, timeouts tell of overload, and an ejection moves it on to the next: bound
/// the load (`key_affinity` can), keep `max_ejected` low, or do not report such timeouts.
///
/// One detector for a cluster, which must outlive it. The destructor readmits whom it has ejected.
///
/// Thread-safe. Reports and picks never wait for it. A look takes O(n), an ejection as long as `cluster::eject`.
///
/// Source: Envoy's outlier detection, but for the limit.
template <class T, class Clock = steady_clock>
class outlier_detector {
 public:
  using time_point = typename Clock::time_point;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit outlier_detector(cluster<T, Clock>& web, const outlier_detector_options& options = {})
      : web_{web}, options_{options} {
    check(options);
    web_.watch_failures(options.consecutive_failures, options.consecutive_unanswered);
    if (options_.background) thread_ = std::thread{[this] { run(); }};
  }

  outlier_detector(const outlier_detector&) = delete;
  outlier_detector& operator=(const outlier_detector&) = delete;

  ~outlier_detector() {
    // relaxed: the thread sees it once it has seen the event.
    stopping_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) {
      web_.wake();
      thread_.join();
    }
    attempt([&] { web_.watch_failures(0); });
    for (const watched& each : endpoints_) {
      if (each.out) attempt([&] { web_.readmit(each.id, time_.observe()); });
    }
  }

  /// Looks around: ends ejections whose time has come, ejects. For those who set `background` to false; harmless
  /// otherwise. Does nothing while another such call is under way. An older `now` than before counts as the one before.
  /// What `cluster::eject` or `readmit` throws is let through; what has been done until then remains.
  void evaluate(time_point now = Clock::now()) {
    if (driven_.exchange(true, std::memory_order_acquire)) return;  // (1) acquire: pairs with the release in (2)
    const release_at_end done{*this};
    const time_point at = time_.observe(now);
    const std::int64_t ticks = detail::nanoseconds_of(at);
    if (next_sweep_ == unknown) next_sweep_ = detail::add_sat(ticks, options_.interval.count());
    follow_members(at);
    readmit_due(at, ticks);
    eject_failing(ticks);
    if (ticks >= next_sweep_) {
      eject_outliers(ticks);
      begin_interval();
      next_sweep_ = detail::add_sat(ticks, options_.interval.count());
    }
    std::int64_t next = next_sweep_;
    for (const watched& each : endpoints_) {
      if (each.out) next = std::min(next, each.out_until);
    }
    next_.store(next, std::memory_order_relaxed);  // a number, and no more
  }

  /// As of the last look. Blocks while another thread reads or writes them.
  [[nodiscard]] outlier_detector_stats stats() const {
    const std::lock_guard lock{stats_lock_};
    return published_;
  }

 private:
  static constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  using watched = detail::watched_endpoint;

  struct release_at_end {
    outlier_detector& self;
    ~release_at_end() {
      self.publish();
      self.driven_.store(false, std::memory_order_release);  // (2) release: pairs with (1)
    }
  };

  // For where nobody can be told.
  template <class Call>
  static void attempt(Call call) noexcept {
#if defined(__cpp_exceptions)
    try {
      call();
    } catch (...) {
    }
#else
    call();
#endif
  }

  void follow_members(time_point at) {
    endpoints_ = detail::follow(endpoints_, web_.all_stats(at));
    for (watched& each : endpoints_) {
      if (each.out && !each.now.ejected) each.out = false;  // somebody else has readmitted it
      // When it comes back from bad health, what it did before says nothing about now.
      if (each.fit() && !each.was_fit) begin_anew(each);
      each.was_fit = each.fit();
    }
  }

  void begin_anew(watched& one) {
    web_.forget_failures(one.id);
    one.now.failures_in_a_row = 0;
    one.now.unanswered_in_a_row = 0;
    one.begin_record();
  }

  void readmit_due(time_point at, std::int64_t now) {
    for (watched& each : endpoints_) {
      if (!each.out || now < each.out_until) continue;
      web_.readmit(each.id, at);
      each.out = false;
      ++counts_.readmitted;
      if (const auto fresh = web_.stats(each.id, at)) each.now = *fresh;
      begin_anew(each);
      each.was_fit = each.fit();
    }
  }

  void eject_failing(std::int64_t now) {
    const auto reaches = [](std::uint32_t run, std::uint32_t limit) { return limit != 0 && run >= limit; };
    std::vector<watched*> failing;
    for (watched& each : endpoints_) {
      if (each.fit() && (reaches(each.now.failures_in_a_row, options_.consecutive_failures) ||
                         reaches(each.now.unanswered_in_a_row, options_.consecutive_unanswered)))
        failing.push_back(&each);
    }
    std::stable_sort(failing.begin(), failing.end(), [](const watched* one, const watched* other) {
      return one->now.failures_in_a_row > other->now.failures_in_a_row;
    });
    for (watched* const each : failing) {
      if (eject(*each, now)) ++counts_.by_consecutive_failures;
    }
  }

  void eject_outliers(std::int64_t now) {
    if (options_.success_rate_stdev == 0) return;
    std::vector<watched*> busy;
    for (watched& each : endpoints_) {
      if (each.fit() && each.requests() >= options_.success_rate_min_requests) busy.push_back(&each);
    }
    if (busy.size() < options_.min_endpoints) return;
    std::stable_sort(busy.begin(), busy.end(), [](const watched* one, const watched* other) {
      return one->success_rate() < other->success_rate();
    });
    std::vector<double> rates;
    rates.reserve(busy.size());
    for (const watched* const each : busy) rates.push_back(each->success_rate());
    for (const std::size_t i :
         success_rate_outliers(rates, options_.success_rate_stdev, options_.success_rate_margin)) {
      if (eject(*busy[i], now)) ++counts_.by_success_rate;
    }
  }

  bool eject(watched& one, std::int64_t now) {
    std::size_t members = 0;
    std::size_t out = 0;
    std::size_t others_fit = 0;
    for (const watched& each : endpoints_) {
      if (each.now.state == health::draining) continue;
      ++members;
      if (each.now.ejected) ++out;
      if (each.id != one.id && each.fit()) ++others_fit;
    }
    if (others_fit == 0 || out >= ejection_limit(members, options_.max_ejected)) {
      ++counts_.spared;
      return false;
    }
    if (!web_.eject(one.id)) return false;  // removed just now
    // More often than the longest ejection asks for would only take longer to forget.
    const std::int64_t base = options_.base_ejection.count();
    const std::int64_t longest = options_.max_ejection.count();
    if (one.times * base < longest) ++one.times;
    one.out_until = detail::add_sat(now, std::min(longest, one.times * base));
    one.out = true;
    one.disturbed = true;
    one.now.ejected = true;
    one.was_fit = false;
    return true;
  }

  void begin_interval() noexcept {
    for (watched& each : endpoints_) {
      if (!each.out && !each.disturbed && each.times > 0) --each.times;
      each.disturbed = each.out;
      each.begin_record();
    }
  }

  void publish() noexcept {
    const std::lock_guard lock{stats_lock_};
    published_ = counts_;
    published_.ejected = static_cast<std::size_t>(
        std::count_if(endpoints_.begin(), endpoints_.end(), [](const watched& one) { return one.out; }));
  }

  void run() {
    while (!stopping_.load(std::memory_order_relaxed)) {
      const std::uint32_t seen = web_.events_seen();
      next_.store(never, std::memory_order_relaxed);
      attempt([&] { evaluate(); });  // out of memory, or a balancer that cannot follow: again after an interval
      const std::int64_t now = detail::nanoseconds_of(Clock::now());
      const std::int64_t next = next_.load(std::memory_order_relaxed);
      const std::int64_t wait = next < detail::add_sat(now, options_.interval.count())
                                    ? std::max<std::int64_t>(next - now, 100'000)
                                    : options_.interval.count();
      if (!stopping_.load(std::memory_order_relaxed))
        web_.wait_for_event(seen, steady_clock::now() + std::chrono::nanoseconds{wait});
    }
  }

  cluster<T, Clock>& web_;
  const outlier_detector_options options_;
  std::atomic<bool> driven_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> next_{0};

  // Of whoever has set `driven_`.
  monotonic<Clock> time_{};
  std::int64_t next_sweep_ = unknown;
  std::vector<watched> endpoints_;
  outlier_detector_stats counts_{};

  mutable std::mutex stats_lock_;
  outlier_detector_stats published_{};
  std::thread thread_;  // last: it uses all the others
};

}  // namespace banyan
