#include <banyan/hashing/hash_of.hpp>
#include <banyan/hashing/xxhash64.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "support/catch.hpp"

namespace {

using banyan::hash_of;
using banyan::xxhash64;

TEST_CASE("xxhash64 gives the published values", "[hashing][xxhash64]") {
  CHECK(xxhash64("") == 0xEF46DB3751D8E999U);
  CHECK(xxhash64("a") == 0xD24EC4F1A98C6E5BU);
  CHECK(xxhash64("abc") == 0x44BC2CF5AD770999U);
  CHECK(xxhash64("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1U);
  // The self-test of xxHash: bytes of a generator, with seed 0 and with a prime.
  std::string bytes(222, '\0');
  std::uint64_t generator = 2654435761U;
  for (char& byte : bytes) {
    byte = static_cast<char>(generator >> 56);
    generator *= 11400714785074694797U;
  }
  const auto of = [&](std::size_t size, std::uint64_t seed) {
    return xxhash64(std::string_view{bytes}.substr(0, size), seed);
  };
  CHECK(of(0, 2654435761U) == 0xAC75FDA2929B17EFU);
  CHECK(of(1, 0) == 0xE934A84ADB052768U);
  CHECK(of(1, 2654435761U) == 0x5014607643A9B4C3U);
  CHECK(of(4, 0) == 0x9136A0DCA57457EEU);
  CHECK(of(14, 0) == 0x8282DCC4994E35C8U);
  CHECK(of(14, 2654435761U) == 0xC3BD6BF63DEB6DF0U);
  CHECK(of(222, 0) == 0xB641AE8CB691C174U);
  CHECK(of(222, 2654435761U) == 0x20CB8AB7AE10C14AU);
}

enum class colour : std::uint8_t { red = 7 };

TEST_CASE("hash_of is the same in every run and on every machine", "[hashing][hash_of]") {
  // SplitMix64 seeded with 0 begins with this number (Vigna's reference).
  static_assert(hash_of(0) == 0xE220A8397B1DCDAFU);
  static_assert(hash_of(-1) == hash_of(~std::uint64_t{0}));
  static_assert(hash_of(std::int8_t{7}) == hash_of(std::uint64_t{7}));
  static_assert(hash_of(colour::red) == hash_of(7));
  CHECK(hash_of("abc") == 0x44BC2CF5AD770999U);
  CHECK(hash_of(std::string{"abc"}) == hash_of("abc"));
  CHECK(hash_of(std::string_view{"abc"}) == hash_of("abc"));
  const char* const pointer = "abc";
  CHECK(hash_of(pointer) == hash_of("abc"));
  const std::array<std::byte, 3> bytes{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
  CHECK(hash_of(std::span<const std::byte>{bytes}) == hash_of("abc"));
}

TEST_CASE("hash_of tells pairs and tuples apart by element and order", "[hashing][hash_of]") {
  std::set<std::uint64_t> seen;
  for (int a = 0; a < 20; ++a) {
    for (int b = 0; b < 20; ++b) seen.insert(hash_of(std::pair{a, b}));
  }
  CHECK(seen.size() == 400);
  CHECK(hash_of(std::pair{1, 2}) == hash_of(std::tuple{1, 2}));
  CHECK(hash_of(std::tuple{1}) != hash_of(1));
  CHECK(hash_of(std::tuple{std::string{"a"}, 1, 2}) != hash_of(std::tuple{std::string{"a"}, 2, 1}));
}

TEST_CASE("a seed changes every hash", "[hashing][hash_of]") {
  const banyan::stable_hash seeded{42};
  CHECK(seeded("abc") == xxhash64("abc", 42));
  for (int i = 0; i < 1000; ++i) {
    CHECK(seeded(i) != hash_of(i));
    CHECK(seeded(std::pair{i, i}) != hash_of(std::pair{i, i}));
  }
}

template <class T>
constexpr bool hashable = requires(const T& value) {
  hash_of(value);
};

TEST_CASE("what has no stable hash is refused at compile time", "[hashing][hash_of]") {
  STATIC_REQUIRE(hashable<std::string>);
  STATIC_REQUIRE(hashable<int>);
  STATIC_REQUIRE(!hashable<double>);
  STATIC_REQUIRE(!hashable<int*>);
  STATIC_REQUIRE(!hashable<std::set<int>>);
}

}  // namespace
