#pragma once

#include <cstdint>
#include <string>

namespace banyan {

/// Where a write goes whose key's home is away.
enum class home_fallback : std::uint8_t {
  refuse,  ///< nowhere: no two primaries take writes to one key
  next     ///< to the next in the key's order: what is written there and at home meanwhile is in conflict
};

struct primary_group_options {
  /// Where the caller runs: its own primaries are nearest. Empty: zones do not matter.
  std::string zone{};
  home_fallback when_away = home_fallback::refuse;
  /// Of the random numbers; 0: another one each time.
  std::uint64_t seed = 0;
};

}  // namespace banyan
