#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <banyan/core/detail/signal.hpp>
#include <banyan/replica/detail/failover_orders.hpp>
#include <banyan/replica/failover_actions.hpp>

namespace banyan::detail {

/// An order on its way, and what came of it: what the thread that does it and those who wait know of each other.
///
///     waiting -> running -> ended
///             -> cancelled -> ended    not wanted any more, and then gone from its executor
///             -> ended                 dropped by its executor
class failover_run {
 public:
  enum class stage : std::uint8_t { waiting, running, cancelled, ended };

  explicit failover_run(const failover_order& given) noexcept : order{given} {}

  /// False when it is not wanted any more.
  bool begin() noexcept { return move(stage::waiting, stage::running); }
  /// False when it has begun.
  bool cancel() noexcept { return move(stage::waiting, stage::cancelled); }
  void end(failover_answer answer) noexcept {
    answer_ = answer;
    stage_.store(stage::ended, std::memory_order_release);  // (1) release: pairs with (2)
  }
  [[nodiscard]] stage at() const noexcept {
    return stage_.load(std::memory_order_acquire);  // (2) acquire: pairs with (1)
  }
  /// Once it has ended.
  [[nodiscard]] const failover_answer& answer() const noexcept { return answer_; }

  const failover_order order;

 private:
  // relaxed: nothing comes with it. What the order needs has come by way of the executor.
  bool move(stage from, stage to) noexcept {
    return stage_.compare_exchange_strong(from, to, std::memory_order_relaxed);
  }

  std::atomic<stage> stage_{stage::waiting};
  failover_answer answer_{};
};

/// Does what an order says.
[[nodiscard]] inline failover_answer perform(const failover_actions& actions, const failover_order& order) {
  const auto said = [](bool yes) {
    return failover_answer{yes ? failover_result::done : failover_result::refused, {}};
  };
  const auto told = [](std::optional<failover_position> position) {
    return failover_answer{position ? failover_result::done : failover_result::refused,
                           position.value_or(failover_position{})};
  };
  switch (order.action) {
    case failover_action::probe:
      return told(actions.probe(order.node));
    case failover_action::confirm:
      return said(actions.confirm(order.node));
    case failover_action::stop_writes:
      return said(actions.stop_writes(order.node, order.epoch));
    case failover_action::resume_writes:
      return said(actions.resume_writes(order.node, order.epoch));
    case failover_action::drain:
      return said(actions.drain(order.node));
    case failover_action::position:
      return told(actions.position(order.node));
    case failover_action::save:
      return said(actions.save(order.record, order.before));
    case failover_action::fence:
      return said(actions.fence(order.node, order.epoch));
    case failover_action::promote:
      return said(actions.promote(order.node, order.epoch));
    case failover_action::repoint:
      return said(actions.repoint(order.handover));
    case failover_action::follow:
      return said(actions.follow(order.node, order.other, order.epoch));
  }
  return {};
}

/// The task that an executor gets. Dropped without being run, it answers that it has failed. Answering takes no memory.
class failover_task {
 public:
  failover_task(std::shared_ptr<const failover_actions> actions, std::shared_ptr<failover_run> run,
                std::shared_ptr<signal> events) noexcept
      : actions_{std::move(actions)}, run_{std::move(run)}, events_{std::move(events)} {}
  failover_task(failover_task&&) noexcept = default;
  failover_task& operator=(failover_task&&) = delete;

  ~failover_task() {
    if (run_ == nullptr) return;
    (void)run_->cancel();
    end({});
  }

  void operator()() noexcept {
    if (run_ == nullptr || !run_->begin()) return;
    end(attempt());
  }

 private:
  // Returns from within the try block. Assigned there instead, to a variable with a value from before, that value is
  // lost with GCC 12 from -O1 on: its dead store elimination takes a call that returns in memory for one that always
  // does.
  failover_answer attempt() const noexcept {
#if defined(__cpp_exceptions)
    try {
      return perform(*actions_, run_->order);
    } catch (...) {
      return {};  // it has failed, then
    }
#else
    return perform(*actions_, run_->order);
#endif
  }

  void end(const failover_answer& answer) noexcept {
    actions_.reset();  // what is the user's goes before anybody can know that it has ended
    run_->end(answer);
    run_.reset();
    events_->raise();
  }

  std::shared_ptr<const failover_actions> actions_;
  std::shared_ptr<failover_run> run_;
  std::shared_ptr<signal> events_;
};

}  // namespace banyan::detail
