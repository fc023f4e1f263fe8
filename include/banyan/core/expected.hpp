#pragma once

#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace banyan {

/// An error on its way into an `expected`.
template <class E>
class unexpected {
 public:
  template <class G = E>
  requires(!std::is_same_v<std::remove_cvref_t<G>, unexpected> &&
           std::is_constructible_v<
               E, G>) constexpr explicit unexpected(G&& error) noexcept(std::is_nothrow_constructible_v<E, G>)
      : error_(std::forward<G>(error)) {}

  [[nodiscard]] constexpr E& error() & noexcept { return error_; }
  [[nodiscard]] constexpr const E& error() const& noexcept { return error_; }
  [[nodiscard]] constexpr E&& error() && noexcept { return std::move(error_); }

  friend constexpr bool operator==(const unexpected& a, const unexpected& b) { return a.error_ == b.error_; }

 private:
  E error_;
};

template <class G>
unexpected(G) -> unexpected<G>;

/// What `expected::value` throws when there is an error instead; it does not carry the error.
class bad_expected_access : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "banyan::expected holds an error, not a value"; }
};

/// A value or the reason why there is none; the part of C++23's `std::expected` that this library uses. It is its own
/// type in every language mode, so that C++20 and C++23 parts of a program agree on it.
///
/// Trivially copyable and destructible where `T` and `E` are. Reading what is not there by `*`, `->` or `error` is
/// undefined; `value` throws `bad_expected_access`, or aborts where exceptions are off. Like a plain value for threads.
template <class T, class E>
class expected {
  static_assert(!std::is_reference_v<T> && !std::is_reference_v<E> && !std::is_void_v<E>);

  static constexpr bool trivial_copy =
      std::is_trivially_copy_constructible_v<T> && std::is_trivially_copy_constructible_v<E>;
  static constexpr bool trivial_move =
      std::is_trivially_move_constructible_v<T> && std::is_trivially_move_constructible_v<E>;
  static constexpr bool trivial_destroy = std::is_trivially_destructible_v<T> && std::is_trivially_destructible_v<E>;
  static constexpr bool nothrow_move =
      std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_constructible_v<E>;

 public:
  using value_type = T;
  using error_type = E;

  constexpr expected() noexcept(std::is_nothrow_default_constructible_v<T>) requires std::is_default_constructible_v<T>
      : value_(), has_value_{true} {}

  template <class U = T>
  requires(!std::is_same_v<std::remove_cvref_t<U>, expected> &&
           !std::is_same_v<std::remove_cvref_t<U>, unexpected<E>> &&
           std::is_constructible_v<T, U>) constexpr explicit(!std::is_convertible_v<U, T>)
      expected(U&& value) noexcept(std::is_nothrow_constructible_v<T, U>)
      : value_(std::forward<U>(value)), has_value_{true} {}

  template <class... Args>
  requires std::is_constructible_v<T, Args...>
  constexpr explicit expected(std::in_place_t, Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>)
      : value_(std::forward<Args>(args)...), has_value_{true} {}

  template <class G>
  requires std::is_constructible_v<E, const G&>
  constexpr explicit(!std::is_convertible_v<const G&, E>) expected(const unexpected<G>& error)
      : error_(error.error()), has_value_{false} {}

  template <class G>
  requires std::is_constructible_v<E, G>
  constexpr explicit(!std::is_convertible_v<G, E>) expected(unexpected<G>&& error)
      : error_(std::move(error).error()), has_value_{false} {}

  constexpr expected(const expected& other) requires trivial_copy = default;
  constexpr expected(const expected& other) requires(!trivial_copy && std::is_copy_constructible_v<T> &&
                                                     std::is_copy_constructible_v<E>)
      : has_value_{other.has_value_} {
    construct(other);
  }

  constexpr expected(expected&& other) requires trivial_move = default;
  constexpr expected(expected&& other) noexcept(nothrow_move) requires(!trivial_move &&
                                                                       std::is_move_constructible_v<T> &&
                                                                       std::is_move_constructible_v<E>)
      : has_value_{other.has_value_} {
    construct(std::move(other));
  }

  constexpr ~expected() requires trivial_destroy = default;
  constexpr ~expected() { destroy(); }

  /// Where moving may throw, an assignment that throws leaves the old content destroyed only if the new one cannot
  /// fail any more: it is prepared beside it first.
  constexpr expected& operator=(const expected& other) requires(
      std::is_copy_constructible_v<T>&& std::is_copy_constructible_v<E>&& nothrow_move) {
    if (this != &other) *this = expected(other);
    return *this;
  }

  constexpr expected& operator=(expected&& other) noexcept requires nothrow_move {
    if (this == &other) return *this;
    destroy();
    has_value_ = other.has_value_;
    construct(std::move(other));
    return *this;
  }

  [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value_; }

  [[nodiscard]] constexpr T& operator*() & noexcept { return value_; }
  [[nodiscard]] constexpr const T& operator*() const& noexcept { return value_; }
  [[nodiscard]] constexpr T&& operator*() && noexcept { return std::move(value_); }
  [[nodiscard]] constexpr T* operator->() noexcept { return std::addressof(value_); }
  [[nodiscard]] constexpr const T* operator->() const noexcept { return std::addressof(value_); }

