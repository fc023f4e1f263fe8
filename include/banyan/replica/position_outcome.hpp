#pragma once

#include <cstdint>

namespace banyan {

/// What became of waiting for a position.
enum class position_outcome : std::uint8_t {
  reached,    ///< all up to it is in
  timed_out,  ///< the time was over before
  closed      ///< whom it was asked of is gone
};

}  // namespace banyan
