#pragma once

/// \file
/// A session's token as text: for a cookie, a header, a message.

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/hashing/crc32.hpp>
#include <banyan/replica/consistency_token.hpp>

namespace banyan {

/// Why a text is no token.
enum class token_error : std::uint8_t {
  malformed,  ///< cut short, too long, other characters, an unknown version
  damaged,    ///< the checksum does not fit
  other_set   ///< of another set (`replica_set::parse`)
};

namespace detail {

// version 1, flags 1, set 2, epoch 4, position 8, microseconds since 1970 8, CRC-32 of all that 4; lowest byte first,
// each byte as two digits.
inline constexpr std::size_t token_bytes = 28;
inline constexpr std::uint8_t token_version = 1;
inline constexpr std::int64_t no_wall_time = std::numeric_limits<std::int64_t>::min();

class token_writer {
 public:
  template <class N>
  void put(N value) {
    for (std::size_t i = 0; i < sizeof(N); ++i) bytes_ += static_cast<char>((value >> (8 * i)) & 0xffU);
  }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

class token_reader {
 public:
  explicit token_reader(std::string_view bytes) noexcept : bytes_{bytes} {}
  template <class N>
  [[nodiscard]] N take() noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(N); ++i)
      value |= std::uint64_t{static_cast<unsigned char>(bytes_[at_++])} << (8 * i);
    return static_cast<N>(value);
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

[[nodiscard]] constexpr int token_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

[[nodiscard]] inline std::int64_t microseconds_of(std::chrono::system_clock::time_point time) noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

inline constexpr std::int64_t longest_token_age = 2'300'000'000'000'000;  // microseconds: 73 years

/// `later - earlier`, but not above `longest`.
[[nodiscard]] constexpr std::int64_t shorter_age(std::int64_t later, std::int64_t earlier,
                                                 std::int64_t longest) noexcept {
  const auto apart = static_cast<std::uint64_t>(later) - static_cast<std::uint64_t>(earlier);  // no overflow
  return apart > static_cast<std::uint64_t>(longest) ? longest : static_cast<std::int64_t>(apart);
}

}  // namespace detail

/// The token as 56 hexadecimal digits. Steady clocks mean nothing elsewhere, so its time is written as wall time; an
/// epoch that is counted in this process only is left out. A checksum guards against accidents, not against forgers:
/// sign what a client may not choose, since a forged token makes its reads go to the primary. Throws `std::bad_alloc`.
template <detail::point_in_time TimePoint = steady_clock::time_point>
[[nodiscard]] std::string to_text(const consistency_token& token, TimePoint now = steady_clock::now(),
                                  std::chrono::system_clock::time_point wall = std::chrono::system_clock::now()) {
  std::int64_t time = detail::no_wall_time;
  if (token.time() != consistency_token::no_time) {
    const std::int64_t at = detail::token_time(now);
    time = detail::microseconds_of(wall) -
           (token.time() < at ? detail::shorter_age(at, token.time(), 1000 * detail::longest_token_age) / 1000 : 0);
  }
  detail::token_writer out;
  out.put(detail::token_version);
  out.put(static_cast<std::uint8_t>(token.bound_by_time() ? 1 : 0));
  out.put(static_cast<std::uint16_t>(token.set()));
  out.put(token.epoch_is_local() ? std::uint32_t{0} : token.epoch());
  out.put(token.position());
  out.put(std::bit_cast<std::uint64_t>(time));
  out.put(crc32(out.bytes()));
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * detail::token_bytes);
  for (const char c : out.bytes()) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

/// The token that the text stands for. Any text may come: what is not a whole token is refused. What a forger may have
/// changed does no harm but to its own reads: a position that is not there yet sends them to the primary, within the
/// share that it has; a time in the future counts as now.
///
/// `skew`: by how much the clocks of two machines may differ. A time from a machine that is behind by more counts as
/// earlier than it was. Never throws; O(1), wait-free.
template <detail::point_in_time TimePoint = steady_clock::time_point>
[[nodiscard]] expected<consistency_token, token_error> parse_consistency_token(
    std::string_view text, TimePoint now = steady_clock::now(),
    std::chrono::system_clock::time_point wall = std::chrono::system_clock::now(),
    std::chrono::microseconds skew = std::chrono::milliseconds{100}) noexcept {
  std::array<char, detail::token_bytes> bytes{};
  if (text.size() != 2 * bytes.size()) return unexpected{token_error::malformed};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = detail::token_digit(text[2 * i]);
    const int low = detail::token_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return unexpected{token_error::malformed};
    bytes[i] = static_cast<char>(high * 16 + low);
  }
  const std::string_view all{bytes.data(), bytes.size()};
  detail::token_reader in{all};
  const auto version = in.take<std::uint8_t>();
  const auto flags = in.take<std::uint8_t>();
  detail::consistency_token_access::parts parts;
  parts.set = in.take<std::uint16_t>();
  parts.epoch = in.take<std::uint32_t>();
  parts.position = in.take<std::uint64_t>();
  const auto time = std::bit_cast<std::int64_t>(in.take<std::uint64_t>());
  if (in.take<std::uint32_t>() != crc32(all.substr(0, detail::token_bytes - sizeof(std::uint32_t))))
    return unexpected{token_error::damaged};
  if (version != detail::token_version || flags > 1) return unexpected{token_error::malformed};
  if ((flags == 1) && time == detail::no_wall_time) return unexpected{token_error::malformed};
  parts.bound_by_time = flags == 1;
  if (time != detail::no_wall_time) {
    const std::int64_t here = detail::token_time(now);
    const std::int64_t wall_now = detail::microseconds_of(wall);
    std::int64_t age = time < wall_now ? detail::shorter_age(wall_now, time, detail::longest_token_age) : 0;
    age = age > skew.count() ? age - (skew.count() > 0 ? skew.count() : 0) : 0;
    parts.time = here < std::numeric_limits<std::int64_t>::min() + 1 + age * 1000
                     ? std::numeric_limits<std::int64_t>::min() + 1
                     : here - age * 1000;
  }
  return detail::consistency_token_access::make(parts);
}

}  // namespace banyan