  [[nodiscard]] constexpr E& error() & noexcept { return error_; }
  [[nodiscard]] constexpr const E& error() const& noexcept { return error_; }
  [[nodiscard]] constexpr E&& error() && noexcept { return std::move(error_); }

  constexpr T& value() & { return has_value_ ? value_ : (refuse(), value_); }
  constexpr const T& value() const& { return has_value_ ? value_ : (refuse(), value_); }
  constexpr T&& value() && { return std::move(has_value_ ? value_ : (refuse(), value_)); }

  template <class U>
  [[nodiscard]] constexpr T value_or(U&& other) const& {
    return has_value_ ? value_ : static_cast<T>(std::forward<U>(other));
  }
  template <class U>
  [[nodiscard]] constexpr T value_or(U&& other) && {
    return has_value_ ? std::move(value_) : static_cast<T>(std::forward<U>(other));
  }

  /// `f(value)`, itself an `expected` with the same error type, or the error.
  template <class F>
  constexpr auto and_then(F&& f) const& -> std::remove_cvref_t<std::invoke_result_t<F, const T&>> {
    if (has_value_) return std::invoke(std::forward<F>(f), value_);
    return unexpected<E>(error_);
  }
  template <class F>
  constexpr auto and_then(F&& f) && -> std::remove_cvref_t<std::invoke_result_t<F, T>> {
    if (has_value_) return std::invoke(std::forward<F>(f), std::move(value_));
    return unexpected<E>(std::move(error_));
  }

  /// An `expected` of `f(value)`, or the error.
  template <class F>
  constexpr auto transform(F&& f) const& -> expected<std::remove_cvref_t<std::invoke_result_t<F, const T&>>, E> {
    if (has_value_) return std::invoke(std::forward<F>(f), value_);
    return unexpected<E>(error_);
  }
  template <class F>
  constexpr auto transform(F&& f) && -> expected<std::remove_cvref_t<std::invoke_result_t<F, T>>, E> {
    if (has_value_) return std::invoke(std::forward<F>(f), std::move(value_));
    return unexpected<E>(std::move(error_));
  }

  /// The value, or `f(error)`, itself an `expected` with the same value type.
  template <class F>
  constexpr auto or_else(F&& f) const& -> std::remove_cvref_t<std::invoke_result_t<F, const E&>> {
    if (has_value_) return value_;
    return std::invoke(std::forward<F>(f), error_);
  }

  friend constexpr bool operator==(const expected& a, const expected& b) {
    if (a.has_value_ != b.has_value_) return false;
    return a.has_value_ ? a.value_ == b.value_ : a.error_ == b.error_;
  }
  template <class U>
  requires(!std::is_same_v<U, expected> && std::is_convertible_v<const U&, T>) friend constexpr bool operator==(
      const expected& a, const U& b) {
    return a.has_value_ && a.value_ == b;
  }
  template <class G>
  friend constexpr bool operator==(const expected& a, const unexpected<G>& b) {
    return !a.has_value_ && a.error_ == b.error();
  }

 private:
  template <class Other>
  constexpr void construct(Other&& other) {
    if (has_value_) {
      std::construct_at(std::addressof(value_), std::forward<Other>(other).value_);
    } else {
      std::construct_at(std::addressof(error_), std::forward<Other>(other).error_);
    }
  }

  constexpr void destroy() noexcept {
    if (has_value_) {
      std::destroy_at(std::addressof(value_));
    } else {
      std::destroy_at(std::addressof(error_));
    }
  }

  [[noreturn]] static void refuse() {
#if defined(__cpp_exceptions)
    throw bad_expected_access{};
#else
    std::abort();
#endif
  }

  union {
    T value_;
    E error_;
  };
  bool has_value_;
};

/// Success without a value, or the reason for the failure.
template <class E>
class expected<void, E> {
 public:
  using value_type = void;
  using error_type = E;

  constexpr expected() noexcept = default;

  template <class G>
  requires std::is_constructible_v<E, const G&>
  constexpr explicit(!std::is_convertible_v<const G&, E>) expected(const unexpected<G>& error)
      : inner_{unexpected<E>(error.error())} {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return inner_.has_value(); }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return inner_.has_value(); }
  constexpr void operator*() const noexcept {}
  constexpr void value() const { static_cast<void>(inner_.value()); }
  [[nodiscard]] constexpr E& error() & noexcept { return inner_.error(); }
  [[nodiscard]] constexpr const E& error() const& noexcept { return inner_.error(); }
  [[nodiscard]] constexpr E&& error() && noexcept { return std::move(inner_).error(); }

  friend constexpr bool operator==(const expected& a, const expected& b) { return a.inner_ == b.inner_; }

 private:
  struct nothing {
    friend constexpr bool operator==(nothing, nothing) noexcept { return true; }
  };
  expected<nothing, E> inner_{};
};

}  // namespace banyan
