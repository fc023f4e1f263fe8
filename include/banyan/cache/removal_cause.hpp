#pragma once

#include <cstdint>

namespace banyan {

/// Why an entry left a cache.
enum class removal_cause : std::uint8_t {
  replaced,  ///< a new value was put under its key
  evicted,   ///< the policy chose it, to keep the cache within its capacity
  expired,   ///< its time to live or its idle time had passed
  erased,    ///< the caller erased it
  cleared,   ///< the caller cleared the cache
  rejected,  ///< it never came in: it weighs more than the whole cache
};

/// The cause's name, for logs. O(1), wait-free.
[[nodiscard]] constexpr const char* to_string(removal_cause cause) noexcept {
  switch (cause) {
    case removal_cause::replaced:
      return "replaced";
    case removal_cause::evicted:
      return "evicted";
    case removal_cause::expired:
      return "expired";
    case removal_cause::erased:
      return "erased";
    case removal_cause::cleared:
      return "cleared";
    case removal_cause::rejected:
      return "rejected";
  }
  return "unknown";
}

}  // namespace banyan
