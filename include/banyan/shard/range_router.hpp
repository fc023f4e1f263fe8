#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/key_range.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Ranges of keys, each with its shard: n boundaries cut the keys into n + 1 ranges. A boundary belongs to the range
/// above it.
///
///     banyan::range_router<std::uint64_t> by_id{{1'000'000, 2'000'000}};   // three shards: 0, 1, 2
///     by_id.route(1'500'000);                                              // 1
///     by_id.route_range(900'000, 1'100'000);                               // 0 and 1
///     auto more = by_id.split(1'500'000, 3);                               // 1'500'000 to 1'999'999 go to shard 3
///
/// Neighbours in key order are on one shard or the next, so range queries touch few shards. The price: keys that only
/// grow (times, counters) all go to the last shard. A shard may have several ranges.
///
/// `Compare` orders the keys; the default compares text of all kinds without making strings. Immutable: what changes it
/// gives a new value. Thread safety: const use by many threads.
template <class Key, class Compare = std::less<>>
class range_router {
 public:
  using key_type = Key;
  using range = key_range<Key>;

  /// One shard for all keys, number 0.
  range_router() : range_router{std::vector<Key>{}} {}

  /// Shards 0 to n in the order of the keys. Throws `std::invalid_argument` unless each boundary comes after the one
  /// before, `std::bad_alloc`. O(n).
  explicit range_router(std::vector<Key> boundaries, Compare compare = {})
      : range_router{checked{}, numbered(boundaries.size()), std::move(boundaries), std::move(compare)} {}

  /// With the shard of each range: one more than there are boundaries. A shard may come several times. Throws
  /// `std::invalid_argument` for bad boundaries, another number of shards, and `no_shard`.
  range_router(std::vector<Key> boundaries, std::vector<shard_id> owners, Compare compare = {})
      : range_router{checked{}, std::move(owners), std::move(boundaries), std::move(compare)} {}

  /// The shard of a key; of NaN, which has no place in any order, `no_shard`. Wait-free, O(log n) comparisons; throws
  /// what they throw.
  template <class K = Key>
  requires std::predicate<const Compare&, const K&, const Key&>
  [[nodiscard]] shard_id route(const K& key) const noexcept(noexcept(std::declval<const Compare&>()(key, key))) {
    if constexpr (std::floating_point<K>) {
      if (std::isnan(key)) return no_shard;
    }
    return owners_[index_of(key)];
  }

  /// The shards of all keys from `first` up to, but not including, `last`, each once, in the order of their first keys;
  /// none when `last` is not above `first`. O(log n + ranges touched).
  template <class A = Key, class B = Key>
  [[nodiscard]] std::vector<shard_id> route_range(const A& first, const B& last) const {
    if (!compare_(first, last)) return {};
    const std::size_t begin = index_of(first);
    // A boundary equal to `last` is not in any more.
    const auto end =
        std::lower_bound(boundaries_.begin() + static_cast<std::ptrdiff_t>(begin), boundaries_.end(), last, compare_);
    return owners_of(begin, static_cast<std::size_t>(end - boundaries_.begin()));
  }

  /// As `route_range`, with `last` included: what SQL calls BETWEEN. None when `last` is below `first`.
  template <class A = Key, class B = Key>
  [[nodiscard]] std::vector<shard_id> route_between(const A& first, const B& last) const {
    if (compare_(last, first)) return {};
    return owners_of(index_of(first), index_of(last));
  }

  /// The shards of all keys from `first` on.
  template <class K = Key>
  [[nodiscard]] std::vector<shard_id> route_from(const K& first) const {
    return owners_of(index_of(first), boundaries_.size());
  }

  /// The shards of all keys below `last`.
  template <class K = Key>
  [[nodiscard]] std::vector<shard_id> route_until(const K& last) const {
    const auto end = std::lower_bound(boundaries_.begin(), boundaries_.end(), last, compare_);
    return owners_of(0, static_cast<std::size_t>(end - boundaries_.begin()));
  }

  /// Cuts the range that `boundary` falls into: from there up to the next boundary the keys go to `upper`, below it all
  /// stays. `upper` may be a shard that is there already. Throws `std::invalid_argument` for a boundary that is there
  /// and for `no_shard`. O(n).
  [[nodiscard]] range_router split(Key boundary, shard_id upper) const {
    const std::size_t at = index_of(boundary);
    std::vector<Key> boundaries = boundaries_;
    std::vector<shard_id> owners = owners_;
    boundaries.insert(boundaries.begin() + static_cast<std::ptrdiff_t>(at), std::move(boundary));
    owners.insert(owners.begin() + static_cast<std::ptrdiff_t>(at) + 1, upper);
    return changed(std::move(boundaries), std::move(owners));
  }

  /// Takes a boundary out: the range above it goes to the shard of the range below. Throws `std::invalid_argument` when
  /// there is no such boundary. O(n).
  [[nodiscard]] range_router merge(const Key& boundary) const {
    const auto at = std::lower_bound(boundaries_.begin(), boundaries_.end(), boundary, compare_);
    if (at == boundaries_.end() || compare_(boundary, *at)) refuse(boundary, "must be one of the boundaries");
    const auto index = at - boundaries_.begin();
    std::vector<Key> boundaries = boundaries_;
    std::vector<shard_id> owners = owners_;
    boundaries.erase(boundaries.begin() + index);
    owners.erase(owners.begin() + index + 1);
    return changed(std::move(boundaries), std::move(owners));
  }

