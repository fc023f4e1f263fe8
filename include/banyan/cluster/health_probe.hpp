#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <banyan/cluster/endpoint_handle.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/health.hpp>
#include <banyan/core/detail/signal.hpp>

namespace banyan {

/// Asks an endpoint how it is: `probe(value)` returns a `health`, or whether it is healthy. A `health_checker` calls it
/// on several threads at once, for different endpoints. What it throws counts as unhealthy.
template <class P, class T>
concept health_probe = std::move_constructible<P> && requires(P& probe, T& value) {
  requires std::same_as<std::remove_cvref_t<decltype(probe(value))>, health> ||
      std::convertible_to<decltype(probe(value)), bool>;
};

namespace detail {

/// One probe on its way: what the thread that runs it and the checker know of each other.
class probe_run {
 public:
  enum class stage : std::uint8_t { waiting, running, finished, not_run };

  explicit probe_run(endpoint_id endpoint, std::int64_t now) noexcept : id{endpoint}, since{now} {}

  /// False when the checker does not want it any more.
  bool begin() noexcept {
    stage expected = stage::waiting;
    return stage_.compare_exchange_strong(expected, stage::running, std::memory_order_relaxed);
  }
  /// False when it has begun.
  bool cancel() noexcept {
    stage expected = stage::waiting;
    return stage_.compare_exchange_strong(expected, stage::not_run, std::memory_order_relaxed);
  }
  void finish(health result) noexcept {
    result_ = result;
    stage_.store(stage::finished, std::memory_order_release);  // (1) release: pairs with (2)
  }
  [[nodiscard]] stage at() const noexcept { return stage_.load(std::memory_order_acquire); }  // (2) pairs with (1)
  /// Once it has finished.
  [[nodiscard]] health result() const noexcept { return result_; }

  // The checker's own.
  const endpoint_id id;
  std::int64_t since;
  bool late = false;

 private:
  std::atomic<stage> stage_{stage::waiting};
  health result_ = health::unhealthy;
};

/// A user's probe.
template <class T>
class erased_probe {
 public:
  erased_probe() = default;
  erased_probe(const erased_probe&) = delete;
  erased_probe& operator=(const erased_probe&) = delete;
  virtual ~erased_probe() = default;
  virtual health ask(T& value) = 0;
};

template <class T, class Probe>
class erased_probe_of final : public erased_probe<T> {
 public:
  explicit erased_probe_of(Probe&& probe) : probe_(std::move(probe)) {}

  health ask(T& value) override {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(probe_(value))>, health>) {
      return probe_(value);
    } else {
      return static_cast<bool>(probe_(value)) ? health::healthy : health::unhealthy;
    }
  }

 private:
  Probe probe_;
};

/// The task that an executor gets. It lets go of everything that is the user's before it reports.
template <class T>
class probe_task {
 public:
  probe_task(std::shared_ptr<erased_probe<T>> probe, endpoint_handle<T> endpoint, std::shared_ptr<probe_run> run,
             std::shared_ptr<signal> events) noexcept
      : probe_{std::move(probe)}, endpoint_{std::move(endpoint)}, run_{std::move(run)}, events_{std::move(events)} {}
  probe_task(probe_task&& other) noexcept = default;
  probe_task& operator=(probe_task&&) = delete;

  ~probe_task() {
    if (run_ == nullptr) return;
    let_go();
    if (run_->cancel()) events_->raise();
  }

  void operator()() noexcept {
    if (run_ == nullptr || !run_->begin()) return;
    health result = health::unhealthy;
#if defined(__cpp_exceptions)
    try {
      result = probe_->ask(*endpoint_);
    } catch (...) {  // a probe that cannot tell has failed
    }
#else
    result = probe_->ask(*endpoint_);
#endif
    let_go();
    run_->finish(result);
    events_->raise();
    run_.reset();
  }

 private:
  void let_go() noexcept {
    endpoint_ = {};
    probe_.reset();
  }

  std::shared_ptr<erased_probe<T>> probe_;
  endpoint_handle<T> endpoint_;
  std::shared_ptr<probe_run> run_;
  std::shared_ptr<signal> events_;
};

}  // namespace detail
}  // namespace banyan
