#pragma once

#include <cstdint>

namespace banyan {

/// What a `session_store` has seen so far.
struct session_stats {
  std::int64_t conflicts = 0;    ///< saves and rotations refused because somebody else was first
  std::int64_t renewals = 0;     ///< loads that moved the expiry forward
  std::int64_t stale = 0;        ///< loads answered from this process's copy
  std::int64_t unavailable = 0;  ///< calls of the backend that failed or were not made
};

}  // namespace banyan
