#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace banyan {

/// How a session becomes bytes and is read again. Specialise it for your type, with the two functions below; a
/// `std::string` is taken as it is. Give the bytes a version of their own: sessions outlive deployments.
template <class Session>
struct session_codec;

template <>
struct session_codec<std::string> {
  [[nodiscard]] static std::string encode(const std::string& session) { return session; }
  [[nodiscard]] static std::optional<std::string> decode(std::string_view bytes) { return std::string{bytes}; }
  [[nodiscard]] static std::optional<std::string> decode(std::string&& bytes) { return std::move(bytes); }
};

/// `encode` makes any bytes; `decode` returns nothing for bytes that are no session, and may take them as a
/// `std::string&&` besides, to keep them. Either may throw, which goes
/// through to the caller; then nothing has changed.
template <class Codec, class Session>
concept session_codec_for = requires(const Session& session, std::string_view bytes, std::string own) {
  { Codec::encode(session) } -> std::convertible_to<std::string>;
  { Codec::decode(bytes) } -> std::same_as<std::optional<Session>>;
  { Codec::decode(std::move(own)) } -> std::same_as<std::optional<Session>>;
};

}  // namespace banyan
