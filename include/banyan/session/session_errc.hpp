#pragma once

namespace banyan {

/// Why there is no session, or why it was not changed.
enum class session_errc {
  not_found,    ///< there is none: never was, expired, destroyed, or the id was given up. Which, nobody is told
  conflict,     ///< somebody has saved or rotated it since it was loaded; load it again
  too_large,    ///< more bytes than `session_options::max_bytes`
  full,         ///< the backend takes no more
  corrupt,      ///< what is stored is not a session
  unavailable,  ///< the backend did not answer, or is not asked for now; whether a change took place is unknown
};

[[nodiscard]] constexpr const char* message(session_errc code) noexcept {
  switch (code) {
    case session_errc::not_found:
      return "there is no such session";
    case session_errc::conflict:
      return "the session was changed meanwhile";
    case session_errc::too_large:
      return "the session is too large";
    case session_errc::full:
      return "there is no room for more sessions";
    case session_errc::corrupt:
      return "what is stored is not a session";
    case session_errc::unavailable:
      return "the session backend is unavailable";
  }
  return "";
}

}  // namespace banyan
