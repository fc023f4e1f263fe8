#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Keys that leave one shard for another.
struct reshard_move {
  shard_id from = no_shard;
  /// `no_shard`: nobody would be responsible for them any more.
  shard_id to = no_shard;
  /// Of all keys, 0 to 1; NaN in a plan that was not `weighed`.
  double share = 0;
};

/// What moves when one router takes the place of another. Made by `plan_reshard`.
struct reshard_plan {
  /// By share, the largest first.
  std::vector<reshard_move> moves;
  /// The share of the keys that go to another shard; NaN where not `weighed`. Keys that nobody had before do not count:
  /// there is nothing to move.
  double moved = 0;
  /// The least that any plan must move to give each shard as many keys as the new router does; NaN where not `weighed`.
  double minimum = 0;
  /// The share of the keys that a shard has now and none would have; NaN where not `weighed`.
  double abandoned = 0;
  /// By how much `moved` may be wrong because keys were sampled: half of the interval that holds the true share in 19
  /// of 20 cases (Wilson). 0 where the shares are exact.
  double margin = 0;
  /// Keys looked at.
  std::size_t sampled = 0;
  /// Whether the shares are known. They are not for ranges without a sample: how many keys lie in a range is not to be
  /// seen from its ends.
  bool weighed = true;
  std::uint64_t old_version = 0;
  std::uint64_t new_version = 0;

  /// Whether these are still the routers of the plan, by their versions.
  template <class Old, class New>
  [[nodiscard]] bool applies_to(const Old& old_router, const New& new_router) const noexcept {
    return old_router.version() == old_version && new_router.version() == new_version;
  }

  /// Throws `std::invalid_argument` unless the plan applies to them: who carries it out asks first.
  template <class Old, class New>
  void require(const Old& old_router, const New& new_router) const {
    if (old_router.version() != old_version)
      invalid_option("reshard_plan.old_version", old_version, "the old router has changed since: plan again");
    if (new_router.version() != new_version)
      invalid_option("reshard_plan.new_version", new_version, "the new router has changed since: plan again");
  }
};

/// The keys from `first` up to, but not including, `last`, which move. Without `first`: from the lowest key on; without
/// `last`: to the highest.
template <class Key>
struct moved_range {
  std::optional<Key> first;
  std::optional<Key> last;
  shard_id from = no_shard;
  shard_id to = no_shard;

  friend bool operator==(const moved_range&, const moved_range&) = default;
};

/// A plan between two `range_router`s: which ranges move is exact, whatever the sample.
template <class Key>
struct range_reshard_plan : reshard_plan {
  /// In the order of the keys.
  std::vector<moved_range<Key>> ranges;
};

/// Slots from `first` to `last`, both included, which move.
struct moved_slots {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  shard_id from = no_shard;
  shard_id to = no_shard;

  friend bool operator==(const moved_slots&, const moved_slots&) = default;
};

/// A plan between two `slot_router`s: which slots move is exact.
struct slot_reshard_plan : reshard_plan {
  /// In ascending order.
  std::vector<moved_slots> slots;
};

}  // namespace banyan
