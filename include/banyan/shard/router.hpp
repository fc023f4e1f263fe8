#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// What all routers have, whatever their keys. A router is an immutable value: what would change it gives a new one,
/// with a higher version. So any number of threads may read one; `shard_map` lets them read while it is replaced.
///
/// - `shards()`: all shards that `route` can answer with, distinct and in ascending order; the span lives as long as
///   the router is neither destroyed nor assigned to.
/// - `version()`: 1 for a router that was made from scratch, one more for each change. Who makes routers from a
///   configuration gives them the configuration's version by `with_version`.
template <class R>
concept router = std::copyable<R> && requires(const R& r) {
  { r.shards() }
  noexcept->std::convertible_to<std::span<const shard_id>>;
  { r.version() }
  noexcept->std::same_as<std::uint64_t>;
};

/// A router that knows the shard of every `Key`: `route(key)`, which is `no_shard` where nobody is responsible. It must
/// be pure: the same router gives the same answer to the same key, always and everywhere.
template <class R, class Key>
concept router_for = router<R> && requires(const R& r, const Key& key) {
  { r.route(key) } -> std::same_as<shard_id>;
};

}  // namespace banyan
