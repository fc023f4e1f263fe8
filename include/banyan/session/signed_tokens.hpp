#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/core/detail/caught.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/published.hpp>
#include <banyan/session/detail/base64url.hpp>
#include <banyan/session/detail/token_header.hpp>
#include <banyan/session/message_authenticator.hpp>
#include <banyan/session/session_time.hpp>
#include <banyan/session/signed_token.hpp>
#include <banyan/session/signed_token_options.hpp>
#include <banyan/session/token_errc.hpp>
#include <banyan/session/token_key.hpp>

namespace banyan {

/// Sessions that the client carries: a payload, when it was issued and when it ends, under a tag that only who has the
/// key can make. Nothing is stored, nobody is asked:
///
///     banyan::signed_tokens<banyan::openssl_hmac_sha256> tokens{{key}, {.purpose = "session", .ttl = 15min}};
///     auto cookie = tokens.sign("user=42");
///     if (auto token = tokens.verify(cookie_sent)) use(token->payload);
///
/// What it cannot do: end one session before its time, or keep a secret from the client. It is no JWT: the token does
/// not choose its algorithm, and there is one way to write it.
///
/// **Keys are replaced in three steps**, so that no server meets a key that it does not know: `set_keys` everywhere
/// with the new key as one more, then with the new one first, and, `ttl` and `skew` later, without the old one.
///
/// Thread-safe; `sign` and `verify` read the keys without a lock, O(bytes + keys), and apart from the authenticator and
/// the allocator are lock-free.
///
/// Source: HMAC, RFC 2104; the order of checks (tag first, then anything it covers) is M. Marlinspike's "cryptographic
/// doom principle", 2011.
template <message_authenticator Mac, class Clock = std::chrono::system_clock>
class signed_tokens {
 public:
  using time_point = typename Clock::time_point;

  /// `keys`: the first signs, all verify. Throws `std::invalid_argument` when there is none, two have the same number,
  /// a secret is shorter than a tag, or an option is out of its range; what `Mac` throws; `std::bad_alloc`.
  explicit signed_tokens(const std::vector<token_key>& keys, signed_token_options options = {})
      : options_{(check(options), std::move(options))}, keys_{ring(keys)} {}

  signed_tokens(const signed_tokens&) = delete;
  signed_tokens& operator=(const signed_tokens&) = delete;

  /// Replaces the keys; throws as the constructor, and then nothing has changed.
  void set_keys(const std::vector<token_key>& keys) { keys_.publish(ring(keys)); }

  /// A token of base64url letters. `too_large`; `failed` when the authenticator fails or `now` is before 1970 or after
  /// the year 10000 or so. Throws `std::bad_alloc`.
  [[nodiscard]] expected<std::string, token_errc> sign(std::string_view payload, time_point now = Clock::now()) const {
    if (payload.size() > most_bytes() - overhead) return unexpected{token_errc::too_large};
    const auto pinned = keys_.read();
    const key& by = pinned->front();
    detail::token_header header{.key = by.id, .issued = detail::to_session_time(now)};
    header.expires = header.issued + options_.ttl;
    if (!header.has_room_for(header.issued) || !header.has_room_for(header.expires)) {
      return unexpected{token_errc::failed};
    }
    // The purpose stands in front while the tag is made, and is left out afterwards.
    std::vector<std::byte> bytes = purposed(detail::token_header::size + payload.size() + Mac::size);
    const std::span<std::byte> token = std::span{bytes}.subspan(prefix());
    header.write(token.template first<detail::token_header::size>());
    std::ranges::copy(std::as_bytes(std::span{payload}), token.begin() + detail::token_header::size);
    if (!by.mac.sign(std::span{bytes}.first(bytes.size() - Mac::size), token.template last<Mac::size>())) {
      return unexpected{token_errc::failed};
    }
    std::string letters(detail::base64url_length(token.size()), '\0');
    detail::to_base64url(token, letters.data());
    return letters;
  }

  /// What the token says, if it is genuine and it is its time. Never throws, whatever the text.
  [[nodiscard]] expected<signed_token, token_errc> verify(std::string_view text,
                                                          time_point now = Clock::now()) const noexcept {
    expected<signed_token, token_errc> answer = unexpected{token_errc::failed};
    (void)detail::caught([&] { answer = checked(text, detail::to_session_time(now)); });  // for lack of memory
    return answer;
  }

 private:
  struct key {
    std::uint32_t id;
    Mac mac;
  };

  static constexpr std::size_t overhead = detail::token_header::size + Mac::size;

  [[nodiscard]] std::size_t most_bytes() const noexcept { return detail::base64url_bytes(options_.max_bytes); }
  [[nodiscard]] std::size_t prefix() const noexcept { return 1 + options_.purpose.size(); }

  // The purpose under its length, and room for a token.
  [[nodiscard]] std::vector<std::byte> purposed(std::size_t token) const {
    std::vector<std::byte> bytes(prefix() + token);
    bytes[0] = static_cast<std::byte>(options_.purpose.size());
    std::ranges::copy(std::as_bytes(std::span{options_.purpose}), bytes.begin() + 1);
    return bytes;
  }

  [[nodiscard]] expected<signed_token, token_errc> checked(std::string_view text, session_time now) const {
    if (text.size() > options_.max_bytes) return unexpected{token_errc::too_large};
    const std::size_t size = detail::base64url_bytes(text.size());
    if (size < overhead) return unexpected{token_errc::malformed};
    std::vector<std::byte> bytes = purposed(size);
    const std::span<std::byte> token = std::span{bytes}.subspan(prefix());
    if (!detail::from_base64url(text, token.data())) return unexpected{token_errc::malformed};
    const auto header = detail::token_header::read(token.template first<detail::token_header::size>());
    if (header.version != detail::token_header::known_version) return unexpected{token_errc::other_version};
    const auto pinned = keys_.read();
    const auto by = std::ranges::find(*pinned, header.key, &key::id);
    if (by == pinned->end()) return unexpected{token_errc::unknown_key};
    std::array<std::byte, Mac::size> tag{};
    if (!by->mac.sign(std::span{bytes}.first(bytes.size() - Mac::size), tag)) return unexpected{token_errc::failed};
    if (!Mac::equal(tag, token.template last<Mac::size>())) return unexpected{token_errc::forged};
    // From here on it says what one of our own has said.
    if (header.issued > now + options_.skew) return unexpected{token_errc::from_future};
    if (header.expires + options_.skew <= now) return unexpected{token_errc::expired};
    const auto payload = token.subspan(detail::token_header::size, size - overhead);
    return signed_token{.payload = {reinterpret_cast<const char*>(payload.data()), payload.size()},
                        .issued = header.issued,
                        .expires = header.expires,
                        .key = header.key};
  }

  static std::vector<key> ring(const std::vector<token_key>& keys) {
    if (keys.empty()) invalid_option("keys", "none", "must hold the key to sign with");
    std::vector<key> made;
    made.reserve(keys.size());
    for (const token_key& each : keys) {
      if (each.secret.size() < Mac::size) {
        invalid_option("token_key.secret", each.secret.size(), "must have as many bytes as a tag, or more");
      }
      if (std::ranges::find(made, each.id, &key::id) != made.end()) {
        invalid_option("token_key.id", each.id, "must be of one key only");
      }
      made.push_back(key{each.id, Mac{std::span<const std::byte>{each.secret}}});
    }
    return made;
  }

  signed_token_options options_;
  published<std::vector<key>> keys_;
};

}  // namespace banyan
