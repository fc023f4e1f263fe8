#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include <banyan/cluster/health.hpp>

namespace banyan {

/// What the results of one endpoint's probes amount to: it takes several in a row to change one's mind. The very first
/// result, when it is good, is believed at once. One thread at a time; O(1).
class probe_history {
 public:
  /// Nothing is known yet.
  probe_history() = default;
  /// What the endpoint starts as.
  explicit probe_history(health known) noexcept : verdict_{fit(known) ? known : health::unhealthy} {}

  /// One more result; anything but `healthy` and `degraded` is a failure. Between those two, the last result counts.
  void record(health result, std::uint32_t healthy_after, std::uint32_t unhealthy_after) noexcept {
    const bool first = successes_ == 0 && failures_ == 0;
    if (fit(result)) {
      failures_ = 0;
      count(successes_);
      if (first || !verdict_ || fit(*verdict_) || successes_ >= healthy_after) verdict_ = result;
    } else {
      successes_ = 0;
      count(failures_);
      if (failures_ >= unhealthy_after) verdict_ = health::unhealthy;
    }
  }

  /// `healthy`, `degraded` or `unhealthy`; nothing when it cannot be told yet.
  [[nodiscard]] std::optional<health> verdict() const noexcept { return verdict_; }

  /// The latest results of one kind; one of the two is 0.
  [[nodiscard]] std::uint32_t successes_in_a_row() const noexcept { return successes_; }
  [[nodiscard]] std::uint32_t failures_in_a_row() const noexcept { return failures_; }

 private:
  static bool fit(health state) noexcept { return state == health::healthy || state == health::degraded; }
  static void count(std::uint32_t& run) noexcept {
    if (run != std::numeric_limits<std::uint32_t>::max()) ++run;
  }

  std::optional<health> verdict_;
  std::uint32_t successes_ = 0;
  std::uint32_t failures_ = 0;
};

}  // namespace banyan
