#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include <banyan/session/detail/base64url.hpp>
#include <banyan/session/system_random.hpp>

namespace banyan {

/// The name of a session, and all that its user needs to prove to be its user: whoever knows it has the session. Keep
/// it out of logs and URLs.
///
/// 192 random bits as 32 letters of base64url. OWASP asks for 64 bits; 192 are letters without a rest, and beyond
/// guessing or meeting by chance. A plain value.
///
/// Source: OWASP Session Management Cheat Sheet; RFC 4648, section 5.
class session_id {
 public:
  static constexpr std::size_t bytes = 24;
  static constexpr std::size_t length = detail::base64url_length(bytes);

  /// A new one. Throws what `system_random` throws.
  [[nodiscard]] static session_id make() {
    std::array<std::byte, bytes> drawn;
    system_random(drawn);
    session_id made;
    detail::to_base64url(drawn, made.letters_.data());
    return made;
  }

  /// What a client sent, if it has the form of an id. Never throws, O(1).
  [[nodiscard]] static std::optional<session_id> parse(std::string_view text) noexcept {
    if (text.size() != length) return std::nullopt;
    session_id read;
    text.copy(read.letters_.data(), length);
    bool good = true;
    for (std::size_t i = 0; i < length; i += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, read.letters_.data() + i, sizeof eight);
      good = detail::all_base64url(eight) && good;
    }
    if (!good) return std::nullopt;
    return read;
  }

  /// Its letters, for a cookie; valid as long as the id is.
  [[nodiscard]] std::string_view text() const& noexcept { return {letters_.data(), length}; }
  std::string_view text() && = delete;

  friend bool operator==(const session_id&, const session_id&) noexcept = default;

 private:
  static_assert(bytes % 3 == 0, "every text of that length is the one text of its bytes");
  static_assert(length % sizeof(std::uint64_t) == 0);
  session_id() noexcept = default;

  std::array<char, length> letters_{};
};

}  // namespace banyan
