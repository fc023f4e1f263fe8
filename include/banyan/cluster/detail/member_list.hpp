#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <banyan/cluster/detail/record_ref.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/health.hpp>

namespace banyan::detail {

/// An endpoint as one list of members describes it.
struct member {
  record_ref record{};
  double weight = 1;
  std::uint32_t priority = 0;
  std::uint32_t zone = 0;            // index into the list's zones
  health checked = health::healthy;  // as set, but for draining
  bool draining = false;
  bool ejected = false;

  [[nodiscard]] endpoint_id id() const noexcept { return record->id(); }

  [[nodiscard]] health state() const noexcept {
    if (draining) return health::draining;
    return ejected ? health::unhealthy : checked;
  }
};

/// The members of a cluster at one time, by id.
struct member_list {
  using zone_names = std::shared_ptr<const std::vector<std::string>>;

  std::vector<member> members;
  zone_names zones;

  /// Null when there is none of that id. O(log n).
  [[nodiscard]] const member* find(endpoint_id id) const noexcept {
    const auto at = std::lower_bound(members.begin(), members.end(), id,
                                     [](const member& one, endpoint_id wanted) { return one.id() < wanted; });
    return at != members.end() && at->id() == id ? &*at : nullptr;
  }
  [[nodiscard]] member* find(endpoint_id id) noexcept {
    return const_cast<member*>(static_cast<const member_list&>(*this).find(id));
  }
  [[nodiscard]] const std::string& zone_of(const member& one) const noexcept { return (*zones)[one.zone]; }
};

}  // namespace banyan::detail
