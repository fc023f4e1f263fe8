#pragma once

#include <chrono>

namespace banyan {

/// How a session gets another id.
struct rotate_options {
  /// So long the old id still leads to the session, for requests that were under way. 0, as a login needs it: whoever
  /// planted or stole the old id must not be let in. For a renewal now and then, some seconds. From 0 to the store's
  /// `ttl`.
  std::chrono::milliseconds grace{0};
  /// The session's lifetime starts anew, as after a login.
  bool restart_lifetime = false;
};

}  // namespace banyan
