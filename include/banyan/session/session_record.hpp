#pragma once

#include <cstdint>
#include <string>

#include <banyan/session/session_time.hpp>

namespace banyan {

enum class session_state : std::uint8_t {
  live = 0,
  moved = 1,  ///< the id was given up; the data are the id that took its place, or empty when none is to be found by it
};

/// The greatest version, so that backends may count in signed numbers.
inline constexpr std::uint64_t last_session_version = (std::uint64_t{1} << 63) - 1;

/// What a backend keeps under an id.
struct session_record {
  std::string data{};         ///< any bytes
  std::uint64_t version = 0;  ///< from 1 to `last_session_version`; one more with each save
  session_time created{};
  session_time expires{};  ///< from then on it is not there
  session_state state = session_state::live;

  friend bool operator==(const session_record&, const session_record&) = default;
};

}  // namespace banyan
