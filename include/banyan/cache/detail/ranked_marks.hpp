#pragma once

/// \file
/// The marks of a ranked policy, and the search for a low one.

#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/cache_line.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace banyan::detail {

/// One 64-bit mark per slot: its rank, or 0 when the slot is vacant. The slot with the lowest mark leaves first.
///
/// Up to `exact_limit` slots, `lowest` reads all marks, and its answer is exact when nothing else runs. Above that,
/// threads sweep the marks with a shared hand and take the first one at or below a threshold: the 1/32 quantile of a
/// random sample, taken anew each time the hand has moved on by half a turn. So a search reads some 32 adjacent
/// marks (four cache lines) on average, and its answer is one of the lowest 3 in a hundred, as a rule.
///
/// 8 bytes per slot, in the policy's keeping. All operations are lock-free: nothing waits for another thread, and
/// no search reads more than two turns of marks.
///
/// Marks are hints, and searching reads them relaxed. But whoever claims a slot goes on to look for its entry, and has
/// to find it: a claimed entry that was not found would stay until it is touched again. So a mark is stored after its
/// writer knows of the entry (`stamp`: it has linked it; `touch`: it has found it), and claiming acquires what that
/// writer knew. One gap is left, on machines where a thread may see a store before others do (Power): a touch that was
/// meant for the slot's former entry, and that comes between the stamp of the new one and its claim, tells nothing of
/// the new entry. A read-modify-write with each hit would close it.
class ranked_marks {
 public:
  using mark = std::atomic<std::uint64_t>;
  static_assert(mark::is_always_lock_free);

  /// Slots up to which `lowest` is exact.
  static constexpr std::uint32_t exact_limit = 512;

  /// A thread's part in the sweep; zero-initialised.
  struct local {
    std::uint64_t random = 0;
    std::uint32_t next = 0;  // slots [next, end) are what is left of this thread's block
    std::uint32_t end = 0;
  };

  /// A mark for each slot, zeros, which live as long as this.
  ranked_marks(std::span<mark> marks, std::uint64_t seed) noexcept : marks_{marks}, seed_{seed} {}

  [[nodiscard]] std::uint64_t load(slot_id slot) const noexcept { return marks_[slot].load(std::memory_order_relaxed); }
  void store(slot_id slot, std::uint64_t value) noexcept {
    // (1) release: pairs with the acquire in (2): the entry, which the caller has linked or found, and its hash.
    marks_[slot].store(value, std::memory_order_release);
  }

  /// Makes the slot vacant; false if it was.
  bool claim(slot_id slot) noexcept {
    // (2) acquire: pairs with the release in (1).
    return marks_[slot].exchange(0, std::memory_order_acquire) != 0;
  }

  /// What the last sample said a low mark is; 0 before the first.
  [[nodiscard]] std::uint64_t threshold() const noexcept { return threshold_.load(std::memory_order_relaxed); }

  /// An occupied slot of low mark in [0, high_water), never `keep`; `no_slot` when there is none.
  slot_id lowest(slot_id keep, std::uint32_t high_water, local& own) noexcept {
    if (high_water <= exact_limit) return lowest_of_all(keep, high_water);
    return sweep(keep, high_water, own);
  }

  /// The slot that this thread's sweep is likely to name next, for a prefetch; `no_slot` when it is not known yet.
  [[nodiscard]] slot_id upcoming(std::uint32_t high_water, local& own) const noexcept {
    const std::uint64_t low = threshold();
    for (; own.next < own.end && own.next < high_water; ++own.next) {
      if (load(own.next) - 1 < low) return own.next;
    }
    return no_slot;
  }

 private:
  static constexpr std::uint32_t block = 256;        // slots a thread takes from the hand at a time
  static constexpr std::uint32_t sample_size = 256;  // marks read for a threshold
  static constexpr std::uint32_t quantile = 32;      // the threshold is the 1/32 quantile

  struct candidate {
    std::uint64_t mark = ~std::uint64_t{0};  // less one: a vacant mark of 0 wraps to the highest value
    slot_id slot = no_slot;

    // By conditional moves: which mark is the lowest so far cannot be predicted.
    void meet(std::uint64_t other_mark, slot_id other) noexcept {
      const bool lower = other_mark < mark;
      mark = lower ? other_mark : mark;
      slot = lower ? other : slot;
    }
  };

