#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/balancer_options.hpp>
#include <banyan/cluster/detail/member_list.hpp>
#include <banyan/cluster/priority_load.hpp>
#include <banyan/cluster/subset.hpp>
#include <banyan/cluster/zone_routing.hpp>

namespace banyan::detail {

/// A part of the requests, and who shares it.
struct traffic_share {
  std::vector<candidate> candidates;
  double share = 0;         // of all requests
  std::uint64_t up_to = 0;  // sum of the shares so far, of 2^32
};

inline void check(const balancer_options& options) {
  banyan::check(options.priorities);
  banyan::check(options.zone);
}

/// The members that this caller uses at all, by id.
inline std::vector<const member*> chosen_members(const member_list& list, const subset_options& subset) {
  std::vector<const member*> all;
  all.reserve(list.members.size());
  for (const member& each : list.members) all.push_back(&each);
  if (subset.size == 0 || subset.size >= all.size()) return all;
  // In an order that is the same for all callers, wherever they run.
  std::sort(all.begin(), all.end(), [](const member* a, const member* b) {
    return std::pair{a->record->name_hash(), a->id()} < std::pair{b->record->name_hash(), b->id()};
  });
  std::vector<const member*> chosen;
  for (const std::uint32_t i : deterministic_subset(static_cast<std::uint32_t>(all.size()), subset.size, subset.client))
    chosen.push_back(all[i]);
  std::sort(chosen.begin(), chosen.end(), [](const member* a, const member* b) { return a->id() < b->id(); });
  return chosen;
}

struct traffic_plan {
  std::vector<traffic_share> shares;
  std::vector<candidate> spare;  // fit, but not needed at present: for a request that nobody else may take
};

/// Adds a share for `members`, split by zone where the caller's zone plays a role.
inline void add_by_zone(traffic_plan& plan, double share, const std::vector<const member*>& members,
                        const member_list& list, const zone_options& zone, bool may_warm_up) {
  if (share <= 0) {
    for (const member* const one : members)
      plan.spare.push_back(pick_access::make_candidate(*one->record, one->weight, may_warm_up));
  }
  if (members.empty() || share <= 0) return;
  std::vector<double> capacities(list.zones->size());
  std::size_t zones = 0;
  for (const member* const one : members) {
    if (capacities[one->zone] == 0) ++zones;
    capacities[one->zone] += one->weight;
  }
  const auto local =
      static_cast<std::size_t>(std::find(list.zones->begin(), list.zones->end(), zone.zone) - list.zones->begin());
  const auto in_own_zone = static_cast<std::size_t>(
      std::count_if(members.begin(), members.end(), [&](const member* one) { return one->zone == local; }));
  const bool matters = !zone.zone.empty() && members.size() >= zone.min_endpoints && zones > 1 && in_own_zone > 0 &&
                       in_own_zone >= zone.min_local;

  // Zones that nobody is in do not count.
  std::vector<traffic_share> parts(1, traffic_share{{}, share});
  std::vector<std::size_t> part_of(capacities.size());
  if (matters) {
    std::vector<double> present;
    std::size_t local_part = 0;
    for (std::size_t i = 0; i < capacities.size(); ++i) {
      if (i == local) local_part = present.size();
      part_of[i] = present.size();
      if (capacities[i] > 0) present.push_back(capacities[i]);
    }
    const std::vector<double> shares = spread_over_zones(present, local_part, zone.callers_share);
    parts.assign(shares.size(), traffic_share{});
    for (std::size_t i = 0; i < shares.size(); ++i) parts[i].share = share * shares[i];
  }
  for (const member* const one : members) {
    parts[part_of[one->zone]].candidates.push_back(pick_access::make_candidate(*one->record, one->weight, may_warm_up));
  }
  for (traffic_share& part : parts) {
    if (part.share > 0) {
      plan.shares.push_back(std::move(part));
    } else {
      plan.spare.insert(plan.spare.end(), part.candidates.begin(), part.candidates.end());
    }
  }
}

/// Who takes which part of the requests: by priority and health, then by zone.
inline traffic_plan plan_traffic(const member_list& list, const balancer_options& options, bool may_warm_up) {
  struct level {
    std::vector<const member*> healthy;
    std::vector<const member*> degraded;
    std::vector<const member*> all;
  };
  std::vector<std::pair<std::uint32_t, level>> levels;
  for (const member* const one : chosen_members(list, options.subset)) {
    if (one->weight <= 0 || one->draining) continue;
    auto at = std::lower_bound(levels.begin(), levels.end(), one->priority,
                               [](const auto& each, std::uint32_t priority) { return each.first < priority; });
    if (at == levels.end() || at->first != one->priority) at = levels.insert(at, {one->priority, {}});
    at->second.all.push_back(one);
    if (one->state() == health::healthy) at->second.healthy.push_back(one);
    if (one->state() == health::degraded) at->second.degraded.push_back(one);
  }

  std::vector<priority_level> sizes;
  sizes.reserve(levels.size());
  for (const auto& [priority, each] : levels) {
    sizes.push_back({static_cast<double>(each.healthy.size()), static_cast<double>(each.degraded.size()),
                     static_cast<double>(each.all.size())});
  }
  traffic_plan plan;
  const std::vector<priority_load> loads = spread_over_priorities(sizes, options.priorities);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const level& each = levels[i].second;
    add_by_zone(plan, loads[i].healthy, loads[i].panic ? each.all : each.healthy, list, options.zone, may_warm_up);
    if (!loads[i].panic) add_by_zone(plan, loads[i].degraded, each.degraded, list, options.zone, may_warm_up);
  }

  double sum = 0;
  for (const traffic_share& each : plan.shares) sum += each.share;
  double so_far = 0;
  for (traffic_share& each : plan.shares) {
    so_far += each.share;
    each.up_to = static_cast<std::uint64_t>(std::llround(so_far / sum * 0x1p32));
  }
  return plan;
}

}  // namespace banyan::detail
