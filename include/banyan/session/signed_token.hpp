#pragma once

#include <cstdint>
#include <string>

#include <banyan/session/session_time.hpp>

namespace banyan {

/// What a token says that was found genuine. Signed is not secret: whoever has the token can read it.
struct signed_token {
  std::string payload{};
  session_time issued{};
  session_time expires{};
  std::uint32_t key = 0;  ///< the key it was signed by
};

}  // namespace banyan
