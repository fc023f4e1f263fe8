#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/reshard_record.hpp>
#include <banyan/shard/reshard_store.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// All shards as one store, by a router: what keys move from is `reshard_shards` with the old router, and what they
/// move to is another with the new one, over the same shards.
///
///     banyan::reshard_shards before{old_router, {{0, &a}, {1, &b}, {2, &c}}, no_such_shard};
///     banyan::reshard_shards after{new_router, {{0, &a}, {1, &b}, {2, &c}, {3, &d}}, no_such_shard};
///     const auto moves = [&](const std::string& key) { return old_router.route(key) != new_router.route(key); };
///
/// A scan goes from shard to shard and leaves out what a shard holds without being responsible for it: the copies that
/// a move brings there too early, or leaves there.
///
/// The stores must outlive it. Thread-safe as they are. Each call is one call of one store; `put_if` and `read` of a
/// key without a shard give the error handed over at the beginning.
template <class Router, reshard_store Store>
requires router_for<Router, typename Store::key_type>
class reshard_shards {
 public:
  using key_type = typename Store::key_type;
  using value_type = typename Store::value_type;
  using error_type = typename Store::error_type;

  /// Throws `std::invalid_argument` when a shard of the router has no store. Others may be there.
  reshard_shards(Router router, std::map<shard_id, Store*> stores, error_type no_shard_error)
      : router_{std::move(router)}, stores_{std::move(stores)}, no_shard_error_{std::move(no_shard_error)} {
    for (const shard_id id : router_.shards()) {
      const auto found = stores_.find(id);
      if (found == stores_.end() || found->second == nullptr)
        invalid_option("reshard_shards.stores", id, "is a shard of the router without a store");
    }
  }

  [[nodiscard]] const Router& router() const noexcept { return router_; }

  expected<reshard_record<value_type>, error_type> read(const key_type& key) const {
    Store* const store = responsible(key);
    if (store == nullptr) return unexpected<error_type>{no_shard_error_};
    return store->read(key);
  }

  expected<bool, error_type> put_if(const key_type& key, std::uint64_t version,
                                    const reshard_record<value_type>& record) const {
    Store* const store = responsible(key);
    if (store == nullptr) return unexpected<error_type>{no_shard_error_};
    return store->put_if(key, version, record);
  }

  /// The cursor is the shard's number, a colon, and the shard's own cursor.
  expected<reshard_page<key_type, value_type>, error_type> scan(const std::string& cursor, std::size_t limit) const {
    const auto shards = router_.shards();
    auto at = shards.begin();
    std::string inner;
    if (!cursor.empty()) {
      shard_id id = no_shard;
      const char* const end = cursor.data() + cursor.size();
      const auto [colon, error] = std::from_chars(cursor.data(), end, id);
      at = std::lower_bound(shards.begin(), shards.end(), id);
      if (error != std::errc{} || colon == end || *colon != ':' || at == shards.end() || *at != id)
        return unexpected<error_type>{no_shard_error_};
      inner.assign(colon + 1, end);
    }
    const shard_id id = *at;
    auto page = stores_.find(id)->second->scan(inner, limit);
    if (!page) return page;
    std::erase_if(page->records, [&](const auto& each) { return router_.route(each.first) != id; });
    if (!page->next.empty()) {
      page->next = std::to_string(id) + ':' + page->next;
    } else if (++at != shards.end()) {
      page->next = std::to_string(*at) + ':';
    }
    return page;
  }

 private:
  [[nodiscard]] Store* responsible(const key_type& key) const {
    const auto found = stores_.find(router_.route(key));
    return found == stores_.end() ? nullptr : found->second;
  }

  Router router_;
  std::map<shard_id, Store*> stores_;
  error_type no_shard_error_;
};

}  // namespace banyan
