#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <banyan/core/hash.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/empty_router.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Some keys have a shard of their choice, all others go by another router.
///
///     banyan::directory_router<std::string, banyan::hash_router<std::string>> tenants{by_hash, {{"globex", 2}}};
///     auto calmer = tenants.isolate("acme", 9);         // a hot key on a shard of its own
///
/// An entry names a shard that exists: one of the fallback's, or one that is dedicated to entries. The others are
/// refused, so that no key is sent where nothing is.
///
/// Immutable: what changes it gives a new value, and copies the entries, which are otherwise shared between copies:
/// O(n). A directory of millions of keys that changes all the time belongs into a database, and its hot part into a
/// cache. `Hash` is for the table in memory alone, and seeded. Thread safety: const use by many threads.
template <class Key, router Fallback = empty_router, class Hash = seeded_hash, class Equal = std::equal_to<>>
class directory_router {
 public:
  using key_type = Key;
  using entry = std::pair<Key, shard_id>;

  /// No entries.
  directory_router() : directory_router{Fallback{}} {}

  /// Throws `std::invalid_argument` for a key that is there twice, an entry to a shard that is neither the fallback's
  /// nor dedicated, and a dedicated one that is `no_shard` or the fallback's; what the hash and comparing throw;
  /// `std::bad_alloc`.
  explicit directory_router(Fallback fallback, std::vector<entry> entries = {},
                            const std::vector<shard_id>& dedicated = {})
      : fallback_{std::move(fallback)}, dedicated_{detail::distinct_shards(dedicated)} {
    for (const shard_id id : dedicated) detail::check_shard("directory_router.dedicated", id);
    auto table = std::make_shared<table_type>();
    table->reserve(entries.size());
    for (entry& e : entries) {
      const auto [at, added] = table->emplace(std::move(e));
      if (!added) refuse(at->first, "must not be there twice");
    }
    entries_ = std::move(table);
    settle();
  }

  /// The shard of the key's entry, or else the fallback's answer. O(1) expected; progress and exceptions of the hash
  /// and of the fallback.
  template <class K = Key>
  [[nodiscard]] shard_id route(const K& key) const requires router_for<Fallback, K> {
    const auto at = entries_->find(key);
    return at != entries_->end() ? at->second : fallback_.route(key);
  }

  /// With this key on that shard, whether or not it had an entry. Throws `std::invalid_argument` when there is no such
  /// shard.
  [[nodiscard]] directory_router assign(Key key, shard_id shard) const {
    return changed([&](table_type& table) { table.insert_or_assign(std::move(key), shard); });
  }

  /// With this key on a shard that the fallback uses for nothing else, which may be new. Throws `std::invalid_argument`
  /// for a shard of the fallback and `no_shard`.
  [[nodiscard]] directory_router isolate(Key key, shard_id shard) const {
    return dedicate(shard).assign(std::move(key), shard).with_version(version_ + 1);
  }

  /// Without this key's entry. Throws `std::invalid_argument` when it has none.
  [[nodiscard]] directory_router release(const Key& key) const {
    return changed([&](table_type& table) {
      if (table.erase(key) == 0) refuse(key, "must have an entry");
    });
  }

  /// With one more shard to which entries may go. Throws `std::invalid_argument` for a shard of the fallback and
  /// `no_shard`.
  [[nodiscard]] directory_router dedicate(shard_id shard) const {
    detail::check_shard("directory_router.dedicated", shard);
    directory_router fresh = *this;
    fresh.dedicated_.push_back(shard);
    fresh.dedicated_ = detail::distinct_shards(std::move(fresh.dedicated_));
    fresh.settle();
    ++fresh.version_;
    return fresh;
  }

  /// The same entries above another router. Throws `std::invalid_argument` when an entry's shard is not there any more,
  /// or a dedicated one is used by it.
  [[nodiscard]] directory_router with_fallback(Fallback fallback) const {
    directory_router fresh = *this;
    fresh.fallback_ = std::move(fallback);
    fresh.settle();
    ++fresh.version_;
    return fresh;
  }

  /// The same routes under another version.
  [[nodiscard]] directory_router with_version(std::uint64_t version) const {
    directory_router copy = *this;
    copy.version_ = version;
    return copy;
  }

  /// The fallback's and the entries' shards.
  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] const Fallback& fallback() const noexcept { return fallback_; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_->size(); }
  /// Shards that only entries go to, in use or not.
  [[nodiscard]] std::span<const shard_id> dedicated() const noexcept { return dedicated_; }

  /// All entries, in no order. O(n).
  [[nodiscard]] std::vector<entry> entries() const { return {entries_->begin(), entries_->end()}; }

 private:
  using table_type = std::unordered_map<Key, shard_id, Hash, Equal>;

  [[noreturn]] static void refuse(const Key& key, std::string_view rule) {
    if constexpr (std::is_convertible_v<const Key&, std::string_view> || std::is_arithmetic_v<Key>) {
      invalid_option("directory_router.key", key, rule);
    } else {
      invalid_option("directory_router.key", "(given)", rule);
    }
  }

  /// Checks what belongs together, and collects the shards.
  void settle() {
    const std::span<const shard_id> theirs = fallback_.shards();
    for (const shard_id id : dedicated_) {
      if (detail::contains_shard(theirs, id))
        invalid_option("directory_router.dedicated", id, "must not be a shard of the fallback");
    }
    std::vector<shard_id> all(theirs.begin(), theirs.end());
    for (const auto& [key, shard] : *entries_) {
      if (!detail::contains_shard(theirs, shard) && !detail::contains_shard(dedicated_, shard))
        invalid_option("directory_router.shard", shard, "must be a shard of the fallback or a dedicated one");
      all.push_back(shard);
    }
    shards_ = detail::distinct_shards(std::move(all));
  }

  template <class F>
  [[nodiscard]] directory_router changed(F change) const {
    auto table = std::make_shared<table_type>(*entries_);
    change(*table);
    directory_router fresh = *this;
    fresh.entries_ = std::move(table);
    fresh.settle();
    ++fresh.version_;
    return fresh;
  }

  Fallback fallback_;
  std::shared_ptr<const table_type> entries_;
  std::vector<shard_id> dedicated_;
  std::vector<shard_id> shards_;
  std::uint64_t version_ = 1;
};

}  // namespace banyan
