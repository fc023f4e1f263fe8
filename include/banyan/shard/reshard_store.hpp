#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <banyan/core/expected.hpp>
#include <banyan/shard/reshard_record.hpp>

namespace banyan {

/// Part of a scan: some records, and where to go on; an empty `next` means that nothing is left. A page may be empty
/// and yet not be the last.
template <class Key, class Value>
struct reshard_page {
  std::vector<std::pair<Key, reshard_record<Value>>> records{};
  std::string next{};
};

/// What `live_reshard` and `reshard_access` ask of a place that holds keys. Nothing here spans two keys or two stores.
///
/// - `read(key)`: the current record, of the leading copy and not of a replica that lags; `{}` when there is none.
/// - `put_if(key, version, record)`: in one atomic step for this key, stores the record if the version there is exactly
///   `version` (0: there is no record), and says whether it did. The one primitive all rests on.
/// - `scan(cursor, limit)`: about `limit` records from a cursor on; the empty cursor is the beginning. Every key that
///   is there all through the scan must come at least once, with a record that it had after the page was asked for;
///   keys that come or change meanwhile may come or not. The cursor is text of the store's own, good for any process.
///
/// Deleted keys must be there as records without a value, in `read` and in `scan`, from before a reshard begins until
/// it has settled; records already there when the first one begins need a version of at least 1. A call that failed may
/// have had its effect, or have it later.
///
/// How stores do it: SQL, `UPDATE ... WHERE k = ? AND version = ?`, or `INSERT ... ON CONFLICT DO NOTHING` for 0, and
/// pages by `WHERE k > ? ORDER BY k LIMIT ?`; Redis, a short script, and SCAN's cursor; memcached and the like, `gets`
/// and `cas`, or `add` for 0, with the version inside the value.
///
/// `reshard_access` calls from many threads at once. What a store throws is let through.
template <class S>
concept reshard_store = requires(S& store, const typename S::key_type& key,
                                 const reshard_record<typename S::value_type>& record, std::uint64_t version,
                                 const std::string& cursor, std::size_t limit) {
  typename S::error_type;
  { store.read(key) } -> std::same_as<expected<reshard_record<typename S::value_type>, typename S::error_type>>;
  { store.put_if(key, version, record) } -> std::same_as<expected<bool, typename S::error_type>>;
  {
    store.scan(cursor, limit)
    } -> std::same_as<expected<reshard_page<typename S::key_type, typename S::value_type>, typename S::error_type>>;
};

/// Two stores that keys can move between.
template <class Source, class Target>
concept reshard_stores = reshard_store<Source> && reshard_store<Target> &&
    std::same_as<typename Source::key_type, typename Target::key_type> &&
    std::same_as<typename Source::value_type, typename Target::value_type> &&
    std::same_as<typename Source::error_type, typename Target::error_type>;

}  // namespace banyan