  // Four independent chains: a single one would wait for its own comparison at every mark.
  void meet_all(candidate& best, slot_id from, slot_id to) const noexcept {
    candidate a = best;
    candidate b;
    candidate c;
    candidate d;
    slot_id slot = from;
    for (; slot + 4 <= to; slot += 4) {
      a.meet(load(slot) - 1, slot);
      b.meet(load(slot + 1) - 1, slot + 1);
      c.meet(load(slot + 2) - 1, slot + 2);
      d.meet(load(slot + 3) - 1, slot + 3);
    }
    for (; slot < to; ++slot) a.meet(load(slot) - 1, slot);
    a.meet(b.mark, b.slot);
    c.meet(d.mark, d.slot);
    a.meet(c.mark, c.slot);
    best = a;
  }

  [[nodiscard]] slot_id lowest_of_all(slot_id keep, std::uint32_t high_water) const noexcept {
    candidate best;
    meet_all(best, 0, keep < high_water ? keep : high_water);
    if (keep < high_water) meet_all(best, keep + 1, high_water);
    return best.slot;
  }

  [[nodiscard]] slot_id sweep(slot_id keep, std::uint32_t high_water, local& own) noexcept {
    std::uint64_t low = threshold();
    std::uint64_t best = 0;
    slot_id best_slot = no_slot;
    std::uint32_t until_sample = high_water < quantile * 64 ? high_water : quantile * 64;
    for (std::uint32_t steps = 0; steps < high_water + block; ++steps) {
      if (own.next >= own.end || own.next >= high_water) {
        next_block(high_water, own);
        low = threshold();
      }
      const slot_id slot = own.next++;
      const std::uint64_t value = load(slot);
      if (value - 1 < low && slot != keep) return slot;
      if (value - 1 < best - 1 && slot != keep) {
        best = value;
        best_slot = slot;
      }
      // A long way without a low mark: the threshold is out of date.
      if (--until_sample == 0) {
        low = sample(high_water, own);
        until_sample = high_water;
        if (best - 1 < low && load(best_slot) == best) return best_slot;
      }
    }
    return best_slot;
  }

  void next_block(std::uint32_t high_water, local& own) noexcept {
    const std::uint32_t blocks = (high_water + block - 1) / block;
    const std::uint32_t turn = hand_.fetch_add(1, std::memory_order_relaxed);
    own.next = turn % blocks * block;
    own.end = high_water - own.next < block ? high_water : own.next + block;
    const std::uint32_t sampled = sampled_.load(std::memory_order_relaxed);
    if (turn - sampled >= blocks / 2) {
      sampled_.store(turn, std::memory_order_relaxed);
      sample(high_water, own);
    }
  }

  // The quantile of a sample in even steps from a random start, which costs fewer cache misses than random places.
  // Keeps the lowest few in order.
  std::uint64_t sample(std::uint32_t high_water, local& own) noexcept {
    constexpr std::size_t kept = sample_size / quantile;
    std::array<std::uint64_t, kept> lowest{};
    lowest.fill(~std::uint64_t{0});
    std::uint32_t occupied = 0;
    const std::uint32_t step = high_water / sample_size;  // at least 2: see exact_limit
    auto slot = static_cast<std::uint32_t>(random(own) % high_water);
    for (std::uint32_t i = 0; i < sample_size; ++i) {
      const std::uint64_t value = load(slot);
      slot += step;
      if (slot >= high_water) slot -= high_water;
      if (value == 0) continue;
      ++occupied;
      if (value >= lowest[kept - 1]) continue;
      std::size_t place = kept - 1;
      for (; place > 0 && lowest[place - 1] > value; --place) lowest[place] = lowest[place - 1];
      lowest[place] = value;
    }
    if (occupied == 0) return threshold();
    const std::uint64_t low = lowest[occupied < quantile ? 0 : occupied / quantile - 1];
    threshold_.store(low, std::memory_order_relaxed);
    return low;
  }

  // SplitMix64 (Steele, Lea, Flood 2014), started from the seed and the order in which threads come.
  std::uint64_t random(local& own) noexcept {
    if (own.random == 0)
      own.random = seed_ + (joined_.fetch_add(1, std::memory_order_relaxed) + 1) * 0xd1342543de82ef95u;
    std::uint64_t x = own.random += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
  }

  std::span<mark> marks_;
  std::uint64_t seed_;
  std::atomic<std::uint64_t> joined_{0};                              // threads that have drawn a number
  alignas(cache_line_size) std::atomic<std::uint32_t> hand_{0};       // blocks handed out
  std::atomic<std::uint32_t> sampled_{0};                             // the hand at the last sample
  alignas(cache_line_size) std::atomic<std::uint64_t> threshold_{0};  // read with every block, written with samples
};

static_assert(ranked_marks::exact_limit >= 2 * 256, "a sample needs steps of two slots at least");

}  // namespace banyan::detail
