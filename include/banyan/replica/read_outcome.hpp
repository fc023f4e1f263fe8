#pragma once

#include <cstdint>

namespace banyan {

/// Where a read or write goes, or why nowhere.
enum class read_outcome : std::uint8_t {
  replica,        ///< to a replica that has what was asked for
  primary,        ///< to the primary, as asked: a write, or a strong read
  fallback,       ///< to the primary, since no replica has it
  none_fresh,     ///< nowhere: no replica has it, and the options forbid the primary
  no_primary,     ///< nowhere: there is no primary, or it takes nothing
  share_spent,    ///< nowhere: no replica has it, and the primary has had its share of the reads
  other_set,      ///< nowhere: the token is of another set
  newer_epoch,    ///< nowhere: the token, or the primary itself, knows of an epoch that this set has not been told of
  out_of_memory,  ///< nowhere: the thread's first use found no memory
  no_quorum       ///< nowhere: fewer members are fit than were asked for
};

/// Of `replica`, `primary` and `fallback`.
[[nodiscard]] constexpr bool went_somewhere(read_outcome how) noexcept { return how <= read_outcome::fallback; }

}  // namespace banyan
