#pragma once

#include <banyan/session/memory_session_backend.hpp>

namespace banyan::testing {

/// Memory, taken for a backend that may be away: with a breaker in front, and copies beside it.
struct remote_backend : memory_session_backend {
  using memory_session_backend::memory_session_backend;
  static constexpr bool never_away = false;
};

}  // namespace banyan::testing
