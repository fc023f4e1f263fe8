#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

/// The network an address belongs to, as a key for `keyed_limiter`: one subscriber commonly has a whole /64, often a
/// /56 or /48, and could take a new address for every request.
///
/// `bits`, from 1 to 64: how much of an IPv6 address counts. An IPv4 address that comes as IPv6 (::ffff:a.b.c.d, or by
/// NAT64 64:ff9b::/96) counts as a whole, alike however it comes; its key is that of no IPv6 network in use.
///
/// O(1), wait-free. Throws `std::invalid_argument` for other `bits`.
///
/// Sources: RFC 4291 (mapped addresses), RFC 6052 (64:ff9b::/96), RFC 6177 (what sites get).
[[nodiscard]] inline std::uint64_t ipv6_prefix(std::span<const unsigned char, 16> address, unsigned bits = 64) {
  if (bits == 0 || bits > 64) invalid_option("ipv6_prefix.bits", bits, "must be from 1 to 64");
  const auto word = [&address](std::size_t from, std::size_t to) {
    std::uint64_t value = 0;
    for (std::size_t i = from; i < to; ++i) value = (value << 8) | address[i];
    return value;
  };
  const std::uint64_t network = word(0, 8);
  const bool mapped = network == 0 && word(8, 12) == 0xffff;
  const bool translated = network == 0x0064'ff9b'0000'0000U && word(8, 12) == 0;
  if (mapped || translated) return 0x0000'ffff'0000'0000U | word(12, 16);
  return network & ~(bits == 64 ? 0 : ~std::uint64_t{0} >> bits);
}

/// The same of an address in text, IPv6 (a zone after % is left out) or IPv4. Empty when it is neither. O(length).
[[nodiscard]] std::optional<std::uint64_t> ipv6_prefix(std::string_view text, unsigned bits = 64);

namespace detail {

/// Four decimal numbers to 255 without leading zeros, into four bytes.
[[nodiscard]] inline bool read_ipv4(std::string_view text, unsigned char* bytes) noexcept {
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (text.empty() || text.front() != '.') return false;
      text.remove_prefix(1);
    }
    unsigned value = 0;
    std::size_t digits = 0;
    while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9') {
      value = value * 10 + static_cast<unsigned>(text[digits] - '0');
      ++digits;
    }
    if (digits == 0 || value > 255 || (digits > 1 && text.front() == '0')) return false;
    bytes[part] = static_cast<unsigned char>(value);
    text.remove_prefix(digits);
  }
  return text.empty();
}

[[nodiscard]] inline int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// RFC 4291, 2.2.
[[nodiscard]] inline bool read_ipv6(std::string_view text, unsigned char* bytes) noexcept {
  std::size_t written = 0;
  std::size_t gap = 17;  // where :: stands; beyond the end: nowhere
  if (text.substr(0, 2) == "::") {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (written > 14) return false;
    unsigned value = 0;
    std::size_t digits = 0;
    while (digits < text.size() && digits < 5 && hex_digit(text[digits]) >= 0) {
      value = value * 16 + static_cast<unsigned>(hex_digit(text[digits]));
      ++digits;
    }
    if (digits < text.size() && text[digits] == '.') {
      if (written > 12 || !read_ipv4(text, bytes + written)) return false;
      written += 4;
      break;
    }
    if (digits == 0 || digits > 4) return false;
    bytes[written++] = static_cast<unsigned char>(value >> 8);
    bytes[written++] = static_cast<unsigned char>(value & 0xff);
    text.remove_prefix(digits);
    if (text.empty()) break;
    if (text.substr(0, 2) == "::") {
      if (gap <= 16) return false;
      gap = written;
      text.remove_prefix(2);
    } else if (text.front() == ':' && text.size() > 1) {
      text.remove_prefix(1);
    } else {
      return false;
    }
  }
  if (gap > 16) return written == 16;
  if (written > 14) return false;
  const std::size_t moved = written - gap;
  for (std::size_t i = 0; i < moved; ++i) bytes[15 - i] = bytes[written - 1 - i];
  for (std::size_t i = gap; i < 16 - moved; ++i) bytes[i] = 0;
  return true;
}

}  // namespace detail

inline std::optional<std::uint64_t> ipv6_prefix(std::string_view text, unsigned bits) {
  unsigned char bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
  if (text.find(':') == std::string_view::npos) {
    if (!detail::read_ipv4(text, bytes + 12)) return std::nullopt;
  } else {
    const std::size_t zone = text.find('%');
    if (!detail::read_ipv6(text.substr(0, zone), bytes)) return std::nullopt;
  }
  return ipv6_prefix(std::span<const unsigned char, 16>{bytes}, bits);
}

}  // namespace banyan
