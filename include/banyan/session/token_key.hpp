#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <banyan/session/system_random.hpp>

namespace banyan {

/// A secret that tokens are signed by, and the number that stands for it in them. Numbers are not used again.
struct token_key {
  std::uint32_t id = 0;
  std::vector<std::byte> secret{};

  /// From `bytes` of the system's randomness. Throws what `system_random` throws, and `std::bad_alloc`.
  [[nodiscard]] static token_key make(std::uint32_t id, std::size_t bytes = 32) {
    token_key made{.id = id, .secret = std::vector<std::byte>(bytes)};
    system_random(made.secret);
    return made;
  }

  /// From a secret that is kept elsewhere. As many random bytes, not a password.
  [[nodiscard]] static token_key of(std::uint32_t id, std::string_view secret) {
    const auto bytes = std::as_bytes(std::span{secret});
    return {.id = id, .secret = {bytes.begin(), bytes.end()}};
  }
};

}  // namespace banyan