  /// Gives the range of `key` to another shard, which may be new. Throws `std::invalid_argument` for `no_shard`. O(n).
  [[nodiscard]] range_router reassign(const Key& key, shard_id owner) const {
    std::vector<shard_id> owners = owners_;
    owners[index_of(key)] = owner;
    return changed(boundaries_, std::move(owners));
  }

  /// The same routes under another version.
  [[nodiscard]] range_router with_version(std::uint64_t version) const {
    range_router copy = *this;
    copy.version_ = version;
    return copy;
  }

  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  [[nodiscard]] const std::vector<Key>& boundaries() const noexcept { return boundaries_; }
  /// The shard of each range, in the order of the keys.
  [[nodiscard]] const std::vector<shard_id>& owners() const noexcept { return owners_; }
  [[nodiscard]] const Compare& compare() const noexcept { return compare_; }

  /// All ranges in the order of the keys. O(n).
  [[nodiscard]] std::vector<range> ranges() const {
    std::vector<range> all;
    all.reserve(owners_.size());
    for (std::size_t i = 0; i < owners_.size(); ++i) {
      all.push_back({i == 0 ? std::nullopt : std::optional<Key>{boundaries_[i - 1]},
                     i == boundaries_.size() ? std::nullopt : std::optional<Key>{boundaries_[i]}, owners_[i]});
    }
    return all;
  }

 private:
  struct checked {};  // sets the constructor below apart from the one above, where keys are shard_ids

  range_router(checked, std::vector<shard_id> owners, std::vector<Key> boundaries, Compare compare)
      : boundaries_{std::move(boundaries)}, owners_{std::move(owners)}, compare_{std::move(compare)} {
    for (std::size_t i = 0; i < boundaries_.size(); ++i) {
      if constexpr (std::floating_point<Key>) {
        if (std::isnan(boundaries_[i])) refuse(boundaries_[i], "must be a number");
      }
      if (i > 0 && !compare_(boundaries_[i - 1], boundaries_[i])) {
        refuse(boundaries_[i], "must come after the boundary before it");
      }
    }
    if (owners_.size() != boundaries_.size() + 1) {
      invalid_option("range_router.owners", owners_.size(), "must be one more than the boundaries");
    }
    for (const shard_id id : owners_) detail::check_shard("range_router.owners", id);
    shards_ = detail::distinct_shards(owners_);
  }

  [[nodiscard]] static std::vector<shard_id> numbered(std::size_t boundaries) {
    if (boundaries >= no_shard) invalid_option("range_router.boundaries", boundaries, "must be fewer than 2^32 - 1");
    std::vector<shard_id> ids(boundaries + 1);
    std::iota(ids.begin(), ids.end(), shard_id{0});
    return ids;
  }

  [[noreturn]] static void refuse(const Key& boundary, std::string_view rule) {
    if constexpr (std::is_convertible_v<const Key&, std::string_view> || std::is_arithmetic_v<Key>) {
      invalid_option("range_router.boundaries", boundary, rule);
    } else {
      invalid_option("range_router.boundaries", "(given)", rule);
    }
  }

  [[nodiscard]] range_router changed(std::vector<Key> boundaries, std::vector<shard_id> owners) const {
    range_router fresh{std::move(boundaries), std::move(owners), compare_};
    fresh.version_ = version_ + 1;
    return fresh;
  }

  /// The number of boundaries at or below the key, which is the number of its range.
  template <class K>
  [[nodiscard]] std::size_t index_of(const K& key) const noexcept(noexcept(std::declval<const Compare&>()(key, key))) {
    const Key* at = boundaries_.data();
    std::size_t left = boundaries_.size();
    if constexpr (std::is_arithmetic_v<Key>) {
      // Which part a key falls into is as good as random, and a wrong guess costs more than a comparison too many:
      // counting has no branch to guess.
      const auto reached = [&](std::size_t i) -> std::size_t { return compare_(key, at[i]) ? 0U : 1U; };
      while (left > 7) {
        const std::size_t part = left / 4;
        at += part * (reached(part - 1) + reached(2 * part - 1) + reached(3 * part - 1));
        left -= 3 * part;
      }
      std::size_t more = 0;
      for (std::size_t i = 0; i < left; ++i) more += reached(i);
      return static_cast<std::size_t>(at - boundaries_.data()) + more;
    } else {
      return static_cast<std::size_t>(std::upper_bound(at, at + left, key, compare_) - at);
    }
  }

  [[nodiscard]] std::vector<shard_id> owners_of(std::size_t first, std::size_t last) const {
    std::vector<shard_id> found;
    for (std::size_t i = first; i <= last; ++i) {
      // Mostly the owner differs from all before; where shards have several ranges, there may be many to look through.
      if (shards_.size() == owners_.size() || std::find(found.begin(), found.end(), owners_[i]) == found.end()) {
        found.push_back(owners_[i]);
      }
    }
    return found;
  }

  std::vector<Key> boundaries_;
  std::vector<shard_id> owners_;  // of the range below boundary 0, of that below boundary 1, ...
  std::vector<shard_id> shards_;
  std::uint64_t version_ = 1;
  [[no_unique_address]] Compare compare_;
};

template <class Key>
range_router(std::vector<Key>) -> range_router<Key>;

}  // namespace banyan
