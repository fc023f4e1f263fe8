#pragma once

#include <banyan/cache/detail/ghost_set.hpp>
#include <banyan/cache/detail/slot_list.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <atomic>
#include <cstdint>

namespace banyan {

/// S3-FIFO: a small queue (a tenth of the entries) that newcomers must pass, a main queue for those that were asked
/// for at least twice meanwhile or that come back soon after they had to leave, and a ghost queue that remembers the
/// hashes of those that left the small one.
///
/// When to use: a sound choice for most loads; it stands scans and, unlike SIEVE, loads of entries that come back
/// once. When not to: loads of almost pure recency or loops larger than the cache.
///
/// A hit adds one to the entry's count, at most 3: one relaxed store, and nothing when the entry is warm.
///
/// Source: Yang, Zhang, Qiu, Yue, Vigfusson: FIFO queues are all you need for cache eviction, SOSP 2023.
///
/// Memory: 10 bytes per slot and 4 per entry (the ghosts). `stamp`, `touch`, `rank`: O(1), wait-free. `insert`,
/// `erase`: O(1). `victim`: O(1) amortised.
class s3fifo_policy {
 public:
  struct local {};

  explicit s3fifo_policy(const policy_limits& limits)
      : main_target_{limits.entries - limits.entries / 10},
        links_{limits.slots},
        hashes_{limits.hashes},
        queue_of_{limits.slots},
        counts_{limits.slots},
        ghosts_{static_cast<std::uint32_t>(std::uint64_t{limits.entries} * 9 / 10)} {}

  void stamp(slot_id slot, std::uint32_t, local&) noexcept { counts_[slot].store(0, std::memory_order_relaxed); }

  void touch(slot_id slot, std::uint32_t, local&) noexcept {
    const std::uint8_t count = counts_[slot].load(std::memory_order_relaxed);
    if (count < most_counted) counts_[slot].store(static_cast<std::uint8_t>(count + 1), std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t rank(slot_id slot) const noexcept {
    return counts_[slot].load(std::memory_order_relaxed);
  }

  void insert(slot_id slot, std::uint32_t hash) noexcept {
    join(slot, ghosts_.take(hash) ? queue::main : queue::small);
    newest_ = slot;
  }

  void erase(slot_id slot) noexcept {
    if (newest_ == slot) newest_ = no_slot;
    list_of(slot).remove(links_, slot);
  }

  [[nodiscard]] slot_id victim() noexcept {
    // The entry that needs the place has joined already. The algorithm makes room first: so it steps aside meanwhile.
    const slot_id newest = small_.size() + main_.size() > 1 ? newest_ : no_slot;
    if (newest != no_slot) list_of(newest).remove(links_, newest);
    const slot_id slot = make_room();
    if (newest != no_slot) join(newest, queue_of_[newest]);
    if (slot == newest_) newest_ = no_slot;
    return slot;
  }

 private:
  enum class queue : std::uint8_t { small, main };

  static constexpr std::uint8_t most_counted = 3;
  static constexpr std::uint8_t promoted_at = 2;

  [[nodiscard]] detail::slot_list& list_of(slot_id slot) noexcept {
    return queue_of_[slot] == queue::main ? main_ : small_;
  }

  slot_id make_room() noexcept {
    // Counts may grow as fast as they are used up: then the next one leaves in any case.
    for (std::uint32_t chances = 4 * (small_.size() + main_.size());; --chances) {
      const bool from_main = small_.empty() || main_.size() > main_target_;
      const slot_id slot = (from_main ? main_ : small_).pop_oldest(links_);
      if (slot == no_slot) return no_slot;
      const std::uint8_t count = counts_[slot].load(std::memory_order_relaxed);
      if (chances == 0 || count < (from_main ? 1 : promoted_at)) {
        if (!from_main) ghosts_.insert(hashes_[slot].load(std::memory_order_relaxed));
        return slot;
      }
      counts_[slot].store(from_main ? static_cast<std::uint8_t>(count - 1) : std::uint8_t{0},
                          std::memory_order_relaxed);
      join(slot, queue::main);
    }
  }

  void join(slot_id slot, queue which) noexcept {
    queue_of_[slot] = which;
    list_of(slot).push_newest(links_, slot);
  }

  std::uint32_t main_target_;
  detail::slot_links links_;
  const std::atomic<std::uint32_t>* hashes_;
  zeroed_array<queue> queue_of_;
  zeroed_array<std::atomic<std::uint8_t>> counts_;
  detail::slot_list small_;
  detail::slot_list main_;
  detail::ghost_set ghosts_;
  slot_id newest_ = no_slot;  // the last one inserted, if it is still there
};

static_assert(ordered_policy<s3fifo_policy>);

}  // namespace banyan
