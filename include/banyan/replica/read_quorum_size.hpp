#pragma once

#include <cstddef>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// How many of `members` to ask, so that whoever they are, one of them has every write that `acknowledgements` members
/// have applied: members - acknowledgements + 1. `members`: all of the set, the primary among them, in whatever state
/// they are. Throws `std::invalid_argument` unless `acknowledgements` is from 1 to `members`; O(1).
///
/// Source: D. K. Gifford, "Weighted voting for replicated data", SOSP 1979.
[[nodiscard]] constexpr std::size_t read_quorum_size(std::size_t members, std::size_t acknowledgements) {
  if (acknowledgements == 0 || acknowledgements > members)
    invalid_option("read_quorum_size.acknowledgements", acknowledgements, "must be from 1 to members");
  return members - acknowledgements + 1;
}

}  // namespace banyan
