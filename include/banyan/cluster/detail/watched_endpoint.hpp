#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/cluster/endpoint_stats.hpp>
#include <banyan/cluster/health.hpp>

namespace banyan::detail {

/// What an outlier detector knows of one endpoint.
struct watched_endpoint {
  endpoint_id id{};
  endpoint_stats now{};         // as of the last look
  std::uint64_t succeeded = 0;  // when the interval began
  std::uint64_t failed = 0;
  std::uint32_t times = 0;     // how often ejected, less the intervals without
  std::int64_t out_until = 0;  // nanoseconds
  bool out = false;            // ejected by us
  bool disturbed = false;      // was out in this interval
  bool was_fit = true;

  [[nodiscard]] bool fit() const noexcept {
    return !now.ejected && now.weight > 0 && (now.state == health::healthy || now.state == health::degraded);
  }

  /// Only what comes from now on counts.
  void begin_record() noexcept {
    succeeded = now.succeeded;
    failed = now.failed;
  }

  [[nodiscard]] std::uint64_t requests() const noexcept { return now.succeeded - succeeded + now.failed - failed; }
  [[nodiscard]] double success_rate() const noexcept {
    return static_cast<double>(now.succeeded - succeeded) / static_cast<double>(requests());
  }
};

/// The endpoints of `known` that are among `all`, brought up to date, and the new ones. Both are ordered by id. O(n).
[[nodiscard]] inline std::vector<watched_endpoint> follow(const std::vector<watched_endpoint>& known,
                                                          const std::vector<endpoint_stats>& all) {
  std::vector<watched_endpoint> next;
  next.reserve(all.size());
  auto at = known.begin();
  for (const endpoint_stats& each : all) {
    while (at != known.end() && at->id < each.id) ++at;
    if (at != known.end() && at->id == each.id) {
      next.push_back(*at);
      next.back().now = each;
    } else {
      next.push_back({.id = each.id, .now = each});
      next.back().begin_record();
    }
  }
  return next;
}

}  // namespace banyan::detail
