#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <banyan/session/session_time.hpp>

namespace banyan::detail {

/// What a token begins with, big end first:
///
///     | version 1 | key 4 | issued 6 | expires 6 |   then the payload, then the tag of all before it
///
/// Times are milliseconds since the epoch, good for 8,900 years.
struct token_header {
  static constexpr std::size_t size = 17;
  static constexpr std::uint8_t known_version = 1;
  static constexpr std::int64_t last_time = (std::int64_t{1} << 48) - 1;

  std::uint8_t version = known_version;
  std::uint32_t key = 0;
  session_time issued{};
  session_time expires{};

  static constexpr bool has_room_for(session_time t) noexcept {
    return t.time_since_epoch().count() >= 0 && t.time_since_epoch().count() <= last_time;
  }

  void write(std::span<std::byte, size> to) const noexcept {
    to[0] = static_cast<std::byte>(version);
    write_number(to.subspan<1, 4>(), key);
    write_number(to.subspan<5, 6>(), static_cast<std::uint64_t>(issued.time_since_epoch().count()));
    write_number(to.subspan<11, 6>(), static_cast<std::uint64_t>(expires.time_since_epoch().count()));
  }

  static token_header read(std::span<const std::byte, size> from) noexcept {
    return {.version = std::to_integer<std::uint8_t>(from[0]),
            .key = static_cast<std::uint32_t>(number(from.subspan<1, 4>())),
            .issued = time(from.subspan<5, 6>()),
            .expires = time(from.subspan<11, 6>())};
  }

 private:
  static void write_number(std::span<std::byte> to, std::uint64_t value) noexcept {
    for (std::size_t i = to.size(); i-- > 0; value >>= 8) to[i] = static_cast<std::byte>(value & 0xffU);
  }
  static std::uint64_t number(std::span<const std::byte> from) noexcept {
    std::uint64_t value = 0;
    for (const std::byte each : from) value = value << 8 | std::to_integer<std::uint64_t>(each);
    return value;
  }
  static session_time time(std::span<const std::byte> from) noexcept {
    return session_time{std::chrono::milliseconds{static_cast<std::int64_t>(number(from))}};
  }
};

}  // namespace banyan::detail
