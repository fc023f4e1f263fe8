#pragma once

#include <banyan/cache/detail/expert_panel.hpp>
#include <banyan/cache/detail/imitated_contents.hpp>
#include <banyan/cache/detail/sample_ring.hpp>
#include <banyan/cache/detail/segmented_queues.hpp>
#include <banyan/cache/eviction_policy.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace banyan {

/// Does what the best of several policies would do, and finds out which one that is while it runs.
///
/// It watches a few small shadow caches, which hold hashes only and see a sample of the requests (all of them up to 512
/// entries; above that, those of a part of the hashes, so that a shadow of 256 entries stands for the whole cache).
/// Each follows a plan of its own: second chance, S3-FIFO with two window sizes, LIRS-like with two, and by frequency.
/// The cache follows the plan with most hits lately. A small cache imitates that shadow's contents; a larger one works
/// with queues that can follow any of the plans and changes over as entries reach the queues' ends.
///
/// When to use: when the load is not known or changes. When not to: where inserts must be as cheap as can be; they
/// cost more than in the other policies, most of all in caches below a thousand entries.
///
/// A hit raises the entry's mark: one relaxed store, and nothing when the entry is warm. A sampled hit is also noted in
/// the thread's own ring, where it waits for `collect`; what does not fit is lost, which costs only knowledge.
///
/// Memory: 12 bytes per slot and 5 per entry, and for the shadows about 200 KB, or up to 800 bytes per entry where it
/// imitates. `stamp`, `touch`, `rank`: O(1), wait-free. `insert`: O(1), but O(entries) when a cache of at most 512
/// entries changes its plan. `erase`, `victim`: O(1). `collect`: O(1) for each hit noted, at most 128.
class adaptive_policy {
 public:
  class local {
    friend adaptive_policy;
    detail::sample_ring hits_;
  };

  explicit adaptive_policy(const policy_limits& limits)
      : imitates_{limits.entries <= imitated_entries},
        sampled_below_{imitates_ ? ~std::uint64_t{0} : (std::uint64_t{shadow_entries} << 32) / limits.entries},
        hashes_{limits.hashes},
        experts_{imitates_ ? limits.entries : shadow_entries},
        queues_{limits.slots, limits.entries, imitates_ ? 0 : 3 * (limits.entries / 2), experts_.plan()} {
    if (imitates_) contents_ = detail::imitated_contents{limits.slots, limits.entries};
  }

  void stamp(slot_id slot, std::uint32_t, local&) noexcept { queues_.stamp(slot); }

  void touch(slot_id slot, std::uint32_t hash, local& mine) noexcept {
    queues_.touch(slot);
    if (sampled(hash)) mine.hits_.push(hash);
  }

  [[nodiscard]] std::uint64_t rank(slot_id slot) const noexcept { return queues_.mark(slot); }

  void collect(local& theirs) noexcept {
    theirs.hits_.drain([this](std::uint32_t hash) { learn(hash); });
  }

  void insert(slot_id slot, std::uint32_t hash) noexcept {
    if (sampled(hash)) learn(hash);
    if (imitates_) {
      contents_.insert(slot, hash, experts_.leader_holds(hash));
    } else {
      queues_.insert(slot, hash);
    }
  }

  void erase(slot_id slot) noexcept {
    if (imitates_) {
      contents_.erase(slot);
    } else {
      queues_.erase(slot);
    }
  }

  [[nodiscard]] slot_id victim() noexcept {
    if (!imitates_) {
      const slot_id slot = queues_.victim();
      if (slot != no_slot) queues_.remember(slot, hashes_[slot].load(std::memory_order_relaxed));
      return slot;
    }
    return contents_.victim([this](slot_id slot) { return queues_.use_up(slot); });
  }

 private:
  static constexpr std::uint32_t imitated_entries = 512;
  static constexpr std::uint32_t shadow_entries = 256;

  [[nodiscard]] bool sampled(std::uint32_t hash) const noexcept { return hash < sampled_below_; }

  // A request has come for this hash.
  void learn(std::uint32_t hash) noexcept {
    const auto leading = experts_.request(hash);
    if (imitates_) {
      if (!leading.hit) contents_.want(hash, true);
      if (leading.evicted) contents_.want(leading.evicted_hash, false);  // that may be the same one
    }
    if (experts_.elect()) {
      if (imitates_) {
        contents_.follow([this](std::uint32_t held) { return experts_.leader_holds(held); });
      } else {
        queues_.follow(experts_.plan());
      }
    }
  }

  bool imitates_;
  std::uint64_t sampled_below_;
  const std::atomic<std::uint32_t>* hashes_;
  detail::expert_panel experts_;
  detail::segmented_queues queues_;     // when it imitates: only the marks are used
  detail::imitated_contents contents_;  // unused when it does not
};

static_assert(ordered_policy<adaptive_policy>);

}  // namespace banyan
