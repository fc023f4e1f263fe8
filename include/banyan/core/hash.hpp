#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <banyan/core/detail/wide_product.hpp>
#include <banyan/core/process_seed.hpp>

namespace banyan {

namespace detail {

// Digits of pi: nothing up the sleeve.
inline constexpr std::uint64_t hash_salt_0 = 0x243f6a8885a308d3U;
inline constexpr std::uint64_t hash_salt_1 = 0x13198a2e03707345U;
inline constexpr std::uint64_t hash_salt_2 = 0xa4093822299f31d1U;

template <class Word>
[[nodiscard]] std::uint64_t read_word(const unsigned char* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

template <class T>
inline constexpr bool is_tuple_like = false;
template <class A, class B>
inline constexpr bool is_tuple_like<std::pair<A, B>> = true;
template <class... Ts>
inline constexpr bool is_tuple_like<std::tuple<Ts...>> = true;

// Wider than std::integral, which leaves out 128-bit numbers where extensions are off.
template <class T>
inline constexpr bool is_wide_number = false;
#if defined(__SIZEOF_INT128__)
__extension__ template <>
inline constexpr bool is_wide_number<__int128> = true;
__extension__ template <>
inline constexpr bool is_wide_number<unsigned __int128> = true;
#endif
template <class T>
concept whole_number = std::is_integral_v<T> || std::is_enum_v<T> || is_wide_number<T>;

}  // namespace detail

/// A seeded hash for hash tables: 64 bits, each of which depends on each bit of the key, so that any bits of it may be
/// taken as an index. Each object carries its seed; by default the process's own random one, so that outsiders cannot
/// prepare colliding keys. Copies hash alike. Not a cryptographic hash, and not stable across machines or versions: do
/// not store the results.
///
/// It is transparent: `std::string`, `std::string_view` and `const char*` with the same characters hash alike, and so
/// do integers of the same value in any signed or any unsigned type. Pairs and tuples hash by element; floating point
/// numbers so that 0.0 and -0.0 agree. Any other type goes through `std::hash` and is mixed afterwards: what collides
/// there collides here.
///
/// Thread safety: const use by many threads. O(size of the key), wait-free, throws only what a `std::hash` throws.
///
/// Source: multiplying 64 by 64 bits and folding the halves is the idea of Wang Yi's wyhash (2019) and its successors;
/// both factors are keyed by the seed here, so that no key can turn one of them to zero knowingly.
class seeded_hash {
 public:
  using is_transparent = void;
  using is_avalanching = void;  // tables that mix again by themselves may leave that out

  seeded_hash() noexcept : seeded_hash{process_seed()} {}
  explicit constexpr seeded_hash(std::uint64_t seed) noexcept
      : seed_{seed}, key_{mix_bits(seed + detail::hash_salt_0)} {}

  [[nodiscard]] constexpr std::uint64_t seed() const noexcept { return seed_; }

