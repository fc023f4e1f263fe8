#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan::detail {

enum class failover_action : std::uint8_t {
  probe,
  confirm,
  stop_writes,
  resume_writes,
  drain,
  position,
  save,
  fence,
  promote,
  repoint,
  follow,
};

/// Something to be done outside.
struct failover_order {
  std::uint64_t number = 0;
  failover_action action{};
  endpoint_id node{};
  endpoint_id other{};  // the primary that a replica is to follow
  std::uint32_t epoch = 0;
  failover_record record{};      // of `save`
  failover_record before{};      // of `save`
  failover_handover handover{};  // of `repoint`
};

enum class failover_result : std::uint8_t { done, refused, failed };  // failed: threw, or never ran

struct failover_answer {
  failover_result result = failover_result::failed;
  failover_position position{};  // of `probe` and `position`
};

/// The orders that are out. An order is pending until its answer, or until it is given up: because it took too long, or
/// because nobody wants to know any more. What was given up may still be running: the same thing is not begun again for
/// the same node before it has ended, so that nothing runs twice at once, and what hangs is bounded by the nodes.
///
///     pending -> answered            `answered` hands it over
///             -> given up -> gone    `answered` says nothing
class failover_orders {
 public:
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  /// False when such a one still runs, or one that must not meet it. The number is filled in.
  bool issue(failover_order order, std::int64_t deadline) {
    for (const entry& each : entries_) {
      if (each.order.node != order.node) continue;
      if (each.order.action == order.action || (changes(order.action) && changes(each.order.action))) return false;
    }
    order.number = ++last_;
    fresh_.reserve(fresh_.size() + 1);  // both or none
    entries_.push_back({order, deadline, false});
    fresh_.push_back(order);
    return true;
  }

  /// Those not yet handed over.
  [[nodiscard]] std::span<const failover_order> fresh() const noexcept { return fresh_; }
  [[nodiscard]] std::vector<failover_order> take() noexcept { return std::exchange(fresh_, {}); }

  /// The order that this is the answer to; nothing when nobody waits for it.
  [[nodiscard]] std::optional<failover_order> answered(std::uint64_t number) {
    const auto at = std::find_if(entries_.begin(), entries_.end(),
                                 [number](const entry& each) { return each.order.number == number; });
    if (at == entries_.end()) return std::nullopt;
    const entry ended = *at;
    entries_.erase(at);
    if (ended.given_up) return std::nullopt;
    return ended.order;
  }

  /// One that has taken too long, if any; it is given up.
  [[nodiscard]] std::optional<failover_order> expired(std::int64_t now) {
    for (entry& each : entries_) {
      if (each.given_up || now < each.deadline) continue;
      each.given_up = true;
      return each.order;
    }
    return std::nullopt;
  }

  /// Somebody still waits for its answer.
  [[nodiscard]] bool wants(std::uint64_t number) const noexcept {
    return std::any_of(entries_.begin(), entries_.end(),
                       [number](const entry& each) { return each.order.number == number && !each.given_up; });
  }
  void give_up_all() noexcept {
    for (entry& each : entries_) each.given_up = true;
  }
  void give_up(endpoint_id node) noexcept {
    for (entry& each : entries_) each.given_up = each.given_up || each.order.node == node;
  }

  [[nodiscard]] bool pending(failover_action action, endpoint_id node) const noexcept {
    return std::any_of(entries_.begin(), entries_.end(), [&](const entry& each) {
      return !each.given_up && each.order.action == action && each.order.node == node;
    });
  }
  [[nodiscard]] std::int64_t next_deadline() const noexcept {
    std::int64_t next = never;
    for (const entry& each : entries_) {
      if (!each.given_up) next = std::min(next, each.deadline);
    }
    return next;
  }
  /// Something that changes the node still runs.
  [[nodiscard]] bool busy(endpoint_id node) const noexcept {
    return std::any_of(entries_.begin(), entries_.end(), [&](const entry& each) {
      return each.order.node == node && (changes(each.order.action) || each.order.action == failover_action::fence);
    });
  }
  [[nodiscard]] std::size_t running() const noexcept { return entries_.size(); }

 private:
  struct entry {
    failover_order order;
    std::int64_t deadline = never;
    bool given_up = false;
  };

  // Of those that make a node what it is, one at a time: a promotion that comes late must not find a replica again.
  // Fencing alone is allowed to overtake: it is what ends the others.
  static constexpr bool changes(failover_action action) noexcept {
    using enum failover_action;
    return action == promote || action == follow || action == stop_writes || action == resume_writes;
  }

  std::vector<entry> entries_;
  std::vector<failover_order> fresh_;
  std::uint64_t last_ = 0;
};

}  // namespace banyan::detail
