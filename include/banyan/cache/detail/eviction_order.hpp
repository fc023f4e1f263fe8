#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <banyan/cache/detail/slot_table.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/detail/index_stack.hpp>

namespace banyan::detail {

/// How a cache drives its policy. Both kinds answer the same calls:
///
/// * `take(slots, mine, occupied)`: a slot for a new entry, or `no_slot`: then the caller evicts the entry of
///   `occupied` (or, if that is `no_slot` too, any victim) and asks again.
/// * `prepare(slot, hash, mine)`: the entry is about to be linked.
/// * `abandon(slot, slots, mine)`: it was not linked after all.
/// * `admit(slot, hash, full, slots, stripes, mine)`: it has been linked; when `full`, who is to leave for it?
/// * `victim(keep, slots, mine)`: who else?
/// * `vacate(slot, slots, mine)`: the entry has left. Called once, by the thread that removed it.
///
/// `admit` and `victim` name a slot whose entry the caller removes, if it is still there; `no_slot` means there was
/// nothing to find just now. All are lock-free.
///
/// Two arrays by slot, all zeros, are the caller's to keep as long as the order: `flag_count(slots)` and
/// `list_count(slots)` say how many elements they have.
template <eviction_policy Policy>
class eviction_order;

/// A ranked policy needs no order kept: any thread asks it.
template <ranked_policy Policy>
class eviction_order<Policy> {
 public:
  [[nodiscard]] static constexpr std::size_t flag_count(std::uint32_t) noexcept { return 0; }
  [[nodiscard]] static constexpr std::size_t list_count(std::uint32_t) noexcept { return 0; }

  eviction_order(const policy_limits& limits, std::span<std::atomic<std::uint8_t>>, std::span<std::uint8_t>)
      : policy_{limits} {}

  [[nodiscard]] Policy& policy() noexcept { return policy_; }
  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

  template <class Stripe>
  slot_id take(slot_table& slots, Stripe& mine, slot_id&) noexcept {
    return slots.take(mine);
  }

  template <class Stripe>
  void prepare(slot_id, std::uint32_t, Stripe&) noexcept {}

  template <class Stripe>
  void abandon(slot_id slot, slot_table& slots, Stripe& mine) noexcept {
    slots.vacate(slot, mine);
  }

  template <class Stripes, class Stripe>
  slot_id admit(slot_id slot, std::uint32_t hash, bool full, slot_table& slots, Stripes&, Stripe& mine) noexcept {
    policy_.stamp(slot, hash, mine.policy);
    return full ? victim(slot, slots, mine) : no_slot;
  }

  template <class Stripe>
  slot_id victim(slot_id keep, slot_table& slots, Stripe& mine) noexcept {
    const slot_id slot = policy_.victim(keep, slots.high_water(), mine.policy);
    return slot != no_slot && policy_.claim(slot) ? slot : no_slot;
  }

  template <class Stripe>
  void vacate(slot_id slot, slot_table& slots, Stripe& mine) noexcept {
    policy_.vacate(slot);
    slots.vacate(slot, mine);
  }

 private:
  Policy policy_;
};

/// An ordered policy's queues belong to whoever has the turn. The turn is only ever tried for. Whoever does not get it
/// leaves the new slot on the stack of fresh ones for the next turn and evicts an entry of low rank from a sample.
///
///     vacant --prepare--> live+queued --insert (turn)--> live --vacate--> vacant
///                             |                                              ^
///                             +--vacate--> queued --met by a turn or take----+
///
/// `queued`: somebody has undertaken to tell the policy about the slot; nobody else may reuse it before. `listed`
/// (known to the turn only): the slot is in the policy's queues, perhaps for an entry that has left since: then the
/// next insert takes it out first.
template <ordered_policy Policy>
class eviction_order<Policy> {
 public:
  [[nodiscard]] static constexpr std::size_t flag_count(std::uint32_t slots) noexcept { return slots; }
  [[nodiscard]] static constexpr std::size_t list_count(std::uint32_t slots) noexcept { return slots / 8 + 1; }

  eviction_order(const policy_limits& limits, std::span<std::atomic<std::uint8_t>> flags,
                 std::span<std::uint8_t> listed)
      : policy_{limits}, flags_{flags}, listed_{listed} {}

  [[nodiscard]] Policy& policy() noexcept { return policy_; }
  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

  template <class Stripe>
  slot_id take(slot_table& slots, Stripe& mine, slot_id& occupied) noexcept {
    if (slot_id slot = slots.take(mine); slot != no_slot) return slot;
    // Behind a stopped turn the slots gather among the fresh ones, with entries and without.
    const slot_id slot = fresh_.pop(slots.links());
    if (slot == no_slot || !unqueue(slot)) return slot;
    occupied = slot;
    return no_slot;
  }

  template <class Stripe>
  void prepare(slot_id slot, std::uint32_t hash, Stripe& mine) noexcept {
    policy_.stamp(slot, hash, mine.policy);
    // (1) release: pairs with the acquire in unqueue and vacate.
    flags_[slot].store(live | queued, std::memory_order_release);
  }

  template <class Stripe>
  void abandon(slot_id slot, slot_table& slots, Stripe& mine) noexcept {
    flags_[slot].store(0, std::memory_order_release);  // pairs as (1); nobody else knew of it
    slots.vacate(slot, mine);
  }

  template <class Stripes, class Stripe>
  slot_id admit(slot_id slot, std::uint32_t, bool full, slot_table& slots, Stripes& stripes, Stripe& mine) noexcept {
    if (!try_turn()) {
      fresh_.push(slot, slots.links());
      return full ? sampled(slot, slots, mine) : no_slot;
    }
    if constexpr (requires { policy_.collect(mine.policy); }) collect_some(stripes);
    insert_fresh(slots, mine);
    insert(slot, slots, mine);
    const slot_id leaving = full ? listed_victim() : no_slot;
    end_turn();
    return leaving;
  }

