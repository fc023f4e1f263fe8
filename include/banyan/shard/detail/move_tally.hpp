#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include <banyan/shard/reshard_plan.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan::detail {

/// Counts keys by where they are and where they go.
class move_tally {
 public:
  void add(shard_id from, shard_id to, std::uint64_t keys = 1) {
    counts_[{from, to}] += keys;
    total_ += keys;
  }

  /// A move that is known to be there even if no key counted shows it.
  void mention(shard_id from, shard_id to) { counts_.try_emplace({from, to}, 0); }

  /// Fills in moves and shares. Nothing must have been counted but for `mention` where the plan is not weighed.
  void write(reshard_plan& plan) const {
    const double unknown = plan.weighed ? 0 : std::nan("");
    const auto share = [&](std::uint64_t keys) {
      return plan.weighed ? static_cast<double>(keys) / static_cast<double>(total_) : unknown;
    };
    std::uint64_t moved = 0;
    std::uint64_t abandoned = 0;
    std::map<shard_id, std::int64_t> gain;
    for (const auto& [route, keys] : counts_) {
      const auto [from, to] = route;
      if (from == no_shard || from == to) continue;
      plan.moves.push_back({from, to, share(keys)});
      if (to == no_shard) {
        abandoned += keys;
        continue;
      }
      moved += keys;
      gain[to] += static_cast<std::int64_t>(keys);
      gain[from] -= static_cast<std::int64_t>(keys);
    }
    std::stable_sort(plan.moves.begin(), plan.moves.end(),
                     [](const reshard_move& a, const reshard_move& b) { return a.share > b.share; });
    // A shard that has more keys afterwards must get them from somewhere; and that suffices.
    std::uint64_t least = 0;
    for (const auto& [shard, keys] : gain) least += keys > 0 ? static_cast<std::uint64_t>(keys) : 0;
    plan.moved = share(moved);
    plan.minimum = share(least);
    plan.abandoned = share(abandoned);
  }

  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

 private:
  std::map<std::pair<shard_id, shard_id>, std::uint64_t> counts_;
  std::uint64_t total_ = 0;
};

/// Half of Wilson's interval for a share seen in `n` draws, at 95 %.
[[nodiscard]] inline double wilson_margin(double share, std::uint64_t n) {
  constexpr double z = 1.959964;
  const auto draws = static_cast<double>(n);
  return z / (1 + z * z / draws) * std::sqrt(share * (1 - share) / draws + z * z / (4 * draws * draws));
}

}  // namespace banyan::detail
