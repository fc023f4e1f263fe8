#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <banyan/core/random.hpp>

namespace bench {

/// Ranks 0, 1, 2, ... drawn with probabilities proportional to 1 / (rank + 1)^exponent. O(1) a draw, no table.
///
/// Source: W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions",
/// ACM TOMACS 6(3), 1996.
class zipf_ranks {
 public:
  zipf_ranks(std::uint32_t count, double exponent) : count_{static_cast<double>(count)}, exponent_{exponent} {
    left_ = integral(1.5) - 1.0;
    right_ = integral(count_ + 0.5);
    sure_ = 2.0 - inverse(integral(2.5) - weight(2.0));
  }

  template <class Generator>
  std::uint32_t operator()(Generator& generator) const {
    for (;;) {
      const double area = right_ + banyan::random_unit(generator) * (left_ - right_);
      const double x = inverse(area);
      double k = std::floor(x + 0.5);
      k = k < 1.0 ? 1.0 : (k > count_ ? count_ : k);
      if (k - x <= sure_ || area >= integral(k + 0.5) - weight(k)) return static_cast<std::uint32_t>(k) - 1;
    }
  }

 private:
  [[nodiscard]] double weight(double x) const { return std::pow(x, -exponent_); }
  [[nodiscard]] double integral(double x) const { return (std::pow(x, 1.0 - exponent_) - 1.0) / (1.0 - exponent_); }
  [[nodiscard]] double inverse(double area) const {
    return std::pow(1.0 + area * (1.0 - exponent_), 1.0 / (1.0 - exponent_));
  }

  double count_;
  double exponent_;  // not 1
  double left_;
  double right_;
  double sure_;
};

/// The ranks that one thread asks for, drawn before the clock runs.
inline std::vector<std::uint32_t> zipf_sequence(std::uint32_t keys, std::size_t length, std::uint64_t seed) {
  const zipf_ranks draw{keys, 0.99};
  banyan::xoshiro256 generator{seed};
  std::vector<std::uint32_t> ranks(length);
  for (std::uint32_t& rank : ranks) rank = keys == 1 ? 0 : draw(generator);
  return ranks;
}

/// The key of a rank: neighbours in rank are no neighbours as keys.
template <class Key>
class keys_by_rank;

template <>
class keys_by_rank<std::uint64_t> {
 public:
  explicit keys_by_rank(std::uint32_t) {}
  std::uint64_t operator[](std::uint32_t rank) const { return (rank + std::uint64_t{1}) * 0x9E3779B97F4A7C15U; }
};

/// Strings of 20 characters, made beforehand.
template <>
class keys_by_rank<std::string> {
 public:
  explicit keys_by_rank(std::uint32_t count) {
    keys_.reserve(count);
    for (std::uint32_t rank = 0; rank < count; ++rank) {
      std::string key = "user:";
      const std::uint64_t bits = banyan::mix_bits(rank);
      for (int i = 0; i < 15; ++i) key += static_cast<char>('a' + (bits >> (4 * i) & 15));
      keys_.push_back(std::move(key));
    }
  }
  const std::string& operator[](std::uint32_t rank) const { return keys_[rank]; }

 private:
  std::vector<std::string> keys_;
};

}  // namespace bench
