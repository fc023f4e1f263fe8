#pragma once

#include <cstdint>

namespace banyan {

/// Where a use of a `primary_group` goes, or why nowhere.
enum class primary_outcome : std::uint8_t {
  nearest,       ///< to the nearest primary that is fit: no key was given
  home,          ///< to the key's home
  elsewhere,     ///< to the next in the key's order, since its home is away: writes may conflict, reads may miss some
  home_is_away,  ///< nowhere: the key's home is away, and the options forbid others; or all are away
  no_primary,    ///< nowhere: there is none that is fit, or none at all
  out_of_memory  ///< nowhere: the thread's first use found no memory
};

/// Of `nearest`, `home` and `elsewhere`.
[[nodiscard]] constexpr bool went_somewhere(primary_outcome how) noexcept { return how <= primary_outcome::elsewhere; }

}  // namespace banyan
