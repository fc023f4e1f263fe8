// Digests that other systems place keys by, held to their published values.
#include <banyan/hashing/cassandra_token.hpp>
#include <banyan/hashing/crc16.hpp>
#include <banyan/hashing/crc32.hpp>
#include <banyan/hashing/md5.hpp>
#include <banyan/hashing/murmur_hash2.hpp>
#include <banyan/hashing/murmur_hash3.hpp>
#include <banyan/hashing/redis_slot.hpp>
#include <banyan/hashing/siphash.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

std::string hex(const banyan::md5_digest& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

TEST_CASE("md5 gives the values of RFC 1321", "[hashing][md5]") {
  const auto of = [](std::string_view text) { return hex(banyan::md5(text)); };
  CHECK(of("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(of("a") == "0cc175b9c0f1b6a831c399e269772661");
  CHECK(of("abc") == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(of("message digest") == "f96b697d7cb7938d525a2f31aaf161d0");
  CHECK(of("abcdefghijklmnopqrstuvwxyz") == "c3fcd3d76192e4007dfb496cca67e13b");
  CHECK(of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == "d174ab98d277d9f5a5611c2c9f419d9f");
  CHECK(of("12345678901234567890123456789012345678901234567890123456789012345678901234567890") ==
        "57edf4a22be3c955ac49da2e2107b67a");
}

// One digest over the digests of all lengths around the block's: made with Python's hashlib.
TEST_CASE("md5 pads every length", "[hashing][md5]") {
  std::string all;
  for (std::size_t size = 0; size <= 200; ++size) all += hex(banyan::md5(std::string(size, 'x')));
  CHECK(hex(banyan::md5(all)) == "1f0d9d949b2c16e511c7083a082d1828");
}

TEST_CASE("crc32 and crc16 give their check values", "[hashing][crc]") {
  static_assert(banyan::crc32("123456789") == 0xCBF43926U);
  static_assert(banyan::crc32("") == 0);
  static_assert(banyan::crc32("The quick brown fox jumps over the lazy dog") == 0x414FA339U);
  static_assert(banyan::crc32("6789", banyan::crc32("12345")) == banyan::crc32("123456789"));
  static_assert(banyan::crc16("123456789") == 0x31C3U);
  static_assert(banyan::crc16("") == 0);
  CHECK(banyan::crc32(std::string(3, '\xff')) == 0xFFFFFF00U);
}

TEST_CASE("crc16 takes several bytes at a time as it takes bits", "[hashing][crc]") {
  const std::uint64_t seed = banyan::testing::derived_seed("crc16");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  std::string text;
  std::uint32_t rest = 0;
  for (int size = 0; size < 100; ++size) {
    REQUIRE(banyan::crc16(text) == rest);
    const auto byte = static_cast<unsigned char>(random());
    text += static_cast<char>(byte);
    for (int bit = 7; bit >= 0; --bit) {
      const bool carry = ((rest >> 15) ^ (std::uint32_t{byte} >> bit)) % 2 == 1;
      rest = ((rest << 1) ^ (carry ? 0x1021U : 0U)) & 0xffffU;
    }
  }
}

// Hashes of keys {}, {0}, {0, 1}, ... with seeds 256, 255, ...; of all of them one more, with seed 0.
template <std::size_t Bytes, class Hash>
std::uint32_t smhasher_verification(Hash hash) {
  std::string key;
  std::string hashes;
  for (std::uint32_t i = 0; i < 256; ++i) {
    hashes += hash(key, 256 - i);
    key += static_cast<char>(i);
  }
  REQUIRE(hashes.size() == 256 * Bytes);
  const std::string last = hash(hashes, 0);
  std::uint32_t value = 0;
  for (std::size_t i = 4; i > 0; --i) value = (value << 8) | static_cast<unsigned char>(last[i - 1]);
  return value;
}

std::string bytes_of(std::uint64_t value, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

TEST_CASE("MurmurHash gives SMHasher's verification values", "[hashing][murmur]") {
  CHECK(smhasher_verification<4>([](std::string_view key, std::uint32_t seed) {
          return bytes_of(banyan::murmur_hash3_x86_32(key, seed), 4);
        }) == 0xB0F57EE3U);
  CHECK(smhasher_verification<16>([](std::string_view key, std::uint32_t seed) {
          const auto hash = banyan::murmur_hash3_x64_128(key, seed);
          return bytes_of(hash[0], 8) + bytes_of(hash[1], 8);
        }) == 0x6384BA69U);
  CHECK(smhasher_verification<8>([](std::string_view key, std::uint32_t seed) {
          return bytes_of(banyan::murmur_hash2_64a(key, seed), 8);
        }) == 0x1F0D3804U);
}

// The first values of the authors' list: key 00 01 .. 0f, messages of 0, 1, 2, ... bytes 00 01 02 ...
TEST_CASE("siphash gives its authors' values", "[hashing][siphash]") {
  const banyan::siphash hash{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  std::string message;
  const auto next = [&] { return message += static_cast<char>(message.size()), hash(message); };
  CHECK(hash(message) == 0x726fdb47dd0e0e31U);
  CHECK(next() == 0x74f839c593dc67fdU);
  CHECK(next() == 0x0d6c8009d9a94f5aU);
  while (message.size() < 14) static_cast<void>(next());
  CHECK(next() == 0xa129ca6149be45e5U);  // 15 bytes: the example in the paper
}

TEST_CASE("redis_slot agrees with Redis Cluster", "[hashing][redis_slot]") {
  using banyan::redis_slot;
  static_assert(redis_slot("123456789") == 0x31C3 % 16384);
  // The shortest keys of the first slots, as Redis itself lists them for tests.
  CHECK(redis_slot("06S") == 0);
  CHECK(redis_slot("Qi") == 1);
  CHECK(redis_slot("5L5") == 2);
  CHECK(redis_slot("4Iu") == 3);
  CHECK(redis_slot("foo") == 12182);
  CHECK(redis_slot("bar") == 5061);
  CHECK(redis_slot("") == 0);
  CHECK(redis_slot("{user1000}.following") == redis_slot("user1000"));
  CHECK(redis_slot("{user1000}.following") == redis_slot("{user1000}.followers"));
  CHECK(banyan::redis_hash_tag("foo{}{bar}") == "foo{}{bar}");
  CHECK(banyan::redis_hash_tag("foo{{bar}}zap") == "{bar");
  CHECK(banyan::redis_hash_tag("foo{bar}{zap}") == "bar");
  CHECK(banyan::redis_hash_tag("foo{bar") == "foo{bar");
  CHECK(banyan::redis_hash_tag("}foo{bar}") == "bar");
  CHECK(banyan::redis_hash_tag("{") == "{");
}

// Values that the Cassandra drivers hold themselves to.
TEST_CASE("cassandra_token agrees with the Cassandra drivers", "[hashing][cassandra_token]") {
  using banyan::cassandra_token;
  std::string fifty;
  for (int i = 0; i < 10; ++i) fifty += std::string{"\x00\xff\x10\xfa\x99", 5};
  CHECK(cassandra_token("123") == -7468325962851647638);
  CHECK(cassandra_token(fifty) == 5837342703291459765);
  CHECK(cassandra_token(std::string(8, '\xfe')) == -8927430733708461935);
  CHECK(cassandra_token(std::string(8, '\x10')) == 1446172840243228796);
  CHECK(cassandra_token("9223372036854775807") == 7162290910810015547);
  CHECK(cassandra_token("") == std::numeric_limits<std::int64_t>::min());
}

}  // namespace
