#pragma once

#include <banyan/cache/detail/shadow_cache.hpp>
#include <banyan/cache/eviction_policy.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
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
/// `request`: O(1) for each plan. Sequential code.
class expert_panel {
 public:
  static constexpr std::size_t experts = 6;

  expert_panel() = default;

  /// `entries`: the size of each shadow.
  explicit expert_panel(std::uint32_t entries)
      : forgetting_{1.0 / (10.0 * entries)}, least_margin_{entries / 20.0}, margin_{least_margin_} {
    for (std::size_t i = 0; i < experts; ++i) shadows_[i] = shadow_cache{entries, plans[i]};
  }

  /// A request for a hash, hit or miss. What the leader's shadow did with it.
  shadow_cache::outcome request(std::uint32_t hash) noexcept {
    shadow_cache::outcome leading;
    for (std::size_t i = 0; i < experts; ++i) {
      const shadow_cache::outcome seen = shadows_[i].request(hash);
      scores_[i] += (seen.hit ? 1.0 : 0.0) - scores_[i] * forgetting_;
      if (i == leader_) leading = seen;
    }
    margin_ += (least_margin_ - margin_) * forgetting_ * margin_decay;
    return leading;
  }

  /// Chooses a new leader if it is time to; whether it has changed.
  bool elect() noexcept {
    const auto best = static_cast<std::size_t>(std::max_element(scores_.begin(), scores_.end()) - scores_.begin());
    if (scores_[best] <= scores_[leader_] + margin_) return false;
    leader_ = best;
    margin_ = std::min(margin_ * margin_growth, least_margin_ * most_margin);
    return true;
  }

  [[nodiscard]] const shadow_cache& leader() const noexcept { return shadows_[leader_]; }
  [[nodiscard]] eviction_plan plan() const noexcept { return plans[leader_]; }

 private:
  using rule = eviction_plan::rule;

  // The first one leads until something is known: it is hardly ever far behind.
  static constexpr std::array<eviction_plan, experts> plans{{
      {.by = rule::distance, .window = 26, .memory = 2},
      {.by = rule::demotion, .window = 26, .memory = 1},
      {.by = rule::demotion, .window = 205, .memory = 1},
      {.by = rule::recency, .window = 0, .memory = 0},
      {.by = rule::distance, .window = 3, .memory = 4},
      {.by = rule::frequency, .window = 13, .memory = 4},
  }};

  static constexpr double margin_growth = 1.5;
  static constexpr double most_margin = 8.0;
  static constexpr double margin_decay = 0.5;

  std::array<shadow_cache, experts> shadows_;
  std::array<double, experts> scores_{};
  double forgetting_ = 0;
  double least_margin_ = 0;
  double margin_ = 0;
  std::size_t leader_ = 0;
};

}  // namespace banyan::detail
