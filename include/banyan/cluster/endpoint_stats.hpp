#pragma once

#include <chrono>
#include <cstdint>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/health.hpp>

namespace banyan {

/// An endpoint's counts at one moment; what happens meanwhile may be in or not.
struct endpoint_stats {
  endpoint_id id{};
  health state = health::healthy;
  bool ejected = false;                   ///< by an outlier detector
  double weight = 0;                      ///< as set
  std::int64_t in_flight = 0;             ///< tokens out
  std::uint64_t succeeded = 0;            ///< tokens that reported success
  std::uint64_t failed = 0;               ///< tokens that reported failure
  std::uint32_t failures_in_a_row = 0;    ///< since the last success
  std::uint32_t unanswered_in_a_row = 0;  ///< failures without an answer, since the last answer
  std::chrono::nanoseconds latency{0};    ///< peak-sensitive moving average; 0 when none has been reported
};

}  // namespace banyan
