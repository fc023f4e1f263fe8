#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <banyan/hashing/detail/little_endian.hpp>

namespace banyan {

/// SipHash-2-4 of the text's bytes under a secret key of 128 bits: whoever does not know it cannot choose keys that
/// fall on one node, however many answers they watch. The same on every machine. Slower than `stable_hash` by a few
/// times. As the `Hash` of a ring: `banyan::hash_ring<std::string, banyan::siphash> ring{nodes, {}, {key_0, key_1}}`.
///
/// Thread safety: const use by many threads. O(size), wait-free.
///
/// Source: J.-P. Aumasson, D. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.
struct siphash {
  using is_transparent = void;

  std::uint64_t key_0 = 0;
  std::uint64_t key_1 = 0;

  [[nodiscard]] std::uint64_t operator()(std::string_view text) const noexcept {
    std::array<std::uint64_t, 4> v = {key_0 ^ 0x736f6d6570736575U, key_1 ^ 0x646f72616e646f6dU,
                                      key_0 ^ 0x6c7967656e657261U, key_1 ^ 0x7465646279746573U};
    const auto* from = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t left = text.size();
    for (; left >= 8; left -= 8, from += 8) absorb(v, detail::read_little_endian<std::uint64_t>(from));
    std::uint64_t last = static_cast<std::uint64_t>(text.size()) << 56;
    for (std::size_t i = 0; i < left; ++i) last |= std::uint64_t{from[i]} << (8 * i);
    absorb(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; ++i) round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
  }

 private:
  static void absorb(std::array<std::uint64_t, 4>& v, std::uint64_t word) noexcept {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
  }

  static void round(std::array<std::uint64_t, 4>& v) noexcept {
    v[0] += v[1];
    v[1] = std::rotl(v[1], 13) ^ v[0];
    v[0] = std::rotl(v[0], 32);
    v[2] += v[3];
    v[3] = std::rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = std::rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = std::rotl(v[1], 17) ^ v[2];
    v[2] = std::rotl(v[2], 32);
  }
};

}  // namespace banyan
