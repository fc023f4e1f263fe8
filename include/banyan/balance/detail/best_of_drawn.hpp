#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/alias_table.hpp>
#include <banyan/balance/detail/not_refused.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// How busy a candidate is. `cost` is before the division by its weight.
struct burden {
  double cost = 0;
  bool idle = false;  ///< all idle ones are as good as each other
};

/// Finds the one with the lowest cost by weight; but when that one is idle, the first of the idle ones.
class least_burdened {
 public:
  void offer(std::uint32_t index, burden its, double weight) noexcept {
    // cost / weight, without the division
    if (best_ == pick_context::none || its.cost * best_weight_ < best_cost_ * weight) {
      best_ = index;
      best_cost_ = its.cost;
      best_weight_ = weight;
      best_idle_ = its.idle;
    }
    if (its.idle && first_idle_ == pick_context::none) first_idle_ = index;
  }

  [[nodiscard]] std::uint32_t index() const noexcept { return best_idle_ ? first_idle_ : best_; }

 private:
  std::uint32_t best_ = pick_context::none;
  std::uint32_t first_idle_ = pick_context::none;
  double best_cost_ = 0;
  double best_weight_ = 1;
  bool best_idle_ = false;
};

/// Draws different candidates by weight, and takes the least burdened.
///
/// They are drawn by weight, and what they have to do is compared by weight, too. Drawn alike and compared by weight, a
/// candidate of little weight would meet a heavier one nearly each time, and get nothing while there is little to do;
/// drawn by weight and compared as they are, all would end up with the same number of requests. And when nobody has
/// anything to do, the first drawn is taken: so shares go by weight also then.
///
/// Source: M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001; with
/// weights, P. Berenbrink et al., "Balls into non-uniform bins", IPDPS 2010.
class best_of_drawn {
 public:
  static constexpr std::uint32_t most = 16;

  /// `weigh(candidate)` gives its `burden`. None when all have been refused. O(choices), wait-free but for `weigh`.
  template <class Weigh>
  [[nodiscard]] static std::uint32_t choose(std::uint32_t choices, const alias_table& shares,
                                            std::span<const candidate> candidates, pick_context& context,
                                            Weigh weigh) noexcept {
    const std::uint32_t size = shares.size();
    if (choices == 2 && context.attempt() == 0 && size > 1) [[likely]] {
      const auto [first, second] = two(shares, size, context);
      // As `least_burdened`, without a branch: who is less busy cannot be predicted.
      const burden of_first = weigh(candidates[first]);
      const burden of_second = weigh(candidates[second]);
      const bool both_idle = of_first.idle && of_second.idle;
      const bool second_lower =
          of_second.cost * candidates[first].weight() < of_first.cost * candidates[second].weight();
      return (!both_idle && second_lower) ? second : first;
    }
    least_burdened best;
    const auto offer = [&](std::uint32_t index) noexcept {
      best.offer(index, weigh(candidates[index]), candidates[index].weight());
    };
    std::array<std::uint32_t, most> drawn;
    std::uint32_t count = 0;
    const auto taken = [&](std::uint32_t index) noexcept {
      if (context.refused(index)) return true;
      for (std::uint32_t i = 0; i < count; ++i) {
        if (drawn[i] == index) return true;
      }
      return false;
    };
    while (count < choices) {
      std::uint32_t index = shares.draw(context());
      for (std::uint32_t redraws = 3; redraws > 0 && taken(index); --redraws) index = shares.draw(context());
      // Then the next one; so many are taken at most.
      std::uint32_t steps = context.attempt() + count;
      for (; steps > 0 && taken(index); --steps) index = index + 1 < size ? index + 1 : 0;
      if (taken(index)) break;
      drawn[count++] = index;
      offer(index);
    }
    return best.index();
  }

 private:
  struct pair {
    std::uint32_t first;
    std::uint32_t second;
  };

  [[nodiscard]] static pair two(const alias_table& shares, std::uint32_t size, pick_context& context) noexcept {
    if (shares.uniform()) {
      const std::uint64_t random = context();
      const auto first = static_cast<std::uint32_t>(((random >> 32) * size) >> 32);
      const auto other = static_cast<std::uint32_t>(((random & 0xffff'ffffU) * (size - 1)) >> 32);
      return {first, other < first ? other : other + 1};
    }
    // Twice the same is frequent among few: then any other, without a branch that cannot be predicted.
    const std::uint64_t random = context();
    const std::uint32_t first = shares.draw(random);
    const std::uint64_t more = (random ^ (random >> 29)) * 0x9e3779b97f4a7c15U;  // spread once more
    const std::uint32_t drawn = shares.draw(more);
    const std::uint64_t further = (more * 0xbf58476d1ce4e5b9U) >> 32;
    const auto other = static_cast<std::uint32_t>((further * (size - 1)) >> 32);
    const std::uint32_t any_other = other + (other >= first ? 1 : 0);
    const std::uint32_t second = drawn == first ? any_other : drawn;
    return {first, second};
  }
};

}  // namespace banyan::detail
