#pragma once

#include <banyan/cache/detail/insertion_history.hpp>
#include <banyan/cache/detail/slot_list.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace banyan::detail {

/// How `segmented_queues` decide who stays: a known policy, told as a way to use two queues and a memory.
struct eviction_plan {
  enum class rule : std::uint8_t {
    /// Second chance: one queue; whoever was used since he joined joins again. Follows LRU closely. (Corbató 1968)
    recency,
    /// Main queue only for entries used twice in the window, or back soon. (S3-FIFO: Yang et al., SOSP 2023)
    demotion,
    /// Main queue for entries that came back sooner than its own oldest were used. It refuses what comes back late,
    /// so that of a loop that does not fit a part stays. (LIRS: Jiang and Zhang, SIGMETRICS 2002; with clock hands as
    /// in CLOCK-Pro: Jiang, Chen and Zhang, USENIX ATC 2005)
    distance,
    /// Main queue for entries that came more often than its oldest. (TinyLFU: Einziger, Friedman and Manes, ACM
    /// Transactions on Storage 2017; here counts age as the hand passes, and no sketch is needed)
    frequency,
  };

  rule by = rule::recency;
  std::uint8_t window = 0;  ///< the window queue's share, in 1/256
  std::uint8_t memory = 0;  ///< how far back an earlier insertion counts, in cache sizes
};

/// Entries in two queues, a window for newcomers and a main queue for the proven, ruled by an `eviction_plan` that may
/// change at any time: the queues, the marks and the memory mean the same under every plan.
///
/// A hit only raises the entry's mark, at most to 3. Everything else happens at the queues' oldest ends: there a mark
/// is used up and decides. Time is counted in insertions.
///
/// Memory: 12 bytes per slot and 3.2 for each entry remembered after it has left. `stamp`, `touch`, `mark`: any thread,
/// wait-free. The rest is sequential code: `insert` and `erase` O(1), `victim` O(1) (at most `most_steps` entries are
/// looked at).
class segmented_queues {
 public:
  segmented_queues() = default;

  segmented_queues(std::uint32_t slots, std::uint32_t entries, std::uint32_t remembered, eviction_plan plan)
      : plan_{plan},
        unit_{entries > 2048 ? static_cast<std::uint32_t>(std::bit_width(entries - 1)) - 11u : 0u},
        span_{std::max(entries >> unit_, 1u)},
        links_{slots},
        notes_{slots},
        marks_{slots},
        history_{remembered, remembered >> unit_} {}

  [[nodiscard]] std::uint32_t size() const noexcept { return window_.size() + main_.size(); }

  void stamp(slot_id slot) noexcept { marks_[slot].store(0, std::memory_order_relaxed); }

  void touch(slot_id slot) noexcept {
    const std::uint8_t mark = marks_[slot].load(std::memory_order_relaxed);
    if (mark < warm) marks_[slot].store(static_cast<std::uint8_t>(mark + 1), std::memory_order_relaxed);
  }

  /// Takes the mark away; whether there was one.
  bool use_up(slot_id slot) noexcept {
    if (mark(slot) == 0) return false;
    marks_[slot].store(0, std::memory_order_relaxed);
    return true;
  }

  [[nodiscard]] std::uint8_t mark(slot_id slot) const noexcept { return marks_[slot].load(std::memory_order_relaxed); }

  /// Goes on under another plan. Entries move when their turn comes.
  void follow(eviction_plan plan) noexcept {
    plan_ = plan;
    // What a former plan has put into the main queue has to show once more that it is used: S3-FIFO itself evicts from
    // there only when the window is short, and dead entries would stay for ever.
    on_trial_ = plan.by == eviction_plan::rule::demotion ? main_.size() : 0;
  }

  void insert(slot_id slot, std::uint32_t hash) noexcept {
    ++insertions_;
    const auto known = history_.take(hash, now(), plan_.memory * span_);
    note& mine = notes_[slot];
    mine.use(now());
    mine.count(known.count);
    join(slot, known.count != 0 && proven_by_memory(known) ? queue::main : queue::window);
  }

