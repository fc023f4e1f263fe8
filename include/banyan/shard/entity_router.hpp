#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Routes by the kind of thing: users here, orders there, each kind by a router of its own.
///
///     banyan::entity_router<std::string, banyan::any_router<std::uint64_t>> router{
///         {{"user", by_hash}, {"invoice", by_year}}};
///     router.route("user", 42);
///
/// Kinds whose routers have shards in common share these; numbers that must not meet are the caller's to choose apart.
/// A kind that is not there goes by the router for all others, or has no shard. `Kind` is ordered by `<`; text of all
/// kinds will do for text. Immutable: what changes it gives a new value. Thread safety: const use by many threads.
template <class Kind, router Router>
class entity_router {
 public:
  using kind_type = Kind;
  using entry = std::pair<Kind, Router>;

  /// Throws `std::invalid_argument` for a kind that is there twice, `std::bad_alloc`.
  explicit entity_router(std::vector<entry> kinds, std::optional<Router> others = std::nullopt)
      : kinds_{std::move(kinds)}, others_{std::move(others)} {
    std::sort(kinds_.begin(), kinds_.end(), [](const entry& a, const entry& b) { return a.first < b.first; });
    const auto twice = std::adjacent_find(kinds_.begin(), kinds_.end(),
                                          [](const entry& a, const entry& b) { return !(a.first < b.first); });
    if (twice != kinds_.end()) refuse(twice->first, "must not be there twice");
    std::vector<shard_id> all;
    const auto collect = [&](const Router& from) {
      for (const shard_id id : from.shards()) all.push_back(id);
    };
    for (const entry& e : kinds_) collect(e.second);
    if (others_) collect(*others_);
    shards_ = detail::distinct_shards(std::move(all));
  }

  /// The shard of the thing of this kind with that key. O(log kinds) and the router's cost; throws what comparing kinds
  /// and the router throw.
  template <class K, class Key>
  [[nodiscard]] shard_id route(const K& kind, const Key& key) const requires router_for<Router, Key> {
    const Router* const by = find(kind);
    return by == nullptr ? no_shard : by->route(key);
  }

  /// The same, with kind and key as one.
  template <class K, class Key>
  [[nodiscard]] shard_id route(const std::pair<K, Key>& entity) const requires router_for<Router, Key> {
    return route(entity.first, entity.second);
  }

  /// The router of a kind, which may be the one for all others; null when there is none.
  template <class K>
  [[nodiscard]] const Router* find(const K& kind) const {
    const auto at = position(kind);
    if (at != kinds_.end() && !(kind < at->first)) return &at->second;
    return others_ ? &*others_ : nullptr;
  }

  /// With this kind by that router, whether or not it was there.
  [[nodiscard]] entity_router assign(Kind kind, Router by) const {
    std::vector<entry> kinds = kinds_;
    const auto index = position(kind) - kinds_.begin();
    const auto at = kinds.begin() + index;
    if (at != kinds.end() && !(kind < at->first)) {
      at->second = std::move(by);
    } else {
      kinds.insert(at, {std::move(kind), std::move(by)});
    }
    return changed(std::move(kinds));
  }

  /// Without this kind. Throws `std::invalid_argument` when it is not there.
  [[nodiscard]] entity_router release(const Kind& kind) const {
    std::vector<entry> kinds = kinds_;
    const auto at = kinds.begin() + (position(kind) - kinds_.begin());
    if (at == kinds.end() || kind < at->first) refuse(kind, "must be there");
    kinds.erase(at);
    return changed(std::move(kinds));
  }

  /// The same routes under another version.
  [[nodiscard]] entity_router with_version(std::uint64_t version) const {
    entity_router copy = *this;
    copy.version_ = version;
    return copy;
  }

  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  /// Ascending by kind.
  [[nodiscard]] const std::vector<entry>& kinds() const noexcept { return kinds_; }

 private:
  template <class K>
  [[nodiscard]] auto position(const K& kind) const {
    return std::lower_bound(kinds_.begin(), kinds_.end(), kind,
                            [](const entry& e, const K& wanted) { return e.first < wanted; });
  }

  [[noreturn]] static void refuse(const Kind& kind, std::string_view rule) {
    if constexpr (std::is_convertible_v<const Kind&, std::string_view> || std::is_arithmetic_v<Kind>) {
      invalid_option("entity_router.kind", kind, rule);
    } else {
      invalid_option("entity_router.kind", "(given)", rule);
    }
  }

  [[nodiscard]] entity_router changed(std::vector<entry> kinds) const {
    entity_router fresh{std::move(kinds), others_};
    fresh.version_ = version_ + 1;
    return fresh;
  }

  std::vector<entry> kinds_;
  std::optional<Router> others_;
  std::vector<shard_id> shards_;
  std::uint64_t version_ = 1;
};

}  // namespace banyan
