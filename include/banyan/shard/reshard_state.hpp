#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <banyan/core/expected.hpp>
#include <banyan/hashing/xxhash64.hpp>
#include <banyan/shard/reshard_phase.hpp>

namespace banyan {

/// Which part of a phase's work is under way.
enum class reshard_pass : std::uint8_t { over_source, over_target, complete };

inline constexpr std::uint64_t max_reshard_step = std::uint64_t{1} << 32;

/// All that a reshard must remember to go on elsewhere or after a crash, and what its processes must be told.
struct reshard_state {
  std::uint32_t generation = 1;
  std::uint64_t source_version = 0;  ///< of the routers between which keys move
  std::uint64_t target_version = 0;
  std::uint64_t revision = 0;  ///< counts the states saved
  std::uint64_t step = 1;
  reshard_phase phase = reshard_phase::prepared;
  bool confirmed = false;  ///< all processes run under this step
  reshard_pass pass = reshard_pass::complete;
  std::string cursor{};
  std::uint64_t copied = 0;     ///< records the backfill brought to the target
  std::uint64_t repaired = 0;   ///< records the target had missed, brought there while verifying
  std::uint64_t verified = 0;   ///< records compared
  std::uint64_t conflicts = 0;  ///< found by the latest verification

  [[nodiscard]] reshard_announcement announcement() const noexcept { return {generation, step, phase}; }

  /// Nothing is left to do: the new place, or the old one again, is the only one in use.
  [[nodiscard]] bool settled() const noexcept {
    return confirmed && (phase == reshard_phase::done || phase == reshard_phase::rolled_back);
  }

  friend bool operator==(const reshard_state&, const reshard_state&) = default;
};

enum class reshard_state_error {
  foreign,  ///< not the state of a reshard
  version,  ///< of a format that this version of the library does not know
  damaged,  ///< incomplete or altered
};

namespace detail {

inline constexpr std::string_view reshard_state_name = "banyan-reshard ";
inline constexpr std::string_view reshard_state_format = "1";

inline void append_field(std::string& text, std::string_view name, std::uint64_t number) {
  ((text += ' ') += name) += '=';
  text += std::to_string(number);
}

inline void append_hex(std::string& text, std::uint64_t number) {
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[(number >> shift) & 0xfU];
}

/// Takes " name=number" from the front of a text.
class field_reader {
 public:
  explicit field_reader(std::string_view text) noexcept : rest_{text} {}

  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t largest = ~std::uint64_t{0}) noexcept {
    std::uint64_t value = 0;
    const std::string_view digits = word(name);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || value > largest) good_ = false;
    return good_ ? value : 0;
  }

  [[nodiscard]] std::string bytes(std::string_view name) {
    const std::string_view digits = word(name);
    if (digits.size() % 2 != 0) good_ = false;
    std::string value;
    for (std::size_t at = 0; good_ && at < digits.size(); at += 2) {
      unsigned byte = 0;
      const auto [end, error] = std::from_chars(digits.data() + at, digits.data() + at + 2, byte, 16);
      if (error != std::errc{} || end != digits.data() + at + 2) good_ = false;
      value += static_cast<char>(byte);
    }
    return value;
  }

  [[nodiscard]] bool good() const noexcept { return good_ && rest_.empty(); }

 private:
  [[nodiscard]] std::string_view word(std::string_view name) noexcept {
    if (rest_.size() < name.size() + 2 || rest_[0] != ' ' || rest_.substr(1, name.size()) != name ||
        rest_[name.size() + 1] != '=') {
      good_ = false;
      return {};
    }
    rest_.remove_prefix(name.size() + 2);
    const std::string_view taken = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace detail

/// One line of printable text: the format's version, the fields, a checksum. O(size of the cursor).
[[nodiscard]] inline std::string to_text(const reshard_state& state) {
  std::string text{detail::reshard_state_name};
  text += detail::reshard_state_format;
  detail::append_field(text, "generation", state.generation);
  detail::append_field(text, "source", state.source_version);
  detail::append_field(text, "target", state.target_version);
  detail::append_field(text, "revision", state.revision);
  detail::append_field(text, "step", state.step);
  detail::append_field(text, "phase", static_cast<std::uint64_t>(state.phase));
  detail::append_field(text, "confirmed", state.confirmed ? 1 : 0);
  detail::append_field(text, "pass", static_cast<std::uint64_t>(state.pass));
  detail::append_field(text, "copied", state.copied);
  detail::append_field(text, "repaired", state.repaired);
  detail::append_field(text, "verified", state.verified);
  detail::append_field(text, "conflicts", state.conflicts);
  text += " cursor=";
  for (const char each : state.cursor) {
    const auto byte = static_cast<unsigned char>(each);
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 0xfU];
  }
  const std::uint64_t check = xxhash64(text);
  text += " check=";
  detail::append_hex(text, check);
  return text;
}

/// The state that `to_text` wrote. Refuses everything else, down to one bit that is not as it was. Throws
/// `std::bad_alloc` only.
[[nodiscard]] inline expected<reshard_state, reshard_state_error> parse_reshard_state(std::string_view text) {
  constexpr std::string_view check_name = " check=";
  constexpr std::size_t check_size = check_name.size() + 16;
  if (!text.starts_with(detail::reshard_state_name)) return unexpected{reshard_state_error::foreign};
  std::string_view fields = text.substr(detail::reshard_state_name.size());
  const std::string_view format = fields.substr(0, fields.find(' '));
  if (text.size() < check_size) return unexpected{reshard_state_error::damaged};
  const std::string_view content = text.substr(0, text.size() - check_size);
  std::string check{check_name};
  detail::append_hex(check, xxhash64(content));
  if (text.substr(content.size()) != check) return unexpected{reshard_state_error::damaged};
  if (format != detail::reshard_state_format) return unexpected{reshard_state_error::version};
  fields = content.substr(detail::reshard_state_name.size() + format.size());
  detail::field_reader read{fields};
  reshard_state state;
  state.generation = static_cast<std::uint32_t>(read.number("generation", ~std::uint32_t{0}));
  state.source_version = read.number("source");
  state.target_version = read.number("target");
  state.revision = read.number("revision");
  state.step = read.number("step", max_reshard_step);
  state.phase = static_cast<reshard_phase>(read.number("phase", reshard_phases - 1));
  state.confirmed = read.number("confirmed", 1) == 1;
  state.pass = static_cast<reshard_pass>(read.number("pass", 2));
  state.copied = read.number("copied");
  state.repaired = read.number("repaired");
  state.verified = read.number("verified");
  state.conflicts = read.number("conflicts");
  state.cursor = read.bytes("cursor");
  if (!read.good() || state.step == 0) return unexpected{reshard_state_error::damaged};
  return state;
}

}  // namespace banyan