  template <class Stripe>
  slot_id victim(slot_id keep, slot_table& slots, Stripe& mine) noexcept {
    if (!try_turn()) return sampled(keep, slots, mine);
    insert_fresh(slots, mine);
    slot_id leaving = listed_victim();
    end_turn();
    return leaving != no_slot ? leaving : sampled(keep, slots, mine);
  }

  template <class Stripe>
  void vacate(slot_id slot, slot_table& slots, Stripe& mine) noexcept {
    // (2) acq_rel: pairs with (1) and (3): who comes second of this and unqueue has the slot.
    const auto before = flags_[slot].fetch_and(static_cast<std::uint8_t>(~live), std::memory_order_acq_rel);
    if ((before & queued) == 0) slots.vacate(slot, mine);
  }

 private:
  static constexpr std::uint8_t live = 1;
  static constexpr std::uint8_t queued = 2;
  static constexpr int tries_for_turn = 512;  // about the length of a turn
  static constexpr std::uint32_t full_sample = 8;
  static constexpr int fresh_per_turn = 64;

  bool try_turn() noexcept {
    for (int i = 0; i < tries_for_turn; ++i) {
      // (4) acquire: pairs with (5): the queues as the last turn left them.
      if (turn_.load(std::memory_order_relaxed) == 0 && turn_.exchange(1, std::memory_order_acquire) == 0) return true;
    }
    return false;
  }

  void end_turn() noexcept { turn_.store(0, std::memory_order_release); }  // (5) pairs with (4)

  /// Ends the undertaking to tell the policy. True while the entry is there; else the slot is the caller's.
  bool unqueue(slot_id slot) noexcept {
    // (3) acq_rel: pairs with (1) and (2).
    return (flags_[slot].fetch_and(static_cast<std::uint8_t>(~queued), std::memory_order_acq_rel) & live) != 0;
  }

  [[nodiscard]] bool listed(slot_id slot) const noexcept { return (listed_[slot / 8] >> slot % 8 & 1) != 0; }
  void list(slot_id slot, bool is) noexcept {
    std::uint8_t& bits = listed_[slot / 8];
    bits = static_cast<std::uint8_t>((bits & ~(1u << slot % 8)) | std::uint32_t{is} << slot % 8);
  }

  template <class Stripe>
  void insert(slot_id slot, slot_table& slots, Stripe& mine) noexcept {
    if (!unqueue(slot)) {
      slots.vacate(slot, mine);
      return;
    }
    if (listed(slot)) policy_.erase(slot);
    list(slot, true);
    policy_.insert(slot, slots.hash(slot));
  }

  template <class Stripe>
  void insert_fresh(slot_table& slots, Stripe& mine) noexcept {
    for (int i = 0; i < fresh_per_turn && !fresh_.empty(); ++i) {  // bounded: a turn is short
      const slot_id slot = fresh_.pop(slots.links());
      if (slot == no_slot) return;
      insert(slot, slots, mine);
    }
  }

  slot_id listed_victim() noexcept {
    for (;;) {
      const slot_id slot = policy_.victim();
      if (slot == no_slot) return no_slot;
      list(slot, false);
      // Its entry may have left before, or a new one be about to be listed: not the policy's choice then.
      if (flags_[slot].load(std::memory_order_relaxed) == live) return slot;
    }
  }

  template <class Stripe>
  slot_id sampled(slot_id keep, slot_table& slots, Stripe& mine) noexcept {
    const std::uint32_t slot_limit = slots.high_water();
    if (slot_limit == 0) return no_slot;
    slot_id best = no_slot;
    std::uint64_t lowest = ~std::uint64_t{0};
    const std::uint64_t random = mine.random();
    // Now and then whatever comes first: the lowest may belong to a thread that has stopped while it was evicting it.
    const std::uint32_t sample_size = (random & std::uint64_t{7} << 29) == 0 ? 0 : full_sample;
    for (std::uint32_t i = 0; i < sample_size; ++i) {
      // Neighbours of one random place: one miss of the cache instead of eight.
      const auto slot = static_cast<slot_id>((random + i) % slot_limit);
      if (slot == keep || (flags_[slot].load(std::memory_order_relaxed) & live) == 0) continue;
      if (const std::uint64_t rank = policy_.rank(slot); best == no_slot || rank < lowest) {
        best = slot;
        lowest = rank;
      }
    }
    if (best != no_slot) return best;
    // A nearly empty table: look at every slot once, from the random place on.
    for (std::uint32_t i = 0; i < slot_limit; ++i) {
      const auto slot = static_cast<slot_id>((random + i) % slot_limit);
      if (slot != keep && (flags_[slot].load(std::memory_order_relaxed) & live) != 0) return slot;
    }
    return no_slot;
  }

  template <class Stripes>
  void collect_some(Stripes& stripes) noexcept {
    const std::uint32_t in_use = stripes.in_use();
    for (std::uint32_t i = 0; i < 4 && i < in_use; ++i) {
      if (++collected_ >= in_use) collected_ = 0;
      policy_.collect(stripes[collected_].policy);
    }
  }

  Policy policy_;
  std::span<std::atomic<std::uint8_t>> flags_;
  std::span<std::uint8_t> listed_;  // a bit for each slot: the turn's own, so others need no atomic
  std::uint32_t collected_ = 0;
  alignas(64) std::atomic<std::uint32_t> turn_{0};
  alignas(64) index_stack fresh_;
};

}  // namespace banyan::detail
