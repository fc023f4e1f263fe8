#pragma once

#include <cstddef>
#include <cstdint>

namespace banyan {

/// What an outlier detector has done.
struct outlier_detector_stats {
  std::size_t ejected = 0;                    ///< out at present, by this detector
  std::uint64_t by_consecutive_failures = 0;  ///< ejections
  std::uint64_t by_success_rate = 0;          ///< ejections
  std::uint64_t readmitted = 0;               ///< ejections that have ended
  std::uint64_t spared = 0;                   ///< found to be outliers, but too many were out, or the last fit one
};

}  // namespace banyan
