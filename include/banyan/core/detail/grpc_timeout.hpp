#pragma once

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace banyan::detail {

/// A unit of gRPC's timeouts.
struct grpc_timeout_unit {
  char letter;
  std::int64_t nanoseconds;
};

inline constexpr grpc_timeout_unit grpc_timeout_units[] = {
    {'n', 1}, {'u', 1'000}, {'m', 1'000'000}, {'S', 1'000'000'000}, {'M', 60'000'000'000}, {'H', 3'600'000'000'000}};

/// A length of time as the text of a `grpc-timeout` header: at most eight digits and the finest unit in which that is
/// enough. Rounded down, by a part in 100,000 at most for seconds and finer units; what is not above 0 becomes the
/// least there is, "1n". O(1).
///
/// Source: "gRPC over HTTP2", Timeout.
[[nodiscard]] inline std::string format_grpc_timeout(std::chrono::nanoseconds length) {
  const std::int64_t positive = length.count() > 0 ? length.count() : 1;
  for (const grpc_timeout_unit& unit : grpc_timeout_units) {
    const std::int64_t value = positive / unit.nanoseconds;
    if (value > 99'999'999) continue;  // of 2^63 ns in hours, seven digits
    char text[16];
    char* end = std::to_chars(std::begin(text), std::end(text) - 1, value).ptr;
    *end++ = unit.letter;
    return {static_cast<const char*>(text), static_cast<std::size_t>(end - text)};
  }
  return {};
}

/// What `format_grpc_timeout` and its like wrote; empty for anything else. "0n" is taken as 0, which the specification
/// does not have but implementations send; what is beyond 2^63 ns is the longest there is. O(1), never throws.
[[nodiscard]] inline std::optional<std::chrono::nanoseconds> parse_grpc_timeout(std::string_view text) noexcept {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  for (const grpc_timeout_unit& unit : grpc_timeout_units) {
    if (unit.letter != text.back()) continue;
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    return std::chrono::nanoseconds{value <= most / unit.nanoseconds ? value * unit.nanoseconds : most};
  }
  return std::nullopt;
}

}  // namespace banyan::detail