  template <detail::whole_number T>
  [[nodiscard]] constexpr std::uint64_t operator()(T value) const noexcept {
    if constexpr (std::is_enum_v<T>) {
      return (*this)(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (sizeof(T) > sizeof(std::uint64_t)) {
      return of_words(static_cast<std::uint64_t>(value), static_cast<std::uint64_t>(value >> 64));
    } else {
      return of_word(static_cast<std::uint64_t>(value));  // sign-extended, so that -1 is -1 in every width
    }
  }

  template <std::floating_point T>
  [[nodiscard]] std::uint64_t operator()(T value) const noexcept {
    if constexpr (sizeof(T) <= sizeof(double)) {
      const double number = value == T{0} ? 0.0 : static_cast<double>(value);
      return of_word(std::bit_cast<std::uint64_t>(number));
    } else {
      return of_word(std::hash<T>{}(value));
    }
  }

  template <class T>
  requires(!std::same_as<std::remove_cv_t<T>, char>) [[nodiscard]] std::uint64_t operator()(T* pointer) const noexcept {
    return of_word(reinterpret_cast<std::uintptr_t>(pointer));
  }

  [[nodiscard]] std::uint64_t operator()(std::nullptr_t) const noexcept { return of_word(0); }

  [[nodiscard]] std::uint64_t operator()(std::string_view text) const noexcept {
    return of_bytes(text.data(), text.size());
  }

  template <class T>
  requires(!detail::whole_number<T> && !std::floating_point<T> && !std::is_pointer_v<T> && !std::is_null_pointer_v<T>)
      [[nodiscard]] std::uint64_t
      operator()(const T& value) const {
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      return (*this)(std::string_view{value});
    } else if constexpr (std::is_array_v<T>) {
      return (*this)(std::decay_t<const T>{value});
    } else if constexpr (detail::is_tuple_like<T>) {
      return std::apply(
          [this](const auto&... elements) {
            std::uint64_t hash = key_;
            ((hash = of_words((*this)(elements), hash)), ...);
            return hash;
          },
          value);
    } else {
      static_assert(std::is_invocable_v<std::hash<T>, const T&>, "specialise std::hash, or give a hash of your own");
      return of_word(static_cast<std::uint64_t>(std::hash<T>{}(value)));
    }
  }

  /// Hashes `size` bytes.
  [[nodiscard]] std::uint64_t of_bytes(const void* bytes, std::size_t size) const noexcept {
    using detail::multiply_fold;
    const auto* from = static_cast<const unsigned char*>(bytes);
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::uint64_t state = key_;
    if (size <= 16) {
      // Overlapping reads from both ends cover every length without a loop; the length itself goes in at the end.
      if (size >= 8) {
        a = detail::read_word<std::uint64_t>(from);
        b = detail::read_word<std::uint64_t>(from + size - 8);
      } else if (size >= 4) {
        a = detail::read_word<std::uint32_t>(from);
        b = detail::read_word<std::uint32_t>(from + size - 4);
      } else if (size > 0) {
        a = (std::uint64_t{from[0]} << 16) | (std::uint64_t{from[size / 2]} << 8) | from[size - 1];
      }
    } else {
      std::size_t left = size;
      if (left > 64) {
        // Two chains that do not wait for each other.
        std::uint64_t other = seed_ ^ detail::hash_salt_1;
        do {
          state = multiply_fold(detail::read_word<std::uint64_t>(from) ^ seed_,
                                detail::read_word<std::uint64_t>(from + 8) ^ state);
          other = multiply_fold(detail::read_word<std::uint64_t>(from + 16) ^ key_,
                                detail::read_word<std::uint64_t>(from + 24) ^ other);
          from += 32;
          left -= 32;
        } while (left > 64);
        state ^= std::rotl(other, 29);
      }
      while (left > 16) {
        state = multiply_fold(detail::read_word<std::uint64_t>(from) ^ seed_,
                              detail::read_word<std::uint64_t>(from + 8) ^ state);
        from += 16;
        left -= 16;
      }
      a = detail::read_word<std::uint64_t>(from + left - 16);
      b = detail::read_word<std::uint64_t>(from + left - 8);
    }
    const std::uint64_t folded = multiply_fold(a ^ seed_ ^ detail::hash_salt_0, b ^ state);
    return multiply_fold(folded ^ key_, static_cast<std::uint64_t>(size) ^ seed_ ^ detail::hash_salt_2);
  }

 private:
  [[nodiscard]] constexpr std::uint64_t of_word(std::uint64_t value) const noexcept {
    const std::uint64_t folded = detail::multiply_fold(value ^ key_, detail::hash_salt_1);
    return detail::multiply_fold(folded ^ seed_, detail::hash_salt_2);
  }

  [[nodiscard]] constexpr std::uint64_t of_words(std::uint64_t a, std::uint64_t b) const noexcept {
    const std::uint64_t folded = detail::multiply_fold(a ^ key_, b ^ seed_ ^ detail::hash_salt_0);
    return detail::multiply_fold(folded ^ seed_, detail::hash_salt_1);
  }

  std::uint64_t seed_;
  std::uint64_t key_;
};

}  // namespace banyan
