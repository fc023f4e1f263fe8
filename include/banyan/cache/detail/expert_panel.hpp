#pragma once

#include <banyan/cache/detail/segmented_queues.hpp>
#include <banyan/cache/detail/slot_index.hpp>
#include <banyan/cache/eviction_policy.hpp>
#include <banyan/core/zeroed_array.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace banyan::detail {

/// Shadow caches side by side, one for each of a few eviction plans that fail on different loads, all seeing the same
/// requests; and the choice which of them to follow.
///
/// Each one's hits are counted with exponential forgetting. The leader changes when another is ahead by a margin: a
/// share of the cache's size, as that is what a change costs (the cache has to fetch what the new leader holds). Each
/// change raises the margin for a while, so that loads which swing faster than the cache can follow do not drag it to
/// and fro. (Prediction with expert advice under switching costs; the idea to let a cache follow whichever policy's
/// simulated contents do better is in "adaptive caching by refetching", Gramacy, Warmuth, Brandt and Ari, NIPS 2002.)
///
/// A shadow cache holds hashes only. The shadows hold mostly the same ones, so they share one index and one numbering:
/// a hash has a slot while any of them holds it.
///
/// Memory: at most 13 bytes for each expert's share in each slot and 21 per slot, for as many slots as are needed at a
/// time, and 26 bytes per entry and expert. `request`: O(1) for each plan. Sequential code.
class expert_panel {
 public:
  static constexpr std::uint32_t experts = 6;

  /// What the leader's shadow did with a request.
  struct outcome {
    bool hit = false;
    bool evicted = false;
    std::uint32_t evicted_hash = 0;
  };

  /// `entries`: the size of each shadow.
  explicit expert_panel(std::uint32_t entries)
      : entries_{entries},
        index_{experts * entries + 1, 2 * entries},
        holders_{experts * entries + 1},
        vacant_{experts * entries + 1},
        forgetting_{1.0 / (10.0 * entries)},
        least_margin_{entries / 20.0},
        margin_{least_margin_} {
    for (std::uint32_t i = 0; i < experts; ++i) {
      shadows_[i] = segmented_queues{experts * entries + 1, entries, 8 * entries, plans[i]};
    }
  }

  /// A request for a hash, hit or miss.
  outcome request(std::uint32_t hash) noexcept {
    slot_id slot = index_.find(hash);
    if (slot == no_slot) {
      slot = vacancies_ != 0 ? vacant_[--vacancies_] : numbered_++;
      index_.insert(slot, hash);
    }
    outcome leading;
    const std::uint32_t holders = holders_[slot];
    for (std::uint32_t i = 0; i < experts; ++i) {
      scores_[i] -= scores_[i] * forgetting_;
      if ((holders >> i & 1) != 0) {
        shadows_[i].touch(slot);
        scores_[i] += 1;
        if (i == leader_) leading.hit = true;
        continue;
      }
      const slot_id leaving = admit(i, slot, hash);
      if (leaving == no_slot) continue;
      if (i == leader_) leading = {.hit = false, .evicted = true, .evicted_hash = index_.hash(leaving)};
      if (holders_[leaving] == 0 && leaving != slot) vacate(leaving);
    }
    if (holders_[slot] == 0) vacate(slot);
    margin_ += (least_margin_ - margin_) * forgetting_ * margin_decay;
    return leading;
  }

  /// Chooses a new leader if it is time to; whether it has changed.
  bool elect() noexcept {
    const auto best = static_cast<std::uint32_t>(std::max_element(scores_.begin(), scores_.end()) - scores_.begin());
    if (scores_[best] <= scores_[leader_] + margin_) return false;
    leader_ = best;
    margin_ = std::min(margin_ * margin_growth, least_margin_ * most_margin);
    return true;
  }

  /// Whether the leader's shadow holds this hash.
  [[nodiscard]] bool leader_holds(std::uint32_t hash) const noexcept {
    const slot_id slot = index_.find(hash);
    return slot != no_slot && (holders_[slot] >> leader_ & 1) != 0;
  }
  [[nodiscard]] eviction_plan plan() const noexcept { return plans[leader_]; }

 private:
  using rule = eviction_plan::rule;

  // The first one leads until something is known: it is hardly ever far behind.
  static constexpr std::array<eviction_plan, experts> plans{{
      {.by = rule::distance, .window = 26, .memory = 2},
      {.by = rule::demotion, .window = 26, .memory = 1},
      {.by = rule::demotion, .window = 205, .memory = 1},
      {.by = rule::recency, .window = 0, .memory = 0},
      {.by = rule::distance, .window = 3, .memory = 8},
      {.by = rule::frequency, .window = 13, .memory = 4},
  }};

  static constexpr double margin_growth = 1.5;
  static constexpr double most_margin = 8.0;
  static constexpr double margin_decay = 0.5;

  // The shadow takes the hash in; who leaves for it, if anybody does.
  slot_id admit(std::uint32_t expert, slot_id slot, std::uint32_t hash) noexcept {
    segmented_queues& shadow = shadows_[expert];
    shadow.stamp(slot);
    shadow.insert(slot, hash);
    holders_[slot] = static_cast<std::uint8_t>(holders_[slot] | 1u << expert);
    if (shadow.size() <= entries_) return no_slot;
    const slot_id leaving = shadow.victim();
    shadow.remember(leaving, index_.hash(leaving));
    holders_[leaving] = static_cast<std::uint8_t>(holders_[leaving] & ~(1u << expert));
    return leaving;
  }

  void vacate(slot_id slot) noexcept {
    index_.remove(slot);
    vacant_[vacancies_++] = slot;
  }

  std::uint32_t entries_;
  slot_index index_;
  zeroed_array<std::uint8_t> holders_;  // by slot: bit i is set while shadow i holds its hash
  zeroed_array<slot_id> vacant_;        // a stack of numbers used before
  std::uint32_t vacancies_ = 0;
  std::uint32_t numbered_ = 0;
  std::array<segmented_queues, experts> shadows_;
  std::array<double, experts> scores_{};
  double forgetting_;
  double least_margin_;
  double margin_;
  std::uint32_t leader_ = 0;
};

static_assert(expert_panel::experts <= 8, "holders are bits of a byte");

}  // namespace banyan::detail
