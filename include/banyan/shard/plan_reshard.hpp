#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include <banyan/core/invalid_option.hpp>
#include <banyan/hashing/redis_slot.hpp>
#include <banyan/shard/detail/move_tally.hpp>
#include <banyan/shard/range_router.hpp>
#include <banyan/shard/reshard_plan.hpp>
#include <banyan/shard/router.hpp>
#include <banyan/shard/shard_id.hpp>
#include <banyan/shard/slot_router.hpp>

namespace banyan {

namespace detail {

template <class Old, class New, class Sample>
move_tally tally_moves(const Old& old_router, const New& new_router, Sample& sample) {
  move_tally tally;
  for (auto&& key : sample) tally.add(old_router.route(key), new_router.route(key));
  if (tally.total() == 0) invalid_option("plan_reshard.sample", 0, "must have at least one key");
  return tally;
}

template <class Old, class New>
void write_plan(reshard_plan& plan, const Old& old_router, const New& new_router, const move_tally& tally,
                bool sampled) {
  plan.old_version = old_router.version();
  plan.new_version = new_router.version();
  tally.write(plan);
  if (!sampled) return;
  plan.sampled = tally.total();
  plan.margin = wilson_margin(plan.moved, tally.total());
}

/// Both routers' boundaries in one pass; neighbouring pieces that move alike become one.
template <class Key, class Compare>
std::vector<moved_range<Key>> moved_ranges(const range_router<Key, Compare>& old_router,
                                           const range_router<Key, Compare>& new_router) {
  std::vector<moved_range<Key>> moves;
  const std::vector<Key>& olds = old_router.boundaries();
  const std::vector<Key>& news = new_router.boundaries();
  const Compare& less = old_router.compare();
  const Key* begin = nullptr;  // null: from the lowest key on
  bool adjoining = false;      // the piece before this one has moved, and ends where this one begins
  for (std::size_t i = 0, j = 0;;) {
    const Key* const old_end = i < olds.size() ? &olds[i] : nullptr;
    const Key* const new_end = j < news.size() ? &news[j] : nullptr;
    const shard_id from = old_router.owners()[i];
    const shard_id to = new_router.owners()[j];
    const bool old_first = old_end != nullptr && (new_end == nullptr || !less(*new_end, *old_end));
    const bool new_first = new_end != nullptr && (old_end == nullptr || !less(*old_end, *new_end));
    const Key* const end = old_first ? old_end : new_end;
    if (from != to) {
      const std::optional<Key> last = end == nullptr ? std::nullopt : std::optional<Key>{*end};
      if (adjoining && moves.back().from == from && moves.back().to == to) {
        moves.back().last = last;
      } else {
        moves.push_back({begin == nullptr ? std::nullopt : std::optional<Key>{*begin}, last, from, to});
      }
    }
    if (end == nullptr) return moves;
    adjoining = from != to;
    begin = end;
    if (old_first) ++i;
    if (new_first) ++j;
  }
}

[[nodiscard]] inline std::vector<moved_slots> slots_that_move(const slot_router& old_router,
                                                              const slot_router& new_router) {
  std::vector<moved_slots> moves;
  for (std::uint16_t slot = 0; slot < redis_slots; ++slot) {
    const shard_id from = old_router.route_slot(slot);
    const shard_id to = new_router.route_slot(slot);
    if (from == to || from == no_shard) continue;
    if (!moves.empty() && moves.back().last + 1 == slot && moves.back().from == from && moves.back().to == to) {
      moves.back().last = slot;
    } else {
      moves.push_back({slot, slot, from, to});
    }
  }
  return moves;
}

}  // namespace detail

/// What moves when `new_router` takes the place of `old_router`, judged by a sample of keys: of all keys at random, for
/// the share of the data that moves, or of all requests, for the share of the load. From 3 to 4 shards `modulo` moves
/// about 75 % and a consistent router about 25 %; the plan says so beside the least possible.
///
/// `sample` is any range of keys that both routers take; it is gone through once. O(keys). Throws
/// `std::invalid_argument` for an empty sample, what the routers throw, `std::bad_alloc`.
template <class Old, class New, std::ranges::input_range Sample>
requires router_for<Old, std::ranges::range_value_t<Sample>> && router_for<New, std::ranges::range_value_t<Sample>>
[[nodiscard]] reshard_plan plan_reshard(const Old& old_router, const New& new_router, Sample&& sample) {
  reshard_plan plan;
  detail::write_plan(plan, old_router, new_router, detail::tally_moves(old_router, new_router, sample), true);
  return plan;
}

/// Which ranges move: exact, and without shares, since no keys are known. O(boundaries). Both must order keys alike.
template <class Key, class Compare>
[[nodiscard]] range_reshard_plan<Key> plan_reshard(const range_router<Key, Compare>& old_router,
                                                   const range_router<Key, Compare>& new_router) {
  range_reshard_plan<Key> plan;
  plan.weighed = false;
  plan.ranges = detail::moved_ranges(old_router, new_router);
  detail::move_tally tally;
  for (const moved_range<Key>& range : plan.ranges) tally.mention(range.from, range.to);
  detail::write_plan(plan, old_router, new_router, tally, false);
  return plan;
}

/// Which ranges move, exact, with the shares of a sample. A move of which the sample has no key has share 0.
template <class Key, class Compare, std::ranges::input_range Sample>
[[nodiscard]] range_reshard_plan<Key> plan_reshard(const range_router<Key, Compare>& old_router,
                                                   const range_router<Key, Compare>& new_router, Sample&& sample) {
  range_reshard_plan<Key> plan;
  plan.ranges = detail::moved_ranges(old_router, new_router);
  detail::move_tally tally = detail::tally_moves(old_router, new_router, sample);
  for (const moved_range<Key>& range : plan.ranges) tally.mention(range.from, range.to);
  detail::write_plan(plan, old_router, new_router, tally, true);
  return plan;
}

/// Which slots move, and their shares of all slots: exact. That is the share of the keys where they spread evenly over
/// the slots; where tags or sizes differ much, give a sample. O(slots).
[[nodiscard]] inline slot_reshard_plan plan_reshard(const slot_router& old_router, const slot_router& new_router) {
  slot_reshard_plan plan;
  plan.slots = detail::slots_that_move(old_router, new_router);
  detail::move_tally tally;
  for (std::uint16_t slot = 0; slot < redis_slots; ++slot) {
    tally.add(old_router.route_slot(slot), new_router.route_slot(slot));
  }
  detail::write_plan(plan, old_router, new_router, tally, false);
  return plan;
}

/// Which slots move, exact, with the shares of a sample.
template <std::ranges::input_range Sample>
[[nodiscard]] slot_reshard_plan plan_reshard(const slot_router& old_router, const slot_router& new_router,
                                             Sample&& sample) {
  slot_reshard_plan plan;
  plan.slots = detail::slots_that_move(old_router, new_router);
  detail::move_tally tally = detail::tally_moves(old_router, new_router, sample);
  for (const moved_slots& slots : plan.slots) tally.mention(slots.from, slots.to);
  detail::write_plan(plan, old_router, new_router, tally, true);
  return plan;
}

}  // namespace banyan
