#pragma once

#include <banyan/cache/detail/frequency_sketch.hpp>
#include <banyan/cache/detail/ghost_set.hpp>
#include <banyan/cache/detail/slot_list.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace banyan {

/// W-TinyLFU with an adaptive window: newcomers live in a window; who leaves it may enter the main part only if it was
/// seen more often lately than the entry it would displace there. A sketch of 4-bit counters remembers how often, also
/// for keys that are not in the cache. The main part has a probation and a protected queue.
///
/// When to use: skewed popularity that drifts, with scans and one-timers in between: the best hit ratio of the named
/// policies on many loads. When not to: the cheapest hit or eviction matters more (`sieve_policy`).
///
/// A hit adds one to the entry's count, at most 15: one relaxed store, and nothing when the count is full. Everything
/// else waits for the entry's turn to leave: then its count goes to the sketch, and an entry that was asked for moves
/// on or stays, as a hit would have moved it in the original (the queues are second-chance instead of LRU).
///
/// The window adapts by marginal gain. Two small ghost sets, a tenth of the entries each, remember what either part
/// evicted last. A newcomer found in one of them would have been a hit if that part had been a little larger, so the
/// part grows by a fifth of an entry. Thus the border settles where both would gain the same, while the original's
/// climbing by hit ratio must try a worse window to learn that it is worse. What it does not see is a gain that would
/// need a window larger by more than a tenth of the entries at once.
///
/// Sources: Einziger, Friedman, Manes: TinyLFU: a highly efficient cache admission policy, 2017; Einziger, Eytan,
/// Friedman, Manes: Adaptive software cache management, 2018 (the window); Megiddo, Modha: ARC, 2003 (growing the
/// part whose ghosts are asked for).
///
/// Memory: 10 bytes per slot; 5 per entry and 17 KiB for sketch and ghosts. `stamp`, `touch`, `rank`: O(1), wait-free.
/// `insert`, `victim`: O(1) amortised. `erase`: O(1).
class tinylfu_policy {
 public:
  struct local {};

  explicit tinylfu_policy(const policy_limits& limits)
      : entries_{limits.entries},
        window_share_{std::max(limits.entries / initial_window, std::uint32_t{1}) * steps_per_entry},
        links_{limits.slots},
        hashes_{limits.hashes},
        queue_of_{limits.slots},
        counts_{limits.slots},
        sketch_{limits.entries, std::max(std::uint64_t{limits.entries} * sample_per_entry, std::uint64_t{16})},
        left_window_{limits.entries / ghost_share + 1},
        left_main_{limits.entries / ghost_share + 1} {}

  void stamp(slot_id slot, std::uint32_t, local&) noexcept { counts_[slot].store(0, std::memory_order_relaxed); }

  void touch(slot_id slot, std::uint32_t, local&) noexcept {
    const std::uint8_t count = counts_[slot].load(std::memory_order_relaxed);
    if (count < detail::frequency_sketch::most) {
      counts_[slot].store(static_cast<std::uint8_t>(count + 1), std::memory_order_relaxed);
    }
  }

  [[nodiscard]] std::uint64_t rank(slot_id slot) const noexcept {
    return counts_[slot].load(std::memory_order_relaxed);
  }

  void insert(slot_id slot, std::uint32_t hash) noexcept {
    adapt(hash);
    sketch_.add(hash);
    join(slot, queue::window);
    newest_ = slot;
  }

  void erase(slot_id slot) noexcept {
    if (newest_ == slot) newest_ = no_slot;
    list_of(slot).remove(links_, slot);
  }

  [[nodiscard]] slot_id victim() noexcept {
    // Entries that are hit while this runs get another chance only so many times.
    std::uint32_t chances = 2 * (window_.size() + main_size());
    while (window_.size() > window_target()) {
      const slot_id candidate = window_.oldest();
      const bool newest = candidate == newest_ && window_.size() > 1;
      if (chances != 0 && (newest || settle(candidate))) {
        --chances;
        window_.remove(links_, candidate);
        join(candidate, queue::window);
        continue;
      }
      if (main_size() < main_target()) {
        move(candidate, queue::probation);
        continue;
      }
      const slot_id incumbent = next_of_main(chances);
      if (incumbent == no_slot) return leave(candidate, left_window_);
      const std::uint32_t hash = hash_of(candidate);
      const bool better = sketch_.estimate(hash) > sketch_.estimate(hash_of(incumbent));
      // Having come this far is worth remembering when the key returns.
      sketch_.raise(hash, 1);
      if (!better) return leave(candidate, left_window_);
      move(candidate, queue::probation);
      return leave(incumbent, left_main_);
    }
    const slot_id slot = next_of_main(chances);
    if (slot != no_slot) return leave(slot, left_main_);
    return window_.empty() ? no_slot : leave(window_.oldest(), left_window_);
  }

