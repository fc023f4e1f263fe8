#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// Options of `signed_tokens`.
struct signed_token_options {
  /// What these tokens are for, such as "session" or "password reset": a token made for another purpose by the same key
  /// is refused. It is not part of the token. At most 255 bytes.
  std::string purpose{};
  /// A token is good for so long. From 1 ms to ten years. Nothing ends it earlier, other than retiring its key.
  std::chrono::milliseconds ttl = std::chrono::minutes{15};
  /// So much may the clocks of two servers differ: a token may come from so far ahead, and lives so much longer. From 0
  /// to an hour.
  std::chrono::milliseconds skew = std::chrono::seconds{30};
  /// Tokens, not payloads, of more letters are neither made nor looked at. A cookie has room for 4,096. From 128 to
  /// 2^20.
  std::size_t max_bytes = 4'000;
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const signed_token_options& options) {
  constexpr std::chrono::milliseconds most = std::chrono::hours{24 * 3653};
  if (options.purpose.size() > 255)
    invalid_option("signed_token_options.purpose", options.purpose.size(), "must have at most 255 bytes");
  if (options.ttl.count() < 1 || options.ttl > most)
    invalid_option("signed_token_options.ttl", options.ttl.count(), "must be from 1 ms to ten years");
  if (options.skew.count() < 0 || options.skew > std::chrono::hours{1})
    invalid_option("signed_token_options.skew", options.skew.count(), "must be from 0 to an hour");
  if (options.max_bytes < 128 || options.max_bytes > std::size_t{1} << 20)
    invalid_option("signed_token_options.max_bytes", options.max_bytes, "must be from 128 to 2^20");
}

}  // namespace banyan
