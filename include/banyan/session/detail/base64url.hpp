#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace banyan::detail {

// RFC 4648, section 5: the alphabet that is safe in URLs, cookies and file names, without padding.
inline constexpr std::string_view base64url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

inline constexpr std::uint8_t not_base64url = 0xff;

inline constexpr std::array<std::uint8_t, 256> base64url_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(not_base64url);
  for (std::size_t i = 0; i < base64url_alphabet.size(); ++i) {
    values[static_cast<unsigned char>(base64url_alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

[[nodiscard]] constexpr std::uint8_t base64url_value(char c) noexcept {
  return base64url_values[static_cast<unsigned char>(c)];
}

/// Whether eight letters are all of the alphabet: a byte of the sums below has its high bit set where a letter is
/// within a range. A byte with that bit of its own is none, and what it carries into its neighbour does not matter
/// then.
[[nodiscard]] constexpr bool all_base64url(std::uint64_t letters) noexcept {
  constexpr std::uint64_t each = 0x0101010101010101U;
  constexpr std::uint64_t high = each * 0x80U;
  const auto within = [](std::uint64_t word, std::uint8_t first, std::uint8_t last) {
    return (word + each * (0x80U - first)) & ~(word + each * (0x7fU - last));
  };
  const std::uint64_t good = within(letters | each * 0x20U, 'a', 'z') | within(letters, '0', '9') |
                             within(letters, '-', '-') | within(letters, '_', '_');
  return (good & ~letters & high) == high;
}

/// Letters for so many bytes.
[[nodiscard]] constexpr std::size_t base64url_length(std::size_t bytes) noexcept {
  return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

/// Bytes in so many letters; no bytes make 1 more than a multiple of 4.
[[nodiscard]] constexpr std::size_t base64url_bytes(std::size_t letters) noexcept {
  return letters / 4 * 3 + (letters % 4 < 2 ? 0 : letters % 4 - 1);
}

/// `to` has room for `base64url_length(bytes.size())` letters.
constexpr void to_base64url(std::span<const std::byte> bytes, char* to) noexcept {
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const std::byte each : bytes) {
    bits = bits << 8 | std::to_integer<std::uint32_t>(each);
    for (held += 8; held >= 6; held -= 6) *to++ = base64url_alphabet[bits >> (held - 6) & 63U];
  }
  if (held != 0) *to = base64url_alphabet[bits << (6 - held) & 63U];
}

/// Whether `letters` are what `to_base64url` makes, and nothing else: no padding, no space, unused bits zero. Then
/// `to`, with room for `base64url_bytes(letters.size())`, is filled.
[[nodiscard]] constexpr bool from_base64url(std::string_view letters, std::byte* to) noexcept {
  if (letters.size() % 4 == 1) return false;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : letters) {
    const std::uint8_t value = base64url_value(c);
    if (value == not_base64url) return false;
    bits = bits << 6 | value;
    held += 6;
    if (held >= 8) {
      held -= 8;
      *to++ = static_cast<std::byte>(bits >> held & 0xffU);
    }
  }
  return (bits & ((1U << held) - 1)) == 0;
}

}  // namespace banyan::detail
