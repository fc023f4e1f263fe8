#pragma once

namespace banyan {

/// Why a token is refused. For your log, not for whoever sent it.
enum class token_errc {
  too_large,      ///< more than `max_bytes`
  malformed,      ///< not a token: cut short, letters that do not belong, not the one way to write it
  other_version,  ///< of a format that is not known here
  unknown_key,    ///< by a key that is not among the keys: never was, or was retired
  forged,         ///< the tag is not that of the content, the key and the purpose
  expired,
  from_future,  ///< issued later than now and `skew`
  failed,       ///< the cryptographic library or memory
};

[[nodiscard]] constexpr const char* message(token_errc code) noexcept {
  switch (code) {
    case token_errc::too_large:
      return "the token is too large";
    case token_errc::malformed:
      return "this is not a token";
    case token_errc::other_version:
      return "the token has another format";
    case token_errc::unknown_key:
      return "the token is by an unknown key";
    case token_errc::forged:
      return "the token is forged";
    case token_errc::expired:
      return "the token has expired";
    case token_errc::from_future:
      return "the token is from the future";
    case token_errc::failed:
      return "the token could not be checked";
  }
  return "";
}

}  // namespace banyan
