#pragma once

#include <concepts>
#include <cstddef>
#include <span>

namespace banyan {

/// A keyed checksum that nobody can make without the key, such as HMAC-SHA-256; see `openssl_hmac_sha256` among the
/// adapters. This library has no cryptography of its own.
///
/// * `Mac{key}`: throws what it likes for a key that it does not take.
/// * `Mac::size`: bytes of a tag; 16 to 64. Also the least size of a key here.
/// * `mac.sign(message, tag)`: fills `size` bytes; false if the library failed, or the key was moved away.
/// * `Mac::equal(a, b)`: compares two tags in a time that does not depend on what they are.
///
/// Used by many threads at once.
template <class Mac>
concept message_authenticator = std::constructible_from<Mac, std::span<const std::byte>> && std::movable<Mac> &&
                                (Mac::size >= 16 && Mac::size <= 64) &&
                                requires(const Mac& mac, std::span<const std::byte> bytes,
                                         std::span<std::byte, Mac::size> tag) {
  { mac.sign(bytes, tag) }
  noexcept->std::same_as<bool>;
  { Mac::equal(bytes, bytes) }
  noexcept->std::same_as<bool>;
};

}  // namespace banyan
