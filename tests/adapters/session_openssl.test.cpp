#include "support/catch.hpp"

#if !defined(BANYAN_TEST_OPENSSL)

TEST_CASE("openssl_hmac_sha256: skipped, this build has no OpenSSL") { SUCCEED(); }

#else

#include <banyan/adapters/openssl_hmac_sha256.hpp>
#include <banyan/session/signed_tokens.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "session/token_refusals.hpp"
#include "support/seed.hpp"

namespace {

using banyan::openssl_hmac_sha256;

std::string from_hex(std::string_view digits) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1]));
  }
  return bytes;
}

std::string tag_of(std::string_view key, std::string_view message) {
  std::array<std::byte, openssl_hmac_sha256::size> tag{};
  const openssl_hmac_sha256 mac{std::as_bytes(std::span{key})};
  REQUIRE(mac.sign(std::as_bytes(std::span{message}), tag));
  return {reinterpret_cast<const char*>(tag.data()), tag.size()};
}

}  // namespace

TEST_CASE("openssl_hmac_sha256: the test cases of RFC 4231") {
  const std::string large(131, '\xaa');
  CHECK(tag_of(std::string(20, '\x0b'), "Hi There") ==
        from_hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
  CHECK(tag_of("Jefe", "what do ya want for nothing?") ==
        from_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
  CHECK(tag_of(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
        from_hex("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));
  CHECK(tag_of(from_hex("0102030405060708090a0b0c0d0e0f10111213141516171819"), std::string(50, '\xcd')) ==
        from_hex("82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"));
  CHECK(tag_of(std::string(20, '\x0c'), "Test With Truncation").substr(0, 16) ==
        from_hex("a3b6167473100ee06e0c796c2955552b"));
  CHECK(tag_of(large, "Test Using Larger Than Block-Size Key - Hash Key First") ==
        from_hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
  CHECK(
      tag_of(large,
             "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
             "hashed before being used by the HMAC algorithm.") ==
      from_hex("9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"));
}

TEST_CASE("openssl_hmac_sha256: equal is of all bytes, and a key may move, and is then nowhere else") {
  std::string a = tag_of("Jefe", "x");
  const std::string b = a;
  const auto bytes = [](const std::string& s) { return std::as_bytes(std::span{s}); };
  CHECK(openssl_hmac_sha256::equal(bytes(a), bytes(b)));
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<char>(a[i] ^ 1);
    CHECK_FALSE(openssl_hmac_sha256::equal(bytes(a), bytes(b)));
    a[i] = b[i];
  }
  CHECK_FALSE(openssl_hmac_sha256::equal(bytes(a), bytes(b).first(31)));

  openssl_hmac_sha256 from{bytes("Jefe")};
  openssl_hmac_sha256 to{bytes("another")};
  to = std::move(from);
  const openssl_hmac_sha256 last{std::move(to)};
  std::array<std::byte, openssl_hmac_sha256::size> tag{};
  // Not under an empty key, for everybody to forge.
  CHECK_FALSE(from.sign(bytes("x"), tag));
  CHECK_FALSE(to.sign(bytes("x"), tag));
  CHECK_THROWS_AS(openssl_hmac_sha256{std::span<const std::byte>{}}, std::invalid_argument);
  to = openssl_hmac_sha256{bytes("again")};
  CHECK(to.sign(bytes("x"), tag));
  REQUIRE(last.sign(bytes("x"), tag));
  CHECK(openssl_hmac_sha256::equal(tag, bytes(b)));
}

TEST_CASE("signed_tokens with OpenSSL: every single change is refused") {
  banyan::testing::check_forgeries<openssl_hmac_sha256>(banyan::testing::derived_seed("forged tokens, OpenSSL"));
}

#endif
