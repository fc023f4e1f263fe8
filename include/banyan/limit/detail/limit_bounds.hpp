#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/limit_policy.hpp>

namespace banyan::detail {

/// The options that adaptive policies share: `initial`, `min`, `max`. Throws `std::invalid_argument`.
inline void check_limit_bounds(const std::string& policy, std::uint32_t initial, std::uint32_t min, std::uint32_t max) {
  if (max == 0 || max > max_concurrency_limit)
    invalid_option(policy + "::options.max", max, "must be from 1 to 1048575");
  if (min == 0 || min > max) invalid_option(policy + "::options.min", min, "must be from 1 to max");
  if (initial != 0 && (initial < min || initial > max))
    invalid_option(policy + "::options.initial", initial, "must be 0 or from min to max");
}

inline void check_limit_timeout(const std::string& policy, std::chrono::nanoseconds timeout) {
  if (timeout.count() < 0) invalid_option(policy + "::options.timeout", timeout.count(), "must not be negative");
}

inline void check_limit_ratio(const std::string& field, double value, double least, bool including_least,
                              const char* rule) {
  if (!(value <= 1 && (including_least ? value >= least : value > least))) invalid_option(field, value, rule);
}

inline void check_drops_tolerated(const std::string& policy, double value) {
  check_limit_ratio(policy + "::options.drops_tolerated", value, 0, true, "must be from 0 to 1");
}

/// Whether more than `tolerated`, a part of the calls, was dropped.
[[nodiscard]] inline bool too_many_drops(const limit_sample& sample, double tolerated) noexcept {
  return sample.drops > tolerated * (static_cast<double>(sample.drops) + sample.calls);
}

/// A latency that is taken for normal, after a window with a lower mean: of few calls, which may be the short ones by
/// chance, it takes over a part.
[[nodiscard]] inline double lowered(double normal, double mean, std::uint32_t calls) noexcept {
  constexpr std::uint32_t enough = 50;
  return calls < enough ? normal + (mean - normal) * calls / enough : mean;
}

/// Where to begin: as told, or at Netflix's 20 if the bounds allow.
[[nodiscard]] inline std::uint32_t first_limit(std::uint32_t initial, std::uint32_t min, std::uint32_t max) noexcept {
  return initial != 0 ? initial : std::clamp<std::uint32_t>(20, min, max);
}

}  // namespace banyan::detail
