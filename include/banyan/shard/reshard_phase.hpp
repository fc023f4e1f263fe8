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
  handover,
  done,
  rolling_back,
  rolled_back
};

inline constexpr std::uint8_t reshard_phases = 9;

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
    case reshard_phase::handover:
      return "handover";
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

/// How keys that move are read and written in a phase.
struct reshard_rule {
  bool writes_source = false;        ///< first, and the source gives the version
  bool writes_target = false;        ///< then (or alone, and the target gives the version)
  bool may_miss_target = false;      ///< a write counts although the target failed
  bool reads_target = false;         ///< otherwise the source
  bool brings_target_along = false;  ///< a read returns once the target is as new as what it returns
  bool hands_over = false;           ///< a write seals the key at the source before the target gives a version
};

/// O(1), wait-free.
[[nodiscard]] constexpr reshard_rule rule_of(reshard_phase phase) noexcept {
  switch (phase) {
    case reshard_phase::dual_write:
    case reshard_phase::backfill:
      return {.writes_source = true, .writes_target = true, .may_miss_target = true};
    case reshard_phase::verify:
    case reshard_phase::rolling_back:
      return {.writes_source = true, .writes_target = true, .brings_target_along = true};
    case reshard_phase::cutover:
      return {.writes_source = true, .writes_target = true, .reads_target = true};
    case reshard_phase::handover:
      return {.writes_target = true, .reads_target = true, .hands_over = true};
    case reshard_phase::done:
      return {.writes_target = true, .reads_target = true};
    case reshard_phase::prepared:
    case reshard_phase::rolled_back:
      break;
  }
  return {.writes_source = true};
}

}  // namespace banyan
