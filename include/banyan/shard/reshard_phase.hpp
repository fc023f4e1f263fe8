#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

/// The phases of moving keys; see `live_reshard` for the picture.
enum class reshard_phase : std::uint8_t {
  prepared,
  dual_write,
  backfill,
  verify,
  cutover,
  done,
  rolling_back,
  rolled_back
};

inline constexpr std::uint8_t reshard_phases = 8;

[[nodiscard]] constexpr std::string_view to_string(reshard_phase phase) noexcept {
  switch (phase) {
    case reshard_phase::prepared:
      return "prepared";
    case reshard_phase::dual_write:
      return "dual_write";
    case reshard_phase::backfill:
      return "backfill";
    case reshard_phase::verify:
      return "verify";
    case reshard_phase::cutover:
      return "cutover";
    case reshard_phase::done:
      return "done";
    case reshard_phase::rolling_back:
      return "rolling_back";
    case reshard_phase::rolled_back:
      return "rolled_back";
  }
  return "";
}

/// What every process that reads or writes must be told: the `step` counts the phases announced, from 1.
struct reshard_announcement {
  std::uint32_t generation = 0;
  std::uint64_t step = 0;
  reshard_phase phase = reshard_phase::prepared;

  friend constexpr bool operator==(const reshard_announcement&, const reshard_announcement&) = default;
};

/// How keys that move are read and written in a phase. O(1), wait-free.
struct reshard_rule {
  bool writes_source;        ///< first, and the source gives the version
  bool writes_target;        ///< then (or alone, and the target gives the version)
  bool may_miss_target;      ///< a write counts although the target failed
  bool reads_target;         ///< otherwise the source
  bool brings_target_along;  ///< a read returns once the target is as new as what it returns

  friend constexpr bool operator==(const reshard_rule&, const reshard_rule&) = default;
};

[[nodiscard]] constexpr reshard_rule rule_of(reshard_phase phase) noexcept {
  switch (phase) {
    case reshard_phase::dual_write:
    case reshard_phase::backfill:
      return {true, true, true, false, false};
    case reshard_phase::verify:
    case reshard_phase::rolling_back:
      return {true, true, false, false, true};
    case reshard_phase::cutover:
      return {true, true, false, true, false};
    case reshard_phase::done:
      return {false, true, false, true, false};
    case reshard_phase::prepared:
    case reshard_phase::rolled_back:
      break;
  }
  return {true, false, false, false, false};
}

}  // namespace banyan
