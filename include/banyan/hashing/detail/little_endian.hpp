#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace banyan::detail {

/// A number stored with its lowest byte first, on whatever machine. Compilers make one load of it.
template <std::unsigned_integral T>
[[nodiscard]] T read_little_endian(const unsigned char* from) noexcept {
  T value{};
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&value, from, sizeof value);
  } else {
    for (std::size_t i = sizeof value; i > 0; --i) value = static_cast<T>((value << 8) | from[i - 1]);
  }
  return value;
}

}  // namespace banyan::detail
