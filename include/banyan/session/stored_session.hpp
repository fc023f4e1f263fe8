#pragma once

#include <cstdint>

#include <banyan/session/session_id.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan {

/// A session as it was loaded: change `value`, then `save` it.
template <class Session>
struct stored_session {
  /// The id it goes by now. Another than the one asked for when that was given up a moment ago: answer with this one.
  session_id id;
  Session value;
  std::uint64_t version;  ///< of the state that was loaded, or saved last
  session_time created;
  session_time expires;
  /// Read from this process's own copy, as the backend is away: it may have been changed or destroyed since.
  bool stale = false;
};

}  // namespace banyan
