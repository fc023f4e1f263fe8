#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace banyan::detail {

/// A sequence without end in which each index comes in proportion to its weight, as evenly as for any weights is
/// possible without looking back: turn k has whoever owns the fractional part of k times the golden ratio, where each
/// index owns an interval as long as its share. An immutable value.
///
/// Between two turns of one index lie at most three different distances, next to its mean distance, and after N turns
/// its count is within about log N of its share. Shares are right to within 2^-32 of the whole; a weight below that
/// gets no turn.
///
/// Source: the three-distance theorem (V. Sos, 1958), by which no other multiple spreads better than the golden ratio;
/// the owner is found by a guide table (H. Chen, Y. Asau, "On generating random variates from an empirical
/// distribution", AIIE Transactions 6, 1974).
class golden_walk {
 public:
  golden_walk() = default;

  /// At least one weight, all above 0 and finite. O(n); 8 bytes each. Throws `std::bad_alloc`.
  explicit golden_walk(std::span<const double> weights) {
    // Divided by the largest first, so that no sum overflows.
    const double heaviest = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (const double each : weights) sum += each / heaviest;
    ends_.reserve(weights.size());
    double before = 0;
    std::uint32_t heir = 0;  // the last that owns a point: rounding must leave none without owner
    for (std::uint32_t i = 0; i < weights.size(); ++i) {
      before += weights[i] / heaviest;
      const double end = std::min(before / sum * 0x1p32, 0x1p32 - 1);
      const std::uint32_t previous = ends_.empty() ? 0 : ends_.back();
      ends_.push_back(static_cast<std::uint32_t>(end));
      if (ends_.back() > previous) heir = i;
    }
    guide_.reserve(ends_.size() + 1);
    std::uint32_t owner = 0;
    for (std::uint64_t i = 0; i < ends_.size(); ++i) {
      const auto first_point = static_cast<std::uint32_t>((i << 32) / ends_.size());
      while (owner < heir && ends_[owner] <= first_point) ++owner;
      guide_.push_back(owner);
    }
    guide_.push_back(heir);
  }

  /// Who has turn `turn`. Expected O(1) over many turns, O(log n) at worst; wait-free.
  [[nodiscard]] std::uint32_t at(std::uint64_t turn) const noexcept {
    constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;  // 2^64 divided by the golden ratio
    return owner(static_cast<std::uint32_t>((turn * golden) >> 32));
  }

  /// Bytes allocated.
  [[nodiscard]] std::size_t memory() const noexcept {
    return (ends_.capacity() + guide_.capacity()) * sizeof(std::uint32_t);
  }

 private:
  // The first whose interval ends after the point; one without a point ends where its predecessor does.
  [[nodiscard]] std::uint32_t owner(std::uint32_t point) const noexcept {
    const std::size_t part = (std::uint64_t{point} * ends_.size()) >> 32;
    std::uint32_t low = guide_[part];
    std::uint32_t high = guide_[part + 1];
    for (std::uint32_t steps = 3; low < high && steps > 0; --steps) {  // most end here
      if (ends_[low] > point) return low;
      ++low;
    }
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (ends_[middle] > point) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  std::vector<std::uint32_t> ends_;   // of each index's interval: the point after its last
  std::vector<std::uint32_t> guide_;  // owner of about the first point of each n-th part of the points, or one before
};

}  // namespace banyan::detail
