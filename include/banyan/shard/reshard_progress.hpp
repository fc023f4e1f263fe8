#pragma once

#include <cstdint>

namespace banyan {

/// What a step of `live_reshard` came to.
enum class reshard_progress : std::uint8_t {
  worked,     ///< a batch is done, and saved
  waiting,    ///< nothing can be done until this phase is confirmed
  throttled,  ///< nothing was done: not before `resumes_at()`
  conflicts,  ///< verified, and found what no copying can mend: `verify_again()` after mending it, or `roll_back()`
  ready,      ///< this phase is done: `advance()`
  settled,    ///< all is done
};

}  // namespace banyan
