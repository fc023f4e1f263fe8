#pragma once

/// \file
/// HMAC-SHA-256 by OpenSSL (or LibreSSL, BoringSSL), for `signed_tokens`. Link with `-lcrypto` (Debian: libssl-dev).

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/session/message_authenticator.hpp>

namespace banyan {

/// A key of HMAC-SHA-256. The key's bytes are wiped when it dies. One that was moved from has no key, and signs
/// nothing. Thread-safe for `sign`; nothing here takes a lock of this library.
///
/// Source: RFC 2104, FIPS 180-4; test vectors of RFC 4231.
class openssl_hmac_sha256 {
 public:
  static constexpr std::size_t size = 32;

  /// Throws `std::invalid_argument` for no bytes, under which everybody can sign, and for more than 2^31 - 1;
  /// `std::bad_alloc`.
  explicit openssl_hmac_sha256(std::span<const std::byte> key) : key_((check(key), key.begin()), key.end()) {}

  openssl_hmac_sha256(openssl_hmac_sha256&& other) noexcept : key_{std::exchange(other.key_, {})} {}
  openssl_hmac_sha256& operator=(openssl_hmac_sha256&& other) noexcept {
    if (this != &other) {
      wipe();
      key_ = std::exchange(other.key_, {});
    }
    return *this;
  }
  ~openssl_hmac_sha256() { wipe(); }

  /// False when OpenSSL fails, for lack of memory or where its policy forbids the algorithm or the key; and always when
  /// the key was moved away.
  [[nodiscard]] bool sign(std::span<const std::byte> message, std::span<std::byte, size> tag) const noexcept {
    if (key_.empty()) return false;
    static constexpr unsigned char nothing = 0;
    unsigned int made = 0;
    const auto* const from = message.empty() ? &nothing : reinterpret_cast<const unsigned char*>(message.data());
    return ::HMAC(::EVP_sha256(), key_.data(), static_cast<int>(key_.size()), from, message.size(),
                  reinterpret_cast<unsigned char*>(tag.data()), &made) != nullptr &&
           made == size;
  }

  /// In a time that depends on the sizes only.
  [[nodiscard]] static bool equal(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
  }

 private:
  static void check(std::span<const std::byte> key) {
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<int>::max());
    if (key.empty()) invalid_option("key", key.size(), "must not be empty");
    if (key.size() > most) invalid_option("key", key.size(), "must have at most 2^31 - 1 bytes");
  }

  void wipe() noexcept {
    if (!key_.empty()) ::OPENSSL_cleanse(key_.data(), key_.size());
  }

  std::vector<std::byte> key_;
};

static_assert(message_authenticator<openssl_hmac_sha256>);

}  // namespace banyan
