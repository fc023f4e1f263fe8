#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <banyan/core/detail/caught.hpp>
#include <banyan/pool/detail/pool_connections.hpp>

namespace banyan::detail {

/// What a factory may return instead of a connection: something that may hold one, as std::optional and expected do.
/// The error of an expected is told when it is a std::exception_ptr.
template <class R, class T>
concept maybe_connection = !std::same_as<R, T> && requires(R result) {
  static_cast<bool>(result);
  { *std::move(result) } -> std::convertible_to<T>;
};

template <class F, class T>
concept connection_factory = std::invocable<F&> &&
    (std::same_as<std::invoke_result_t<F&>, T> || maybe_connection<std::invoke_result_t<F&>, T>);

template <class R>
concept tells_cause = requires(R& result) {
  { result.error() } -> std::convertible_to<std::exception_ptr>;
};

/// A connection_maker of a callable.
template <class T, class F>
class connection_maker_of final : public connection_maker<T> {
 public:
  explicit connection_maker_of(F factory) : factory_(std::move(factory)) {}

  bool make(void* where, std::exception_ptr& cause) noexcept override {
    bool made = false;
    std::exception_ptr told;
    cause = caught([&] {
      using result = std::invoke_result_t<F&>;
      if constexpr (std::same_as<result, T>) {
        ::new (where) T(factory_());
        made = true;
      } else {
        result r = factory_();
        if (static_cast<bool>(r)) {
          ::new (where) T(*std::move(r));
          made = true;
        } else if constexpr (tells_cause<result>) {
          told = r.error();
        }
      }
    });
    if (cause == nullptr) cause = std::move(told);
    return made;
  }

 private:
  F factory_;
};

}  // namespace banyan::detail
