#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/pick_attempt.hpp>
#include <banyan/cluster/detail/member_list.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/detail/replica_epochs.hpp>
#include <banyan/replica/detail/replica_progress.hpp>
#include <banyan/replica/replica_report.hpp>
#include <banyan/replica/replica_status.hpp>

namespace banyan::detail {

/// A member of a replica set, and how far it is in this epoch.
struct replica_record {
  explicit replica_record(endpoint_id whose) noexcept : id{whose} {}

  endpoint_id id;
  replica_progress<> progress;
};

/// A report as the record takes it.
[[nodiscard]] inline progress_report progress_of(const replica_report& news, bool primary) noexcept {
  progress_report mine{.has_position = news.position.has_value(), .position = news.position.value_or(0)};
  if (news.lag && !primary) mine.lag = news.lag->count() < 0 ? 0 : news.lag->count();
  if (news.round_trip && news.round_trip->count() > 0) mine.round_trip = news.round_trip->count();
  return mine;
}

/// The record as its users see it at `now`.
[[nodiscard]] inline replica_status status_of(const replica_record& one, bool primary, std::int64_t now) {
  const auto since = [now](std::int64_t then) { return std::chrono::nanoseconds{now > then ? now - then : 0}; };
  constexpr std::int64_t never = replica_progress<>::never;
  replica_status status{.id = one.id, .primary = primary};
  status.lagging = !primary && one.progress.lagging();
  status.position = one.progress.position();
  if (const std::int64_t fresh = one.progress.fresh_as_of(); fresh != never) status.staleness = since(fresh);
  if (const std::int64_t told = one.progress.reported_at(); told != never) status.silence = since(told);
  if (const std::int64_t trip = one.progress.round_trip(); trip != 0)
    status.round_trip = std::chrono::nanoseconds{trip};
  return status;
}

/// Replicas that were found to have what few have, for the next read that finds nobody else: places in a group.
/// Anything may be read there; whoever uses one asks the replica itself.
class found_replicas {
 public:
  static constexpr std::uint32_t size = 32;
  static constexpr std::uint32_t looked_at = 8;  // by one read
  static constexpr std::uint32_t none = pick_context::none;

  found_replicas() noexcept {
    for (auto& each : places_) each.store(none, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint32_t at(std::uint32_t slot) const noexcept {
    return places_[slot % size].load(std::memory_order_relaxed);  // relaxed: a hint
  }
  void put(std::uint32_t slot, std::uint32_t place) noexcept {
    if (at(slot) != place) places_[slot % size].store(place, std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint32_t>, size> places_;
};

/// Replicas that share a part of the reads.
template <class Policy>
struct replica_group : pick_group<Policy> {
  std::vector<const replica_record*> records;  // of the candidates, in the same order
  std::unique_ptr<found_replicas> found = std::make_unique<found_replicas>();
};

/// A set as it was laid out after a change of its members or roles.
template <class Policy>
struct replica_layout {
  std::vector<replica_group<Policy>> groups;
  std::vector<candidate> spare;  // fit, but not needed at present
  std::vector<const replica_record*> spare_records;
  std::optional<candidate> primary;  // if it takes anything at all
  const replica_record* primary_record = nullptr;
  bool primary_is_fit = false;  // for reads that need not go there
  bool has_replicas = false;    // members that are not the primary, fit or not
  endpoint_id primary_id{};
  replica_epochs epochs{0};
  bool local_epochs = true;
  std::vector<std::shared_ptr<replica_record>> records;  // of all members, by id
  std::shared_ptr<const member_list> members;            // keeps the endpoints alive

  /// Null when there is none of that id. O(log n).
  [[nodiscard]] const std::shared_ptr<replica_record>* find(endpoint_id id) const noexcept {
    const auto at = std::lower_bound(records.begin(), records.end(), id,
                                     [](const auto& one, endpoint_id wanted) { return one->id < wanted; });
    return at != records.end() && (*at)->id == id ? &*at : nullptr;
  }
};

}  // namespace banyan::detail
