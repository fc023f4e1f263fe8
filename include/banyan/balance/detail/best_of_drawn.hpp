#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/alias_table.hpp>
#include <banyan/balance/detail/not_refused.hpp>
#include <banyan/core/detail/attributes.hpp>
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

  /// `weigh(candidate)` gives its `burden`. None when all that were drawn are refused. O(choices), wait-free but for
  /// `weigh`.
  template <class Weigh>
  [[nodiscard]] static std::uint32_t choose(std::uint32_t choices, const alias_table& shares,
                                            std::span<const candidate> candidates, pick_context& context,
                                            Weigh weigh) noexcept {
    const std::uint32_t size = shares.size();
    const std::uint64_t random = context();  // another one would have to be waited for
    if (choices == 2 && size > 1 && context.attempt() == 0) [[likely]] {
      const auto [first, second] = two(shares, size, random);
      if (!context.selective() || context.welcome(std::array{first, second}) == 3) [[likely]] {
        return lighter(first, second, candidates, weigh);
      }
    }
    return best_of_several(choices, shares, candidates, context, random, weigh);
  }

 private:
  using indexes = std::array<std::uint32_t, most>;
  struct pair {
    std::uint32_t first;
    std::uint32_t second;
  };

  static constexpr std::uint32_t at_once = 4;  // are asked for together
  static constexpr std::uint32_t rounds = most_asked / at_once;
  static constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;  // 2^64 over the golden ratio: multiples spread evenly

  // As `least_burdened`, without a branch: who is less busy cannot be predicted.
  template <class Weigh>
  [[nodiscard]] BANYAN_ALWAYS_INLINE static std::uint32_t lighter(std::uint32_t first, std::uint32_t second,
                                                                  std::span<const candidate> candidates,
                                                                  Weigh weigh) noexcept {
    const burden of_first = weigh(candidates[first]);
    const burden of_second = weigh(candidates[second]);
    const bool both_idle = of_first.idle && of_second.idle;
    const bool second_lower = of_second.cost * candidates[first].weight() < of_first.cost * candidates[second].weight();
    return (!both_idle && second_lower) ? second : first;
  }

  template <class Weigh>
  [[nodiscard, gnu::noinline]] static std::uint32_t best_of_several(std::uint32_t choices, const alias_table& shares,
                                                                    std::span<const candidate> candidates,
                                                                    pick_context& context, std::uint64_t random,
                                                                    Weigh weigh) noexcept {
    indexes drawn;
    std::uint32_t count = 0;
    // The first two came of it and would not do, which says something of its upper bits. Spread, it says nothing.
    random *= 0x94d049bb133111ebU;
    if (!context.selective()) {
      count = draw_more(drawn, choices, shares, context);
    } else if (shares.size() <= at_once) {
      count = draw_from_few(drawn, choices, shares, candidates, context, random);
    } else {
      count = draw_fit(drawn, choices, shares, context, random);
    }
    if (count == 2) return lighter(drawn[0], drawn[1], candidates, weigh);
    least_burdened best;
    for (std::uint32_t i = 0; i < count; ++i)
      best.offer(drawn[i], weigh(candidates[drawn[i]]), candidates[drawn[i]].weight());
    return best.index();
  }

  // All of these draw up to `choices` different ones that are not refused, and tell how many.
  [[nodiscard]] BANYAN_ALWAYS_INLINE static bool among(const indexes& drawn, std::uint32_t count,
                                                       std::uint32_t index) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (drawn[i] == index) return true;
    }
    return false;
  }

  [[nodiscard]] static std::uint32_t draw_more(indexes& drawn, std::uint32_t choices, const alias_table& shares,
                                               pick_context& context) noexcept {
    const std::uint32_t size = shares.size();
    std::uint32_t count = 0;
    const auto taken = [&](std::uint32_t index) noexcept {
      return context.refused(index) || among(drawn, count, index);
    };
    while (count < choices) {
      std::uint32_t index = shares.draw(context());
      for (std::uint32_t redraws = 3; redraws > 0 && taken(index); --redraws) index = shares.draw(context());
      // Then the next one; so many are taken at most.
      std::uint32_t steps = context.attempt() + count;
      for (; steps > 0 && taken(index); --steps) index = index + 1 < size ? index + 1 : 0;
      if (taken(index)) break;
      drawn[count++] = index;
    }
    return count;
  }

  // Where only some have what the request needs: four at once, until enough of them have it. By weight; at last, when
  // somebody of great weight is drawn all the time, any. Gives up when two rounds find nobody.
  [[nodiscard]] BANYAN_ALWAYS_INLINE static std::uint32_t draw_fit(indexes& drawn, std::uint32_t choices,
                                                                   const alias_table& shares, pick_context& context,
                                                                   std::uint64_t random) noexcept {
    std::uint32_t count = 0;
    for (std::uint32_t round = 0; round < rounds && (count > 0 || round < 2); ++round) {
      const std::array<std::uint32_t, at_once> some =
          shares.uniform() || round >= rounds / 2 ? four_of_all(shares.size(), random) : four_by_weight(shares, random);
      const std::uint32_t fit = context.welcome(some);
      if (fit == 15 && choices == 2 && some[0] != some[1]) {  // what follows then need not wait for the answer
        drawn[0] = some[0];
        drawn[1] = some[1];
        return 2;
      }
      for (std::uint32_t rest = fit; rest != 0; rest &= rest - 1) {
        const std::uint32_t one = some[static_cast<std::uint32_t>(std::countr_zero(rest))];
        if (among(drawn, count, one)) continue;
        drawn[count++] = one;
        if (count == choices) return count;
      }
      random = mix_bits(random + 4 * golden);
    }
    return count;
  }

  // `random` is spread by factors, which is enough for the upper half of the bits.
  [[nodiscard]] static std::array<std::uint32_t, at_once> four_of_all(std::uint64_t size,
                                                                      std::uint64_t random) noexcept {
    const auto place = [size](std::uint64_t bits) { return static_cast<std::uint32_t>(((bits >> 32) * size) >> 32); };
    return {place(random), place(random * 0x9e3779b97f4a7c15U), place(random * 0xd1342543de82ef95U),
            place(random * 0xf1357aea2e62a9c5U)};
  }
  [[nodiscard]] static std::array<std::uint32_t, at_once> four_by_weight(const alias_table& shares,
                                                                         std::uint64_t random) noexcept {
    return {shares.draw(random), shares.draw(mix_bits(random + golden)), shares.draw(mix_bits(random + 2 * golden)),
            shares.draw(mix_bits(random + 3 * golden))};
  }

  // The same where there are few: all of them are looked at.
  [[nodiscard]] static std::uint32_t draw_from_few(indexes& drawn, std::uint32_t choices, const alias_table& shares,
                                                   std::span<const candidate> candidates, pick_context& context,
                                                   std::uint64_t random) noexcept {
    const auto size = static_cast<std::uint32_t>(candidates.size());
    std::array<std::uint32_t, at_once> left{0, 1, 2, 3};
    const std::uint32_t fit = context.welcome(std::span{left}.first(size));
    std::uint32_t remain = 0;
    for (std::uint32_t i = 0; i < size; ++i) {
      left[remain] = i;
      remain += (fit >> i) & 1;
    }
    std::uint32_t count = 0;
    for (; remain > 0 && count < choices; ++count) {
      const std::uint32_t place = draw_place(std::span{left}.first(remain), shares, candidates, random);
      drawn[count] = left[place];
      left[place] = left[--remain];
      random = shares.uniform() && count % 2 == 0 ? random << 32 : mix_bits(random + golden);
    }
    return count;
  }

  // A place in `left`, by weight.
  [[nodiscard]] static std::uint32_t draw_place(std::span<const std::uint32_t> left, const alias_table& shares,
                                                std::span<const candidate> candidates, std::uint64_t random) noexcept {
    if (shares.uniform()) return static_cast<std::uint32_t>(((random >> 32) * left.size()) >> 32);
    double weights = 0;
    for (const std::uint32_t each : left) weights += candidates[each].weight();
    double at = static_cast<double>(random >> 11) * 0x1p-53 * weights;
    std::uint32_t place = 0;
    for (; place + 1 < left.size() && at >= candidates[left[place]].weight(); ++place)
      at -= candidates[left[place]].weight();
    return place;
  }

  [[nodiscard]] BANYAN_ALWAYS_INLINE static pair two(const alias_table& shares, std::uint32_t size,
                                                     std::uint64_t random) noexcept {
    if (shares.uniform()) {
      const auto first = static_cast<std::uint32_t>(((random >> 32) * size) >> 32);
      const auto other = static_cast<std::uint32_t>(((random & 0xffff'ffffU) * (size - 1)) >> 32);
      return {first, other < first ? other : other + 1};
    }
    // Twice the same is frequent among few: then any other, without a branch that cannot be predicted.
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
