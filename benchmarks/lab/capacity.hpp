#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::lab {

/// A cache size as asked for: a number of entries, or a share of a trace's different keys.
struct capacity_request {
  std::string text;           ///< as written, "5%" or "1000"
  std::uint64_t entries = 0;  ///< 0 when it is a share
  double percent = 0;         ///< above 0 and at most 100 when it is a share

  /// Entries for a trace of `keys` keys; at least 1. A share is rounded down.
  [[nodiscard]] std::uint64_t entries_for(std::uint64_t keys) const noexcept;
};

/// Reads "5%", "0.1%" or "1000". Throws `bad_input` naming the value when it is not one of these, or out of range.
capacity_request parse_capacity(std::string_view text);

/// Reads a list separated by commas. Throws `bad_input` also when it is empty.
std::vector<capacity_request> parse_capacities(std::string_view list);

}  // namespace banyan::lab
