#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/redis_slot.hpp>
#include <banyan/shard/detail/shard_list.hpp>
#include <banyan/shard/shard_id.hpp>
#include <banyan/shard/slot_range.hpp>

namespace banyan {

/// The 16,384 slots of a Redis (or Valkey) Cluster, each with its shard. A key's slot is the CRC16 of the key, or of
/// what it has in braces: keys with the same tag are on one shard, `{user1000}.following` and `{user1000}.followers`.
///
///     auto slots = banyan::slot_router::even(3);                  // 0-5460, 5461-10922, 10923-16383
///     slots.route("{user1000}.following");
///     auto grown = slots.spread_over({0, 1, 2, 3});               // a quarter of the slots moves, all to shard 3
///
/// Between hashes and a directory: which slot a key is in never changes, and which shard a slot is on is free to
/// choose, slot by slot.
///
/// Immutable: what changes it gives a new value. 64 KB. Thread safety: const use by many threads.
///
/// Source: Redis Cluster specification.
class slot_router {
 public:
  using key_type = std::string_view;

  /// All slots must be covered, none twice. Throws `std::invalid_argument` when that is not so, for a range that ends
  /// before it begins or beyond the last slot, and for `no_shard`.
  explicit slot_router(const std::vector<slot_range>& ranges) : slot_router{ranges, true} {}

  /// As the constructor, for a cluster of which some slots are not served: their keys have `no_shard`.
  [[nodiscard]] static slot_router partial(const std::vector<slot_range>& ranges) { return {ranges, false}; }

  /// Shards 0 to `shards` - 1, each with its part of the slots, as `redis-cli --cluster create` deals them out. Throws
  /// `std::invalid_argument` unless there are 1 to 16,384.
  [[nodiscard]] static slot_router even(std::uint32_t shards) {
    check_count(shards);
    const double part = static_cast<double>(redis_slots) / shards;
    std::vector<slot_range> ranges;
    std::uint16_t first = 0;
    for (shard_id id = 0; id < shards; ++id) {
      const double end = std::round(part * id + part - 1);
      const auto last = static_cast<std::uint16_t>(id + 1 == shards ? redis_slots - 1 : std::max<double>(end, first));
      ranges.push_back({first, last, id});
      first = static_cast<std::uint16_t>(last + 1);
    }
    return slot_router{ranges};
  }

  /// The shard of a key; `no_shard` when its slot is not covered. Wait-free, O(size of the key).
  [[nodiscard]] shard_id route(std::string_view key) const noexcept { return owners_[redis_slot(key)]; }

  /// The shard of a slot; `no_shard` when it is not covered or there is no such slot.
  [[nodiscard]] shard_id route_slot(std::uint16_t slot) const noexcept {
    return slot < redis_slots ? owners_[slot] : no_shard;
  }

  /// With these slots on that shard, whoever had them. Throws `std::invalid_argument` as the constructor does.
  [[nodiscard]] slot_router assign(slot_range range) const {
    detail::check_shard("slot_range.shard", range.shard);
    return with(range);
  }

  /// With these slots not covered. Throws `std::invalid_argument` for a bad range.
  [[nodiscard]] slot_router release(std::uint16_t first, std::uint16_t last) const {
    return with({first, last, no_shard});
  }

  /// With `count` slots of `from`, its highest, on `to`, which may be new. Throws `std::invalid_argument` when `from`
  /// has fewer, and for `no_shard`.
  [[nodiscard]] slot_router move_slots(shard_id from, shard_id to, std::uint32_t count) const {
    detail::check_shard("slot_router.from", from);
    detail::check_shard("slot_router.to", to);
    if (count > slot_count(from)) invalid_option("slot_router.count", count, "must be at most what the shard has");
    slot_router fresh = *this;
    for (std::size_t slot = redis_slots; slot-- > 0 && count > 0;) {
      if (owners_[slot] != from) continue;
      fresh.owners_[slot] = to;
      --count;
    }
    return fresh.renewed();
  }