 private:
  enum class queue : std::uint8_t { window, probation, guarded };

  static constexpr std::uint32_t initial_window = 50;    // one part of the entries in
  static constexpr std::uint32_t smallest_window = 100;  // one part in
  static constexpr std::uint32_t steps_per_entry = 5;    // a ghost that is asked for moves the border by one step
  static constexpr std::uint32_t ghost_share = 10;       // one part of the entries in, for each of the two
  static constexpr std::uint32_t sample_per_entry = 5;   // accesses per entry between halvings of the sketch

  [[nodiscard]] std::uint32_t hash_of(slot_id slot) const noexcept {
    return hashes_[slot].load(std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint32_t window_target() const noexcept {
    return static_cast<std::uint32_t>(window_share_ / steps_per_entry);
  }
  [[nodiscard]] std::uint32_t main_target() const noexcept { return entries_ - window_target(); }
  [[nodiscard]] std::uint32_t guarded_target() const noexcept { return main_target() - main_target() / 10; }
  [[nodiscard]] std::uint32_t main_size() const noexcept { return probation_.size() + guarded_.size(); }

  void adapt(std::uint32_t hash) noexcept {
    const bool from_window = left_window_.take(hash);
    const bool from_main = left_main_.take(hash);
    if (from_window == from_main) return;
    const std::uint64_t smallest =
        std::max(std::uint64_t{entries_} * steps_per_entry / smallest_window, std::uint64_t{steps_per_entry});
    const std::uint64_t largest = std::max(std::uint64_t{entries_} * steps_per_entry * 99 / 100, smallest);
    if (from_window && window_share_ < largest) ++window_share_;
    if (from_main && window_share_ > smallest) --window_share_;
  }

  // Whether the entry was asked for since it was last looked at; if so, the sketch learns it now.
  bool settle(slot_id slot) noexcept {
    const std::uint8_t count = counts_[slot].load(std::memory_order_relaxed);
    if (count == 0) return false;
    counts_[slot].store(0, std::memory_order_relaxed);
    // All hits count for the frequency, but only one for its ageing: else a burst of settlements would age it at once.
    const std::uint32_t hash = hash_of(slot);
    sketch_.add(hash);
    sketch_.raise(hash, count - 1u);
    return true;
  }

  // Who would leave the main part next; stays in its queue.
  slot_id next_of_main(std::uint32_t& chances) noexcept {
    for (;;) {
      while (!guarded_.empty() && (probation_.empty() || guarded_.size() > guarded_target())) {
        const slot_id slot = guarded_.oldest();
        const bool stays = chances != 0 && settle(slot);
        if (stays) --chances;
        move(slot, stays ? queue::guarded : queue::probation);
      }
      const slot_id slot = probation_.oldest();
      if (slot == no_slot || chances == 0 || !settle(slot)) return slot;
      --chances;
      move(slot, queue::guarded);
    }
  }

  slot_id leave(slot_id slot, detail::ghost_set& ghosts) noexcept {
    ghosts.insert(hash_of(slot));
    erase(slot);
    return slot;
  }

  [[nodiscard]] detail::slot_list& list_of(slot_id slot) noexcept {
    switch (queue_of_[slot]) {
      case queue::probation:
        return probation_;
      case queue::guarded:
        return guarded_;
      default:
        return window_;
    }
  }

  void join(slot_id slot, queue which) noexcept {
    queue_of_[slot] = which;
    list_of(slot).push_newest(links_, slot);
  }

  void move(slot_id slot, queue to) noexcept {
    list_of(slot).remove(links_, slot);
    join(slot, to);
  }

  std::uint32_t entries_;
  std::uint64_t window_share_;  // steps
  detail::slot_links links_;
  const std::atomic<std::uint32_t>* hashes_;
  zeroed_array<queue> queue_of_;
  zeroed_array<std::atomic<std::uint8_t>> counts_;  // hits since the entry was last looked at
  detail::slot_list window_;
  detail::slot_list probation_;
  detail::slot_list guarded_;  // "protected" in the papers
  detail::frequency_sketch sketch_;
  detail::ghost_set left_window_;
  detail::ghost_set left_main_;
  slot_id newest_ = no_slot;  // the last one inserted, if it is still there
};

static_assert(ordered_policy<tinylfu_policy>);

}  // namespace banyan
