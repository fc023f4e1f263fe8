#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <banyan/balance/detail/weights.hpp>

namespace banyan::detail {

/// Draws indexes at random in proportion to weights. An immutable value.
///
/// All weights together fill as many columns of equal height as there are indexes; each column holds a part of its own
/// index and, above it, a part of at most one other. A draw is a column and a height. Where all weights are equal,
/// there is no table. Shares are right to within 2^-32 of the whole for each index; a weight below that is not drawn.
///
/// Source: A. Walker, "An efficient method for generating discrete random variables with general distributions", ACM
/// TOMS 3(3), 1977, built as in M. Vose, "A linear algorithm for generating random numbers with a given distribution",
/// IEEE TSE 17(9), 1991.
class alias_table {
 public:
  alias_table() = default;

  /// Weights above 0 and finite. O(n); 8 bytes each, none when they are equal. Throws `std::bad_alloc`.
  explicit alias_table(std::span<const double> weights) : size_{static_cast<std::uint32_t>(weights.size())} {
    if (weights.empty() || all_equal(weights)) return;
    // Divided by the largest first, so that no sum overflows.
    const double heaviest = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (const double each : weights) sum += each / heaviest;
    std::vector<double> left(size_);  // in columns
    std::vector<std::uint32_t> small;
    std::vector<std::uint32_t> large;
    for (std::uint32_t i = 0; i < size_; ++i) {
      left[i] = weights[i] / heaviest * (size_ / sum);
      (left[i] < 1 ? small : large).push_back(i);
    }
    columns_.resize(size_);
    while (!small.empty() && !large.empty()) {
      const std::uint32_t low = small.back();
      const std::uint32_t high = large.back();
      small.pop_back();
      columns_[low] = {static_cast<std::uint32_t>(left[low] * 0x1p32), high};  // below 2^32, as left is below 1
      left[high] -= 1 - left[low];
      if (left[high] < 1) {
        large.pop_back();
        small.push_back(high);
      }
    }
    // What remains fills its own column, but for rounding.
    for (const std::uint32_t own : small) columns_[own] = {0, own};
    for (const std::uint32_t own : large) columns_[own] = {0, own};
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  /// Whether all indexes are equally likely.
  [[nodiscard]] bool uniform() const noexcept { return columns_.empty(); }

  /// An index, by 64 random bits; 0 when there are none. O(1), wait-free; one cache line, none when uniform.
  [[nodiscard]] std::uint32_t draw(std::uint64_t random) const noexcept {
    const auto index = static_cast<std::uint32_t>(((random >> 32) * size_) >> 32);
    if (columns_.empty()) return index;
    const column& drawn = columns_[index];
    return static_cast<std::uint32_t>(random) < drawn.own_part ? index : drawn.other;
  }

  /// Bytes allocated.
  [[nodiscard]] std::size_t memory() const noexcept { return columns_.capacity() * sizeof(column); }

 private:
  struct column {
    std::uint32_t own_part = 0;  // of 2^32
    std::uint32_t other = 0;
  };

  std::vector<column> columns_;
  std::uint32_t size_ = 0;
};

}  // namespace banyan::detail
