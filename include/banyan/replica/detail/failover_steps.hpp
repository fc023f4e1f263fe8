#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <banyan/core/detail/add_sat.hpp>
#include <banyan/replica/detail/failover_orders.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan::detail {

/// How a failover goes about a step, whichever it is: orders that are issued again until they succeed, when to look
/// again, and what is told of it. What comes next is decided elsewhere. Times are nanoseconds and never go back.
class failover_steps {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  static constexpr std::int64_t never = failover_orders::never;
  static constexpr std::int64_t before_time = std::numeric_limits<std::int64_t>::min();

  failover_steps(std::uint32_t epoch, nanoseconds timeout, nanoseconds retry_interval) noexcept
      : timeout_{timeout}, retry_interval_{retry_interval}, epoch_{epoch} {}

  void set_time(std::int64_t now) noexcept {
    if (now_ == before_time) since_ = now;
    now_ = std::max(now_, now);
  }
  [[nodiscard]] std::int64_t now() const noexcept { return now_; }
  [[nodiscard]] std::int64_t in(nanoseconds step) const noexcept { return add_sat(now_, step.count()); }
  /// From the beginning of the phase.
  [[nodiscard]] std::int64_t since(nanoseconds step) const noexcept { return add_sat(since_, step.count()); }

  [[nodiscard]] failover_phase phase() const noexcept { return phase_; }
  void enter(failover_phase next) noexcept {
    phase_ = next;
    since_ = now_;
    begin();
  }
  /// A step: nobody waits for the orders of the one before.
  void begin() noexcept {
    retry_at_ = now_;
    attempts_ = 0;
    told_ = false;
    changed_ = true;
    orders_.give_up_all();
  }

  [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
  void begin_epoch() noexcept { ++epoch_; }

  /// In the name of the present epoch. False when the one before still runs.
  bool order(failover_order what) {
    what.epoch = epoch_;
    return orders_.issue(what, in(timeout_));
  }
  [[nodiscard]] bool pending(failover_action what, endpoint_id node) const noexcept {
    return orders_.pending(what, node);
  }
  [[nodiscard]] bool retry_due() const noexcept { return now_ >= retry_at_; }
  void retry_in(nanoseconds step) noexcept { retry_at_ = in(step); }
  void try_again() noexcept { retry_in(retry_interval_); }
  void retry_now() noexcept { retry_at_ = now_; }
  /// How many attempts have failed, with this one.
  [[nodiscard]] std::uint32_t count_failure() noexcept { return ++attempts_; }
  [[nodiscard]] failover_orders& orders() noexcept { return orders_; }
  [[nodiscard]] const failover_orders& orders() const noexcept { return orders_; }

  /// Something is different: there may be more to do at once.
  void change() noexcept { changed_ = true; }
  [[nodiscard]] bool changed() const noexcept { return changed_; }
  void look() noexcept {
    changed_ = false;
    wake_ = never;
  }
  void wake_at(std::int64_t time) noexcept { wake_ = std::min(wake_, time); }
  void wake_after_now(std::int64_t time) noexcept {
    if (time > now_) wake_at(time);
  }
  void wake_to_retry() noexcept { wake_after_now(retry_at_); }
  [[nodiscard]] std::int64_t next_event() const noexcept { return std::min(orders_.next_deadline(), wake_); }

  void report(failover_event what, endpoint_id node, std::uint64_t position = 0) {
    reports_.push_back({what, node, epoch_, position});
  }
  /// Once in a step.
  void report_once(failover_event what, endpoint_id node, std::uint64_t position = 0) {
    if (!std::exchange(told_, true)) report(what, node, position);
  }
  [[nodiscard]] std::vector<failover_report> take_reports() { return std::exchange(reports_, {}); }

 private:
  const nanoseconds timeout_;
  const nanoseconds retry_interval_;
  failover_orders orders_;
  std::vector<failover_report> reports_;

  failover_phase phase_ = failover_phase::watching;
  std::uint32_t epoch_;
  std::uint32_t attempts_ = 0;
  bool told_ = false;
  bool changed_ = false;
  std::int64_t now_ = before_time;
  std::int64_t since_ = before_time;  // of the phase
  std::int64_t retry_at_ = before_time;
  std::int64_t wake_ = before_time;
};

}  // namespace banyan::detail
