#pragma once

#include <optional>

namespace banyan {

/// Why a call of `reshard_access` or `live_reshard` came to nothing.
enum class reshard_fault {
  source_failed,   ///< the source's error is the cause; a write may have taken effect or not
  target_failed,   ///< the target's error is the cause; a write may have taken effect or not
  contended,       ///< other writers were always first; a write may have taken effect or not
  version_used,    ///< the source holds a version of this generation: the generation is not new; nothing was written
  no_phase,        ///< this process has not been told a phase yet; nothing was done
  left_behind,     ///< phases went on without this process, so it may do nothing more; nothing was done
  save_failed,     ///< it is not known what is saved: go on with a new driver from there
  not_ready,       ///< the phase has work left, or is not confirmed
  too_late,        ///< there is no way back from here
  another_driver,  ///< confirmed was a step that this driver has not announced
};

/// A fault, and what the store said of it.
template <class E>
struct reshard_error {
  reshard_fault fault;
  std::optional<E> cause{};
};

}  // namespace banyan