  /// With all slots on these shards, as evenly as it goes, and as few as possible moved; slots that were not covered
  /// are. Throws `std::invalid_argument` for none, more than 16,384, one that is there twice, and `no_shard`.
  [[nodiscard]] slot_router spread_over(const std::vector<shard_id>& shards) const {
    check_count(shards.size());
    for (const shard_id id : shards) detail::check_shard("slot_router.shards", id);
    const std::vector<shard_id> ids = detail::distinct_shards(shards);
    if (ids.size() != shards.size()) invalid_option("slot_router.shards", shards.size(), "must all be different");
    const auto index = [&](shard_id id) {
      return static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin());
    };
    std::vector<std::uint32_t> had(ids.size());
    for (const shard_id owner : owners_) {
      if (detail::contains_shard(ids, owner)) ++had[index(owner)];
    }
    // Who has most keeps the odd slot.
    std::vector<std::size_t> order(ids.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return had[a] > had[b]; });
    std::vector<std::uint32_t> room(ids.size(), static_cast<std::uint32_t>(redis_slots / ids.size()));
    for (std::size_t i = 0; i < redis_slots % ids.size(); ++i) ++room[order[i]];
    slot_router fresh = *this;
    std::vector<std::size_t> homeless;
    for (std::size_t slot = 0; slot < redis_slots; ++slot) {
      const bool stays = detail::contains_shard(ids, owners_[slot]) && room[index(owners_[slot])] > 0;
      if (stays) {
        --room[index(owners_[slot])];
      } else {
        homeless.push_back(slot);
      }
    }
    std::size_t to = 0;
    for (const std::size_t slot : homeless) {
      while (room[to] == 0) ++to;
      fresh.owners_[slot] = ids[to];
      --room[to];
    }
    return fresh.renewed();
  }

  /// The same routes under another version.
  [[nodiscard]] slot_router with_version(std::uint64_t version) const {
    slot_router copy = *this;
    copy.version_ = version;
    return copy;
  }

  [[nodiscard]] std::span<const shard_id> shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  /// How many slots a shard has; of `no_shard`: how many nobody has. O(slots).
  [[nodiscard]] std::uint32_t slot_count(shard_id shard) const noexcept {
    return static_cast<std::uint32_t>(std::count(owners_.begin(), owners_.end(), shard));
  }

  /// Whether every slot has a shard. O(slots).
  [[nodiscard]] bool covers_all() const noexcept { return slot_count(no_shard) == 0; }

  /// All covered slots in ascending order, neighbours of the same shard as one range. O(slots).
  [[nodiscard]] std::vector<slot_range> ranges() const {
    std::vector<slot_range> all;
    for (std::uint16_t slot = 0; slot < redis_slots; ++slot) {
      const shard_id owner = owners_[slot];
      if (owner == no_shard) continue;
      if (!all.empty() && all.back().shard == owner && all.back().last + 1 == slot) {
        all.back().last = slot;
      } else {
        all.push_back({slot, slot, owner});
      }
    }
    return all;
  }

 private:
  slot_router(const std::vector<slot_range>& ranges, bool all) : owners_(redis_slots, no_shard) {
    for (const slot_range& range : ranges) {
      detail::check_shard("slot_range.shard", range.shard);
      check(range);
      for (std::size_t slot = range.first; slot <= range.last; ++slot) {
        if (owners_[slot] != no_shard) invalid_option("slot_router.ranges", slot, "must not be covered twice");
        owners_[slot] = range.shard;
      }
    }
    const auto gap = std::find(owners_.begin(), owners_.end(), no_shard);
    if (all && gap != owners_.end()) {
      invalid_option("slot_router.ranges", gap - owners_.begin(), "must be covered (or see slot_router::partial)");
    }
    shards_ = detail::distinct_shards(owners_);
  }

  static void check_count(std::size_t shards) {
    if (shards == 0 || shards > redis_slots) invalid_option("slot_router.shards", shards, "must be 1 to 16,384");
  }

  static void check(const slot_range& range) {
    if (range.last >= redis_slots) invalid_option("slot_range.last", range.last, "must be below 16,384");
    if (range.first > range.last) invalid_option("slot_range.first", range.first, "must not be above last");
  }

  [[nodiscard]] slot_router with(const slot_range& range) const {
    check(range);
    slot_router fresh = *this;
    std::fill(fresh.owners_.begin() + range.first, fresh.owners_.begin() + range.last + 1, range.shard);
    return fresh.renewed();
  }

  [[nodiscard]] slot_router& renewed() {
    shards_ = detail::distinct_shards(owners_);
    ++version_;
    return *this;
  }

  std::vector<shard_id> owners_;  // of each slot
  std::vector<shard_id> shards_;
  std::uint64_t version_ = 1;
};

}  // namespace banyan
