#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace banyan {

/// Bytes two objects must be apart so that writes to one do not slow down another core's use of the other.
///
/// The standard's `hardware_destructive_interference_size` changes with compiler flags (GCC warns about its use in
/// headers), which would make layouts differ between translation units. This one depends on the architecture only.
#if defined(__s390x__)
inline constexpr std::size_t cache_line_size = 256;
#elif defined(__powerpc64__) || (defined(__APPLE__) && defined(__aarch64__))
inline constexpr std::size_t cache_line_size = 128;
#else
inline constexpr std::size_t cache_line_size = 64;
#endif

/// A value on cache lines of its own. Access with `*` and `->`; the value is what it is, thread safety included.
template <class T>
class alignas(alignof(T) > cache_line_size ? alignof(T) : cache_line_size) padded {
 public:
  constexpr padded() = default;

  template <class... Args>
  requires std::is_constructible_v<T, Args...>
  constexpr explicit padded(std::in_place_t, Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>)
      : value_(std::forward<Args>(args)...) {}

  template <class U>
  requires(!std::is_same_v<std::remove_cvref_t<U>, padded> &&
           !std::is_same_v<std::remove_cvref_t<U>, std::in_place_t> &&
           std::is_constructible_v<T, U>) constexpr explicit(!std::is_convertible_v<U, T>)
      padded(U&& value) noexcept(std::is_nothrow_constructible_v<T, U>)
      : value_(std::forward<U>(value)) {}

  [[nodiscard]] constexpr T& operator*() & noexcept { return value_; }
  [[nodiscard]] constexpr const T& operator*() const& noexcept { return value_; }
  [[nodiscard]] constexpr T* operator->() noexcept { return &value_; }
  [[nodiscard]] constexpr const T* operator->() const noexcept { return &value_; }

 private:
  T value_{};
};

static_assert(sizeof(padded<char>) == cache_line_size && alignof(padded<char>) == cache_line_size);

}  // namespace banyan
