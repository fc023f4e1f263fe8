#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <banyan/cluster/endpoint_handle.hpp>
#include <banyan/cluster/health_probe.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/signal.hpp>
#include <banyan/replica/replica_report.hpp>

namespace banyan {

/// Asks a member how far it is: `probe(value)` returns a `replica_report`, or an optional one. A `lag_monitor` calls it
/// on several threads at once, for different members. What it throws, and nothing, are no report.
template <class P, class T>
concept lag_probe = std::move_constructible<P> && requires(P& probe, T& value) {
  { probe(value) } -> std::convertible_to<std::optional<replica_report>>;
};

namespace detail {

/// A user's probe.
template <class T>
class erased_lag_probe {
 public:
  erased_lag_probe() = default;
  erased_lag_probe(const erased_lag_probe&) = delete;
  erased_lag_probe& operator=(const erased_lag_probe&) = delete;
  virtual ~erased_lag_probe() = default;
  virtual std::optional<replica_report> ask(T& value) = 0;
};

template <class T, class Probe>
class erased_lag_probe_of final : public erased_lag_probe<T> {
 public:
  explicit erased_lag_probe_of(Probe&& probe) : probe_(std::move(probe)) {}
  std::optional<replica_report> ask(T& value) override { return probe_(value); }

 private:
  Probe probe_;
};

/// One probe on its way, and what it found once `run` has finished.
template <class TimePoint>
struct lag_run {
  std::shared_ptr<probe_run> run;
  TimePoint began{};
  std::uint32_t epoch = 0;
  std::optional<replica_report> found{};
};

/// The task that an executor gets. It lets go of everything that is the user's before it reports.
template <class T, class TimePoint>
class lag_task {
 public:
  using run_type = lag_run<TimePoint>;

  lag_task(std::shared_ptr<erased_lag_probe<T>> probe, endpoint_handle<T> endpoint, std::shared_ptr<run_type> run,
           std::shared_ptr<signal> events) noexcept
      : probe_{std::move(probe)}, endpoint_{std::move(endpoint)}, run_{std::move(run)}, events_{std::move(events)} {}
  lag_task(lag_task&&) noexcept = default;
  lag_task& operator=(lag_task&&) = delete;

  ~lag_task() {
    if (run_ == nullptr) return;
    let_go();
    if (run_->run->cancel()) events_->raise();
  }

  void operator()() noexcept {
    if (run_ == nullptr || !run_->run->begin()) return;
    const auto start = steady_clock::now();
    std::optional<replica_report> found = attempt();
    if (found && !found->round_trip) found->round_trip = steady_clock::now() - start;
    let_go();
    run_->found = found;
    run_->run->finish(found ? health::healthy : health::unhealthy);
    events_->raise();
    run_.reset();
  }

 private:
  // Returns from within the try block. Assigned there instead, to a variable with a value from before, that value is
  // lost with GCC 12 from -O1 on: its dead store elimination takes a call that returns in memory for one that always
  // does.
  std::optional<replica_report> attempt() const noexcept {
#if defined(__cpp_exceptions)
    try {
      return probe_->ask(*endpoint_);
    } catch (...) {
      return std::nullopt;  // a probe that cannot tell tells nothing
    }
#else
    return probe_->ask(*endpoint_);
#endif
  }
  void let_go() noexcept {
    endpoint_ = {};
    probe_.reset();
  }

  std::shared_ptr<erased_lag_probe<T>> probe_;
  endpoint_handle<T> endpoint_;
  std::shared_ptr<run_type> run_;
  std::shared_ptr<signal> events_;
};

}  // namespace detail
}  // namespace banyan