  /// What `victim` has returned is remembered under its hash.
  void remember(slot_id slot, std::uint32_t hash) noexcept {
    history_.put(hash, now(), notes_[slot].used(), notes_[slot].count());
  }

  void erase(slot_id slot) noexcept { list(notes_[slot].in()).remove(links_, slot); }

  /// Takes out and returns who leaves next; `no_slot` when there is nobody.
  [[nodiscard]] slot_id victim() noexcept {
    std::uint32_t moves = 0;
    for (std::uint32_t step = 0;; ++step) {
      const bool from_window = leaves_from_window();
      const slot_id slot = (from_window ? window_ : main_).pop_oldest(links_);
      if (slot == no_slot || step == most_steps) return slot;
      const std::uint8_t marked = mark(slot);
      if (from_window ? !stays_from_window(slot, marked, moves) : !stays_from_main(slot, marked)) return slot;
    }
  }

 private:
  enum class queue : std::uint8_t { window, main };

  // Three bytes for each slot: there are millions.
  class note {
   public:
    /// A time after which it was not used, but for its mark; 16 bits of it.
    [[nodiscard]] std::uint32_t used() const noexcept { return used_[0] | std::uint32_t{used_[1]} << 8; }
    void use(std::uint32_t now) noexcept {
      used_[0] = static_cast<std::uint8_t>(now);
      used_[1] = static_cast<std::uint8_t>(now >> 8);
    }

    /// How often it was used, as far as seen; at most `most_counted`.
    [[nodiscard]] std::uint32_t count() const noexcept { return count_and_queue_ >> 1; }
    void count(std::uint32_t times) noexcept { count_and_queue_ = pack(times, in()); }

    [[nodiscard]] queue in() const noexcept { return (count_and_queue_ & 1) != 0 ? queue::main : queue::window; }
    void join(queue which) noexcept { count_and_queue_ = pack(count(), which); }

   private:
    static std::uint8_t pack(std::uint32_t count, queue which) noexcept {
      return static_cast<std::uint8_t>(count << 1 | (which == queue::main ? 1u : 0u));
    }

    std::array<std::uint8_t, 2> used_;
    std::uint8_t count_and_queue_;
  };
  static_assert(sizeof(note) == 3);

  static constexpr std::uint32_t most_counted = 15;

  static constexpr std::uint8_t warm = 3;
  static constexpr std::uint32_t most_steps = 64;
  // A main queue with room, as after a change of plan, fills by so many entries for each that leaves.
  static constexpr std::uint32_t most_moves = 8;
  // A challenger meets so many of the main queue's oldest before it has lost.
  static constexpr int most_duels = 4;

  using rule = eviction_plan::rule;

  [[nodiscard]] std::uint32_t now() const noexcept { return insertions_ >> unit_; }

  [[nodiscard]] std::uint32_t age(const note& n) const noexcept { return static_cast<std::uint16_t>(now() - n.used()); }

  [[nodiscard]] slot_list& list(queue which) noexcept { return which == queue::main ? main_ : window_; }

  // Of what is there, not of the capacity: with weights, fewer entries fit.
  [[nodiscard]] std::uint32_t window_target() const noexcept {
    return std::max(1u, static_cast<std::uint32_t>(std::uint64_t{size()} * plan_.window >> 8));
  }

  [[nodiscard]] bool main_has_room() const noexcept { return window_.size() > window_target(); }

  [[nodiscard]] bool leaves_from_window() const noexcept {
    if (main_.empty()) return true;
    if (plan_.by == rule::recency || on_trial_ != 0) return false;
    return window_.size() > window_target();
  }

  void join(slot_id slot, queue which) noexcept {
    notes_[slot].join(which);
    list(which).push_newest(links_, slot);
  }

