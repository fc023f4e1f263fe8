#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "capacity.hpp"
#include "progress.hpp"
#include "trace.hpp"

namespace banyan::lab {

/// One policy's results at all sizes of a study.
struct policy_result {
  std::string name{};
  std::vector<double> hit_ratios{};        ///< in [0, 1], one per size
  double million_requests_per_second = 0;  ///< over the asked sizes, one thread; 0 for Belady's optimum
};

/// A size that was studied.
struct studied_size {
  std::uint64_t entries = 0;
  std::string asked_as{};  ///< "5%" or "1000"; empty when the size only serves the curves
};

/// What the cache study found on one trace.
struct cache_result {
  std::string name{};
  std::string description{};
  std::uint64_t requests = 0;
  std::uint64_t keys = 0;
  std::uint64_t skipped = 0;
  std::vector<studied_size> sizes{};      ///< ascending
  std::vector<policy_result> policies{};  ///< LRU first where it is among them
  policy_result optimum;                  ///< Belady's
  std::string recommendation{};           ///< one sentence

  /// Indices into `sizes` of those asked for.
  [[nodiscard]] std::vector<std::size_t> asked() const;
  /// The best policy's hit ratio at a size.
  [[nodiscard]] double best_at(std::size_t size) const;
  /// Mean over the asked sizes.
  [[nodiscard]] double mean_hit_ratio(const policy_result& policy) const;
};

/// Replays the trace through every policy at every asked size, and at further sizes for the curves, fewer of them the
/// longer the trace is. `policies` are known names, none twice.
cache_result study_caches(const trace& trace, const std::vector<std::string>& policies,
                          const std::vector<capacity_request>& capacities, progress& bar);

/// Which policy does best over several traces, in one sentence; empty for fewer than two.
std::string recommend_overall(const std::vector<cache_result>& results);

}  // namespace banyan::lab
