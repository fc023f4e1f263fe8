#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace banyan::detail {

/// Whether k of the latest n probes failed. Those that are older than a window say nothing any more.
class failure_window {
 public:
  failure_window(std::uint32_t probes, std::uint32_t failures, std::int64_t window)
      : probes_{probes}, failures_{failures}, window_{window} {}

  void record(std::int64_t now, bool failed) {
    outcomes_.push_back({now, failed});
    if (outcomes_.size() > probes_) outcomes_.erase(outcomes_.begin());
  }
  [[nodiscard]] bool suspect(std::int64_t now) const noexcept {
    return std::count_if(outcomes_.begin(), outcomes_.end(), [&](const outcome& each) {
             return each.failed && now - each.at <= window_;
           }) >= static_cast<std::ptrdiff_t>(failures_);
  }
  void clear() noexcept { outcomes_.clear(); }

 private:
  struct outcome {
    std::int64_t at = 0;
    bool failed = false;
  };

  const std::size_t probes_;
  const std::uint32_t failures_;
  const std::int64_t window_;
  std::vector<outcome> outcomes_;
};

}  // namespace banyan::detail
