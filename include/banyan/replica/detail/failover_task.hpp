#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <banyan/core/detail/signal.hpp>
#include <banyan/replica/detail/failover_orders.hpp>
#include <banyan/replica/failover_actions.hpp>

namespace banyan::detail {

/// Where answers come in, from any thread, also after the failover has gone.
class failover_mailbox {
 public:
  struct letter {
    std::uint64_t number = 0;
    failover_answer answer{};
  };

  void put(std::uint64_t number, failover_answer answer) {
    {
      const std::lock_guard lock{lock_};
      letters_.push_back({number, answer});
    }
    events.raise();
  }
  [[nodiscard]] std::vector<letter> take() {
    const std::lock_guard lock{lock_};
    return std::exchange(letters_, {});
  }
  [[nodiscard]] bool empty() const {
    const std::lock_guard lock{lock_};
    return letters_.empty();
  }

  signal events;

 private:
  mutable std::mutex lock_;
  std::vector<letter> letters_;
};

/// An order on its way.
///
///     waiting -> running -> ended
///             -> cancelled
struct failover_run {
  enum class stage : std::uint8_t { waiting, running, ended, cancelled };

  explicit failover_run(std::uint64_t given) noexcept : number{given} {}

  bool move(stage from, stage to) noexcept {
    return at.compare_exchange_strong(from, to, std::memory_order_acq_rel);  // (1) pairs with itself and (2)
  }
  [[nodiscard]] bool running() const noexcept {
    return at.load(std::memory_order_acquire) == stage::running;  // (2) acquire: pairs with (1)
  }

  const std::uint64_t number;
  std::atomic<stage> at{stage::waiting};
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

/// The task that an executor gets. Dropped without being run, it answers that it has failed.
class failover_task {
 public:
  failover_task(std::shared_ptr<const failover_actions> actions, std::shared_ptr<failover_mailbox> mailbox,
                std::shared_ptr<failover_run> run, const failover_order& order) noexcept
      : actions_{std::move(actions)}, mailbox_{std::move(mailbox)}, run_{std::move(run)}, order_{order} {}
  failover_task(failover_task&&) noexcept = default;
  failover_task& operator=(failover_task&&) = delete;

  ~failover_task() {
    if (run_ == nullptr) return;
    (void)run_->move(failover_run::stage::waiting, failover_run::stage::cancelled);
    mailbox_->put(order_.number, {});
  }

  void operator()() noexcept {
    if (run_ == nullptr || !run_->move(failover_run::stage::waiting, failover_run::stage::running)) return;
    const failover_answer answer = attempt();
    actions_.reset();  // what is the user's goes before anybody can know that it has ended
    (void)run_->move(failover_run::stage::running, failover_run::stage::ended);
    std::exchange(run_, nullptr);
    mailbox_->put(order_.number, answer);
  }

 private:
  // Returns from within the try block. Assigned there instead, to a variable with a value from before, that value is
  // lost with GCC 12 from -O1 on: its dead store elimination takes a call that returns in memory for one that always
  // does.
  failover_answer attempt() const noexcept {
#if defined(__cpp_exceptions)
    try {
      return perform(*actions_, order_);
    } catch (...) {
      return {};  // it has failed, then
    }
#else
    return perform(*actions_, order_);
#endif
  }

  std::shared_ptr<const failover_actions> actions_;
  std::shared_ptr<failover_mailbox> mailbox_;
  std::shared_ptr<failover_run> run_;
  failover_order order_;
};

}  // namespace banyan::detail
