#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/balance/detail/golden_walk.hpp>
#include <banyan/balance/detail/not_refused.hpp>
#include <banyan/balance/detail/smooth_cycle.hpp>
#include <banyan/balance/detail/weights.hpp>

namespace banyan {

/// In turn, by weight, as evenly as can be: weights 5, 1, 1 give a a b a c a a, and then the same again.
///
/// When to use: as `round_robin`, with endpoints of different but known strength.
///
/// The order is one of these, decided when the membership or a weight changes:
/// * equal weights: `round_robin`;
/// * weights in the ratio of whole numbers whose sum is at most 2^16, and times the number of endpoints at most 2^22:
///   exactly nginx's smooth weighted round robin, whose cycle is written out once (2 bytes a turn);
/// * else an endless sequence (`detail::golden_walk`, 8 bytes an endpoint) that is as even, with shares right to
///   within 2^-32 of the whole. gRPC's static stride scheduler has this place elsewhere; it caps a weight at ten times
///   the mean to stay fast, this does not.
///
/// Each thread goes through the sequence for itself; the first begins at its beginning, later ones elsewhere.
///
/// `choose` is wait-free and O(1) (in the third case expected, over many turns).
class smooth_weighted_round_robin {
 public:
  struct options {};

  /// What `build` makes.
  class table {
   public:
    /// Weights above 0 and finite. O(n) or, where the cycle is written out, O(n * cycle). Throws `std::bad_alloc`.
    explicit table(std::span<const double> weights) : size_{static_cast<std::uint32_t>(weights.size())} {
      if (weights.empty() || detail::all_equal(weights)) return;
      const std::vector<std::int32_t> whole = detail::whole_ratio(weights);
      if (whole.empty()) {
        endless_ = detail::golden_walk{weights};
        length_ = std::uint64_t{1} << 62;
      } else {
        cycle_ = detail::smooth_cycle(whole);
        length_ = cycle_.size();
      }
    }

    /// After so many turns it begins anew.
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }

    /// Who has a turn below `length()`.
    [[nodiscard]] std::uint32_t at(std::uint64_t turn) const noexcept {
      if (!cycle_.empty()) return cycle_[turn];
      return length_ == size_ ? static_cast<std::uint32_t>(turn) : endless_.at(turn);
    }

    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

   private:
    std::uint32_t size_;
    std::uint64_t length_ = size_;
    std::vector<std::uint16_t> cycle_;
    detail::golden_walk endless_;
  };

  smooth_weighted_round_robin() noexcept = default;
  explicit smooth_weighted_round_robin(options) noexcept {}

  /// Throws `std::bad_alloc`.
  [[nodiscard]] table build(std::span<const candidate> candidates) const {
    return table{detail::weights_of(candidates)};
  }

  [[nodiscard]] std::uint32_t choose(const table& turns, std::span<const candidate>,
                                     pick_context& context) const noexcept {
    std::uint32_t index = turns.at(context.advance(turns.length()));
    if (context.open()) [[likely]]
      return index;
    // The turns that follow may be the refused one's as well.
    for (std::uint32_t more = context.selective() ? detail::most_asked : 4; more > 0 && context.refused(index); --more)
      index = turns.at(context.advance(turns.length()));
    return detail::not_refused(index, turns.size(), context);
  }
};

static_assert(balance_policy<smooth_weighted_round_robin>);

}  // namespace banyan
