#pragma once

#include <concepts>
#include <optional>

#include <banyan/replica/replica_report.hpp>

namespace banyan {

/// Asks a member how far it is: `probe(value)` returns a `replica_report`, or an optional one. A `lag_monitor` calls it
/// on several threads at once, for different members. What it throws, and nothing, are no report.
template <class P, class T>
concept lag_probe = std::move_constructible<P> && requires(P& probe, T& value) {
  { probe(value) } -> std::convertible_to<std::optional<replica_report>>;
};

}  // namespace banyan
