#pragma once

#include <optional>
#include <utility>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/detail/failover_orders.hpp>
#include <banyan/replica/detail/failover_steps.hpp>
#include <banyan/replica/failover_report.hpp>

namespace banyan::detail {

/// The record that outlives the process, as far as is known to have been kept. Keeping compares and sets, so that a
/// record that comes late from an earlier process finds another than it expects. One of which nobody knows whether it
/// was kept is written again before the next: else what the next expects could not be told.
class failover_journal {
 public:
  explicit failover_journal(const failover_record& found) noexcept : kept_{found} {}

  /// False when the one before is still being written.
  bool write(failover_steps& steps, endpoint_id primary, const failover_record& wanted) {
    failover_order made{.action = failover_action::save, .node = primary};
    made.record = in_doubt_.value_or(wanted);
    made.before = kept_;
    if (!steps.order(made)) return false;
    in_doubt_ = made.record;
    wanted_ = wanted;
    return true;
  }
  /// It has been kept. False when it was another one's turn: what is wanted is still to be written.
  [[nodiscard]] bool written() noexcept {
    kept_ = std::exchange(in_doubt_, std::nullopt).value_or(kept_);
    return kept_ == wanted_;
  }

 private:
  failover_record kept_;
  std::optional<failover_record> in_doubt_;  // perhaps kept
  failover_record wanted_{};
};

}  // namespace banyan::detail
