#pragma once

#include <concepts>
#include <type_traits>

#include <banyan/cluster/health.hpp>

namespace banyan {

/// Asks an endpoint how it is: `probe(value)` returns a `health`, or whether it is healthy. A `health_checker` calls it
/// on several threads at once, for different endpoints. What it throws counts as unhealthy.
template <class P, class T>
concept health_probe = std::move_constructible<P> && requires(P& probe, T& value) {
  requires std::same_as<std::remove_cvref_t<decltype(probe(value))>, health> ||
      std::convertible_to<decltype(probe(value)), bool>;
};

}  // namespace banyan
