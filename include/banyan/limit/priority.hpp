#pragma once

#include <cstddef>
#include <cstdint>

namespace banyan {

/// How much a call matters when not all can be served; what matters less is refused first.
enum class priority : std::uint8_t {
  critical,   ///< somebody waits for it and cannot do without
  normal,     ///< somebody waits, and can do without or try again
  sheddable,  ///< nobody would notice: prefetching, batches, telemetry
};

inline constexpr std::size_t priority_count = 3;

}  // namespace banyan
