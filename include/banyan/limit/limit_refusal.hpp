#pragma once

#include <cstdint>

namespace banyan {

/// Why a `concurrency_limiter` did not let a call in.
enum class limit_refusal : std::uint8_t {
  at_limit,    ///< as many are in flight as may be, and there is no queue
  queue_full,  ///< as many wait as may
  timeout,     ///< waited as long as it was to
  displaced,   ///< waited, and had to make room for a more important call
};

}  // namespace banyan
