#pragma once

#include <cstdint>
#include <limits>

#include <banyan/cluster/detail/member_list.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/replica/detail/replica_epochs.hpp>

namespace banyan::detail {

/// Who is primary, and which epoch it is.
struct replica_roles {
  endpoint_id primary{};
  bool had_primary = false;  // ever
  bool local_epochs = true;  // counted in this process
  replica_epochs epochs;

  [[nodiscard]] bool has_primary(const member_list& list) const noexcept {
    return primary && list.find(primary) != nullptr;
  }

  /// Makes it the primary: with the number that everybody gives the new epoch, or 0. False, and nothing changed, for a
  /// number that is not above the present one.
  bool appoint(endpoint_id id, std::uint32_t number, std::uint64_t begin) {
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
    return true;
  }
};

}  // namespace banyan::detail
