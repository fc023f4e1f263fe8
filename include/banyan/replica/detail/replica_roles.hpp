#pragma once

#include <cstdint>
#include <limits>

#include <banyan/cluster/detail/member_list.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/detail/replica_epochs.hpp>
#include <banyan/replica/replica_promotion.hpp>

namespace banyan::detail {

/// Who is primary, and which epoch it is.
struct replica_roles {
  endpoint_id primary{};
  bool had_primary = false;  // ever
  bool local_epochs = true;  // counted in this process
  bool planned = false;      // the last change of epoch lost nothing
  replica_epochs epochs;

  [[nodiscard]] bool has_primary(const member_list& list) const noexcept {
    return primary && list.find(primary) != nullptr;
  }

  /// Makes it the primary. False, and nothing changed, for an epoch that is not above the present one.
  bool appoint(endpoint_id id, const replica_promotion& how = {}) {
    const std::uint32_t number = how.epoch;
    const std::uint64_t begin = how.position.value_or(replica_epoch::unknown);
    const std::uint32_t present = epochs.present();
    if (number != 0 && (number < present || (number == present && had_primary))) return false;
    if (number == 0 && had_primary && present == std::numeric_limits<std::uint32_t>::max()) return false;
    if (number > present) {
      epochs = epochs.followed_by(number, begin);
    } else if (had_primary) {
      epochs = epochs.followed_by(present + 1, begin);
    }  // else the first epoch has been waiting for it
    if (number != 0) local_epochs = false;
    primary = id;
    had_primary = true;
    planned = how.planned;
    return true;
  }
};

}  // namespace banyan::detail