  // Joins a queue anew, with its mark turned into a note of its use.
  void rejoin(slot_id slot, queue which, std::uint8_t marked, std::uint8_t left) noexcept {
    note& mine = notes_[slot];
    if (marked != 0) {
      mine.use(now());
      mine.count(std::min(mine.count() + marked, most_counted));
      marks_[slot].store(left, std::memory_order_relaxed);
    }
    join(slot, which);
  }

  [[nodiscard]] bool proven_by_memory(insertion_history::finding known) noexcept {
    switch (plan_.by) {
      case rule::recency:
        return false;
      case rule::demotion:
        return true;
      case rule::distance:
        return beats_main([&](const note& oldest) { return age(oldest) > known.distance; });
      case rule::frequency:
        return beats_main([&](const note& oldest) { return oldest.count() < known.count; });
    }
    return false;
  }

  // Whether somebody may join the main queue: there is room, or its oldest unused entry loses and steps back into the
  // window. Used ones go round.
  template <class Loses>
  [[nodiscard]] bool beats_main(Loses loses) noexcept {
    if (main_has_room()) return true;
    for (int duel = 0; duel < most_duels && !main_.empty(); ++duel) {
      const slot_id oldest = main_.oldest();
      const std::uint8_t marked = mark(oldest);
      if (marked == 0 && !loses(notes_[oldest])) {
        if (plan_.by == rule::frequency) send_round(oldest);
        return false;
      }
      main_.remove(links_, oldest);
      rejoin(oldest, marked == 0 ? queue::window : queue::main, marked, 0);
      if (marked == 0) return true;
    }
    return false;
  }

  // The winner by frequency makes way for the next to be challenged, and loses a count now and then: or the main
  // queue would never change again.
  void send_round(slot_id slot) noexcept {
    main_.remove(links_, slot);
    if (note& mine = notes_[slot]; ++wins_ % 4 == 0 && mine.count() != 0) mine.count(mine.count() - 1);
    join(slot, queue::main);
  }

  // For an entry just taken from the window's end: puts it back somewhere, or lets it go.
  [[nodiscard]] bool stays_from_window(slot_id slot, std::uint8_t marked, std::uint32_t& moves) noexcept {
    if (plan_.by == rule::recency) {
      if (marked != 0) rejoin(slot, queue::window, marked, 0);
      return marked != 0;
    }
    if (plan_.by == rule::demotion) {
      if (marked >= 2) rejoin(slot, queue::main, marked, 0);
      return marked >= 2;
    }
    const note mine = notes_[slot];
    const bool by_distance = plan_.by == rule::distance;
    bool promoted = false;
    if (main_has_room() && moves < most_moves) {
      ++moves;
      promoted = true;
    } else if (by_distance) {
      promoted = marked != 0 && beats_main([&](const note& oldest) { return age(oldest) > age(mine); });
    } else {
      promoted = beats_main([&](const note& oldest) { return oldest.count() < mine.count() + marked; });
    }
    if (promoted || marked != 0) rejoin(slot, promoted ? queue::main : queue::window, marked, 0);
    return promoted || marked != 0;
  }

  [[nodiscard]] bool stays_from_main(slot_id slot, std::uint8_t marked) noexcept {
    if (on_trial_ != 0) --on_trial_;
    if (marked == 0) return false;
    const bool by_recency = plan_.by == rule::recency;
    rejoin(slot, by_recency ? queue::window : queue::main, marked,
           by_recency ? std::uint8_t{0} : static_cast<std::uint8_t>(marked - 1));
    return true;
  }

  eviction_plan plan_;
  std::uint32_t unit_ = 0;  // time advances every 2^unit insertions, so that a cache size is at most 2048
  std::uint32_t span_ = 1;  // the cache's size in time
  std::uint32_t insertions_ = 0;
  std::uint32_t on_trial_ = 0;  // so many of the main queue's oldest leave if they are not used
  std::uint32_t wins_ = 0;
  slot_links links_;
  zeroed_array<note> notes_;
  zeroed_array<std::atomic<std::uint8_t>> marks_;
  slot_list window_;
  slot_list main_;
  insertion_history history_;
};

}  // namespace banyan::detail
