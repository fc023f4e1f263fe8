#pragma once

#include <cstdint>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/replica/detail/read_requirement.hpp>
#include <banyan/replica/detail/replica_epochs.hpp>
#include <banyan/replica/detail/replica_layout.hpp>
#include <banyan/replica/detail/replica_progress.hpp>

namespace banyan::detail {

/// Which replicas one read may go to.
class replica_filter {
 public:
  /// `farthest`: round trip.
  replica_filter(const read_requirement& need, const replica_fitness& fitness, std::int64_t now,
                 std::int64_t farthest) noexcept
      : position_{need.position},
        fresh_as_of_{need.fresh_as_of},
        reported_after_{fitness.timed() ? time_before(now, fitness.timeout) : replica_progress<>::never},
        farthest_{farthest},
        timed_{fitness.timed()},
        may_lag_{fitness.lag.out_at == lag_limits::none} {}

  /// Whether no replica has what the read asks for, as far as can be told without asking them. O(1).
  [[nodiscard]] bool nobody_in(const replica_epoch& epoch) const noexcept {
    return position_ > epoch.furthest() || fresh_as_of_ > epoch.freshest();
  }

  /// Whether the replica has what the read asks for and may be read from. Without a branch on what the replica has:
  /// among many, some of which have it, that could not be predicted.
  [[nodiscard]] BANYAN_ALWAYS_INLINE bool has(const replica_record& one) const noexcept {
    const replica_progress<>& progress = one.progress;
    unsigned has = static_cast<unsigned>(position_ <= progress.position());
    has &= static_cast<unsigned>(fresh_as_of_ <= progress.fresh_as_of());
    if (!may_lag_) has &= static_cast<unsigned>(!progress.lagging());
    if (timed_) has &= static_cast<unsigned>(progress.reported_at() > reported_after_);
    has &= static_cast<unsigned>(!progress.left_epoch());  // last: what was read before is of this epoch
    return has != 0;
  }

  /// Within the latency window. Round trips are 0 where they are not known.
  [[nodiscard]] BANYAN_ALWAYS_INLINE bool near(const replica_record& one) const noexcept {
    return farthest_ == replica_fitness::none || one.progress.round_trip() <= farthest_;
  }

  [[nodiscard]] BANYAN_ALWAYS_INLINE bool qualifies(const replica_record& one) const noexcept {
    return (static_cast<unsigned>(has(one)) & static_cast<unsigned>(near(one))) != 0;
  }

  /// From now on, whoever has it will do, however far.
  void ignore_window() noexcept { farthest_ = replica_fitness::none; }

  /// The policy that is asked next chooses among the candidates with these records.
  void apply_to(const std::vector<const replica_record*>& records, pick_context& context) noexcept {
    records_ = records.data();
    pick_access::set_needs(context, fit, this);
  }

 private:
  static std::uint32_t fit(const void* needs, const std::uint32_t* places, std::uint32_t count) noexcept {
    const replica_filter self = *static_cast<const replica_filter*>(needs);  // in registers
    std::uint32_t all = 0;
    for (std::uint32_t i = 0; i < count; ++i)
      all |= static_cast<std::uint32_t>(self.qualifies(*self.records_[places[i]])) << i;
    return all;
  }

  std::uint64_t position_;
  std::int64_t fresh_as_of_;
  std::int64_t reported_after_;
  std::int64_t farthest_;
  bool timed_;
  bool may_lag_;
  const replica_record* const* records_ = nullptr;
};

}  // namespace banyan::detail
