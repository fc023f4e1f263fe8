#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

/// How a replica becomes the primary. All of it is optional.
struct replica_promotion {
  /// The number that all processes give the new epoch, above the present one; 0: the next.
  std::uint32_t epoch = 0;
  /// Where its own log was when it took over. What earlier primaries had acknowledged beyond that is lost, and tokens
  /// no longer ask for it. None: taken from the new primary's first report with an epoch; until then, tokens ask for
  /// all they did.
  std::optional<std::uint64_t> position{};
  /// No member has anything that the new primary has not: writes had been stopped, and it had caught up. Then what the
  /// members have reported stays true. Otherwise it is forgotten, since their logs may have parts that are lost.
  bool planned = false;
};

}  // namespace banyan
