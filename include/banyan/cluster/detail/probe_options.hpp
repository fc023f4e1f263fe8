#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include <banyan/core/executor.hpp>
#include <banyan/core/invalid_option.hpp>

namespace banyan::detail {

/// What all options of those who probe have, by the same names and with the same meaning.
template <class Options>
concept probe_options = requires(const Options& options) {
  { options.interval } -> std::convertible_to<std::chrono::nanoseconds>;
  { options.jitter } -> std::convertible_to<double>;
  { options.timeout } -> std::convertible_to<std::chrono::nanoseconds>;
  { options.max_probes } -> std::convertible_to<std::uint32_t>;
  { options.max_hanging } -> std::convertible_to<std::uint32_t>;
  { options.executor } -> std::convertible_to<any_executor>;
  { options.background } -> std::convertible_to<bool>;
  { options.seed } -> std::convertible_to<std::uint64_t>;
};

/// Throws `std::invalid_argument` when one of them is out of its range. `owner` is the name of the options.
template <probe_options Options>
void check_probing(std::string_view owner, const Options& options) {
  const auto refuse = [owner](const char* field, auto value, const char* rule) {
    invalid_option(std::string{owner} + '.' + field, value, rule);
  };
  const auto positive = [&](const char* field, std::chrono::nanoseconds value) {
    if (value.count() <= 0 || value > std::chrono::hours{24 * 366})
      refuse(field, value.count(), "must be above 0, at most a year");
  };
  positive("interval", options.interval);
  if (!(options.jitter >= 0 && options.jitter < 1)) refuse("jitter", options.jitter, "must be from 0 to below 1");
  positive("timeout", options.timeout);
  if (options.max_probes == 0) refuse("max_probes", 0, "must be at least 1");
  if (options.max_hanging == 0) refuse("max_hanging", 0, "must be at least 1");
}

}  // namespace banyan::detail
