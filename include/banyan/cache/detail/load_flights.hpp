#pragma once

#include <concepts>

#include <banyan/core/single_flight.hpp>

namespace banyan::detail {

/// In place of single_flight where values cannot be copied, hence not be shared between those that wait.
struct no_flights {
  [[nodiscard]] static constexpr bool idle() noexcept { return true; }
  template <class Key>
  static constexpr void forget(const Key&) noexcept {}
  static constexpr void forget_all() noexcept {}
};

template <class Key, class Value, class Hash, class Equal>
struct flights_of {
  using type = no_flights;
};
template <class Key, std::copy_constructible Value, class Hash, class Equal>
struct flights_of<Key, Value, Hash, Equal> {
  using type = single_flight<Key, Value, Hash, Equal>;
};

}  // namespace banyan::detail
