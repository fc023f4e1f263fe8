#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// First the tenant, then the key inside the tenant: `Tenants` gives the group of a tenant, and the group's own router
/// the shard of the key.
///
///     banyan::composite_router<by_tenant, by_order> router{tenants, {{100, orders_over_three_shards}}};
///     router.route("acme", 4711);        // acme is in group 100: one of the three
///     router.route("globex", 4711);      // globex is in group 2, which has no router of its own: shard 2
///     router.shards_of("acme");          // the three: what a query over all of a tenant must ask
///
/// So small tenants stay whole on one shard, where their queries need no other, and a big one gets several. A group
/// without a router of its own is a shard, under the same number.
///
/// Immutable: what changes it gives a new value. Thread safety: const use by many threads.
template <router Tenants, router Inside>
class composite_router {
 public:
  using entry = std::pair<shard_id, Inside>;

  /// Throws `std::invalid_argument` for a router to a group that `tenants` does not know, and for a group that is there
  /// twice; `std::bad_alloc`.
  explicit composite_router(Tenants tenants, std::vector<entry> groups = {})
      : tenants_{std::move(tenants)}, groups_{std::move(groups)} {
    std::sort(groups_.begin(), groups_.end(), [](const entry& a, const entry& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (i > 0 && groups_[i].first == groups_[i - 1].first)
        invalid_option("composite_router.group", groups_[i].first, "must not be there twice");
      if (!detail::contains_shard(tenants_.shards(), groups_[i].first))
        invalid_option("composite_router.group", groups_[i].first, "must be one that tenants are routed to");
    }
    std::vector<shard_id> all;
    for (const shard_id& group : tenants_.shards()) {
      for (const shard_id id : shards_in(group)) all.push_back(id);
    }
    shards_ = detail::distinct_shards(std::move(all));
  }

  /// The shard of a tenant's key. Costs both routers and O(log groups); throws what they throw.
  template <class Tenant, class Key>
  [[nodiscard]] shard_id route(const Tenant& tenant,
                               const Key& key) const requires router_for<Tenants, Tenant> && router_for<Inside, Key> {
    const shard_id group = tenants_.route(tenant);
    const Inside* const inside = find(group);
    return inside == nullptr ? group : inside->route(key);
  }

  /// The same, with tenant and key as one.
  template <class Tenant, class Key>
  [[nodiscard]] shard_id route(const std::pair<Tenant, Key>& key) const requires router_for<Tenants, Tenant> &&
      router_for<Inside, Key> {
    return route(key.first, key.second);
  }

  /// All shards that have keys of a tenant; none where nobody is responsible. O(log groups + shards).
  template <class Tenant>
  [[nodiscard]] std::vector<shard_id> shards_of(const Tenant& tenant) const requires router_for<Tenants, Tenant> {
    const shard_id group = tenants_.route(tenant);
    if (group == no_shard) return {};
    const auto all = shards_in(group);
    return {all.begin(), all.end()};
  }

  /// The same groups for tenants by another router. Throws as the constructor does.
  [[nodiscard]] composite_router with_tenants(Tenants tenants) const {
    return changed(composite_router{std::move(tenants), groups_});
  }

  /// With this group by that router, whether or not it had one. Throws as the constructor does.
  [[nodiscard]] composite_router assign(shard_id group, Inside inside) const {
    std::vector<entry> groups = groups_;
    std::erase_if(groups, [&](const entry& e) { return e.first == group; });
    groups.push_back({group, std::move(inside)});
    return changed(composite_router{tenants_, std::move(groups)});
  }

  /// With this group as a shard again. Throws `std::invalid_argument` when it has no router.
  [[nodiscard]] composite_router release(shard_id group) const {
    std::vector<entry> groups = groups_;
    if (std::erase_if(groups, [&](const entry& e) { return e.first == group; }) == 0)
      invalid_option("composite_router.group", group, "must have a router of its own");
    return changed(composite_router{tenants_, std::move(groups)});
  }

  /// The same routes under another version.
  [[nodiscard]] composite_router with_version(std::uint64_t version) const {
    composite_router copy = *this;
    copy.version_ = version;
    return copy;
  }

  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] const Tenants& tenants() const noexcept { return tenants_; }
  /// Groups with a router of their own, ascending.
  [[nodiscard]] const std::vector<entry>& groups() const noexcept { return groups_; }

 private:
  [[nodiscard]] const Inside* find(shard_id group) const noexcept {
    const auto at = std::lower_bound(groups_.begin(), groups_.end(), group,
                                     [](const entry& e, shard_id wanted) { return e.first < wanted; });
    return at != groups_.end() && at->first == group ? &at->second : nullptr;
  }

  /// The span lives as long as `group`.
  [[nodiscard]] std::span<const shard_id> shards_in(const shard_id& group) const noexcept {
    const Inside* const inside = find(group);
    return inside == nullptr ? std::span<const shard_id>{&group, 1} : std::span<const shard_id>{inside->shards()};
  }

  [[nodiscard]] composite_router changed(composite_router fresh) const {
    fresh.version_ = version_ + 1;
    return fresh;
  }

  Tenants tenants_;
  std::vector<entry> groups_;
  std::vector<shard_id> shards_;
  std::uint64_t version_ = 1;
};

}  // namespace banyan
