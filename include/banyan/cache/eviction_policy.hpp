#pragma once

/// \file
/// What a cache asks of an eviction policy.
///
/// A cache keeps its entries in a lock-free index and gives each entry a *slot*: a small number that stays the same
/// while the entry lives, also when its value is replaced. A policy knows slots and 32-bit key hashes, never keys or
/// values. It comes in one of two kinds:
///
/// * A **ranked** policy (LRU, LFU, FIFO) can tell from the slots' marks alone who leaves next; any thread may ask, at
///   any time, while others stamp and touch.
/// * An **ordered** policy (SIEVE, S3-FIFO, W-TinyLFU, adaptive) keeps queues. `insert`, `erase`, `victim` and
///   `collect` are ordinary sequential code: the cache calls them from one thread at a time. `stamp`, `touch` and
///   `rank` may run in any thread meanwhile, so what those three and the sequential part share must be atomic
///   (relaxed is enough: marks are hints and publish nothing). When the thread that runs the sequential part is
///   stopped, others evict a sampled entry of low `rank` instead of waiting for it.
///
/// The life of a slot: `stamp` (in an ordered policy before the entry becomes visible, in a ranked one right after, so
/// that no victim is named that cannot be found yet), any number of `touch`, and in an ordered policy `insert` some
/// time after `stamp`; then `victim` names it or `erase` takes it out. A slot that was erased by the user may stay in
/// an ordered policy's queues until the slot is used again: then the cache calls `erase` before the next `insert`.
/// Between `victim` returning a slot and the next `insert` of it, the slot is in no queue.

#include <atomic>
#include <concepts>
#include <cstdint>

namespace banyan {

/// The number of an entry's place in a cache; dense from 0, reused after the entry has left.
using slot_id = std::uint32_t;

/// No slot.
inline constexpr slot_id no_slot = ~slot_id{0};

/// What a policy is told at construction. It must allocate all it needs there, lazily committed where it is large
/// (`zeroed_array`): afterwards nothing allocates.
struct policy_limits {
  std::uint32_t slots = 0;    ///< slots are in [0, slots)
  std::uint32_t entries = 0;  ///< most entries that stay at a time; at least 1 and less than `slots`
  std::uint64_t seed = 0;     ///< for random choices
  /// By slot, the hash it was last stamped with: kept by the cache, so that a policy needs no copy. May be read at any
  /// time. A slot that is still in a policy's queues although its entry has left may show the next entry's hash, which
  /// costs no more than a wrong memory. Set wherever an ordered policy is made.
  const std::atomic<std::uint32_t>* hashes = nullptr;
};

/// Common to both kinds. `P::local` is a default-constructible per-thread state: the cache gives each thread its own,
/// zero-initialised and on its own cache lines, and passes it to the calls below. No two threads use one at a time.
///
/// * `stamp(slot, hash, local)`: a new entry with this hash takes the slot. Any thread; wait-free.
/// * `touch(slot, hash, local)`: a hit. Any thread; wait-free; no read-modify-write, at most one store to the slot's
///   mark, relaxed or release.
/// * `rank(slot)`: lower leaves first; any thread; wait-free. Read for sampled eviction.
// clang-format off
template <class Policy>
concept eviction_policy =
    std::constructible_from<Policy, policy_limits> && std::default_initializable<typename Policy::local> &&
    requires(Policy& policy, const Policy& constant, typename Policy::local& local, slot_id slot, std::uint32_t hash) {
      { policy.stamp(slot, hash, local) } noexcept;
      { policy.touch(slot, hash, local) } noexcept;
      { constant.rank(slot) } noexcept -> std::same_as<std::uint64_t>;
    };
// clang-format on

/// Any thread may pick the victim.
///
/// * `victim(keep, high_water, local)`: a slot to evict from [0, high_water), never `keep` (the newest entry, or
///   `no_slot`); `no_slot` when there is no other occupied one. Lock-free. It may return a slot that another thread
///   has just vacated; the cache then asks again.
/// * `claim(slot)`: the caller is about to evict the entry of a slot that `victim` has named; nobody else is to be sent
///   after it, unless it is touched first. False if somebody else has claimed it, or it is vacant. Any thread;
///   wait-free. So a thread that stops while it evicts keeps one entry from leaving, and nobody else from evicting.
/// * `vacate(slot)`: the entry has left; the slot is no victim until it is stamped again. Any thread; wait-free.
///
/// `stamp` and `touch` come after the caller has linked or found the entry, and what they store to the slot's mark is
/// what `claim` takes: so that the claimant finds the entry, those are stores with `std::memory_order_release` and
/// `claim` is an exchange with `std::memory_order_acquire` (no cost on x86). With weaker orders nothing breaks, but on
/// other machines an entry may now and then be passed over until it is touched.
///
/// * optionally `upcoming(high_water, local)`: the slot that `victim` is likely to name next in this thread, or
///   `no_slot`: the cache prefetches its entry. Any thread; wait-free.
// clang-format off
template <class Policy>
concept ranked_policy = eviction_policy<Policy> && requires(Policy& policy, typename Policy::local& local, slot_id slot,
                                                            std::uint32_t high_water) {
  { policy.victim(slot, high_water, local) } noexcept -> std::same_as<slot_id>;
  { policy.claim(slot) } noexcept -> std::same_as<bool>;
  { policy.vacate(slot) } noexcept;
};
// clang-format on

/// One thread at a time runs the sequential part.
///
/// * `insert(slot, hash)`: the stamped entry joins the queues.
/// * `erase(slot)`: takes a slot that is in the queues out of them, as if it had never been (no ghost).
/// * `victim()`: takes the slot that leaves next out of the queues (remembering it as a ghost where the policy does)
///   and returns it; `no_slot` when the queues are empty. Called after `insert`, so the newest entry is in the queues;
///   a policy that refuses entries may name that one.
/// * optionally `collect(local)`: called before `insert` now and then for every thread's `local`, while that thread
///   may be writing to it.
// clang-format off
template <class Policy>
concept ordered_policy =
    eviction_policy<Policy> && requires(Policy& policy, slot_id slot, std::uint32_t hash) {
      { policy.insert(slot, hash) } noexcept;
      { policy.erase(slot) } noexcept;
      { policy.victim() } noexcept -> std::same_as<slot_id>;
    };
// clang-format on

}  // namespace banyan
