#pragma once

#include <banyan/limit/hedge_race.hpp>
#include <banyan/replica/read_outcome.hpp>

namespace banyan {

/// A hedged read that brought no value.
struct hedged_read_failure {
  /// Where the first attempt went; if nowhere, why, and nothing was attempted.
  read_outcome outcome = read_outcome::no_primary;
  hedge_failure attempts{};
};

}  // namespace banyan
