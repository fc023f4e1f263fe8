#pragma once

/// \file
/// How often hashes were seen lately, approximately and in little memory.

#include <banyan/core/zeroed_array.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// A count-min sketch of 4-bit counters that forgets: after `sample` additions all counters are halved.
///
/// A hash has four counters, in one block of 64 bytes, so that it costs one cache line. An addition raises only those
/// counters that are at the minimum (conservative update), which keeps collisions from piling up.
///
/// Sources: Cormode and Muthukrishnan: An improved data stream summary, 2005; Estan and Varghese: New directions in
/// traffic measurement and accounting, 2002 (conservative update); Einziger, Friedman, Manes: TinyLFU, 2017 (ageing).
///
/// Memory: 4 bytes per entry and 16 KiB, which small caches need to tell more keys apart than they hold. `add`: O(1)
/// amortised. `estimate`: O(1). Sequential code.
class frequency_sketch {
 public:
  /// The highest count.
  static constexpr std::uint32_t most = 15;

  frequency_sketch(std::uint32_t entries, std::uint64_t sample)
      : blocks_{entries / 16 + 256}, sample_{sample}, words_{std::size_t{blocks_} * words_per_block} {}

  /// Counts `times` more occurrences.
  void add(std::uint32_t hash, std::uint32_t times = 1) noexcept {
    raise(hash, times);
    added_ += times;
    if (added_ >= sample_) age();
  }

  /// Raises the hash's count without bringing the next halving nearer.
  void raise(std::uint32_t hash, std::uint32_t times) noexcept {
    if (times == 0) return;
    const places found = find(hash);
    const std::uint32_t target = std::min(lowest(found) + times, most);
    for (const place& at : found) {
      const std::uint64_t count = *at.word >> at.shift & most;
      if (count < target) *at.word += (target - count) << at.shift;
    }
  }

  /// How often it was seen lately: never too low but for the halvings, and at most `most`.
  [[nodiscard]] std::uint32_t estimate(std::uint32_t hash) noexcept { return lowest(find(hash)); }

 private:
  static constexpr std::size_t words_per_block = 8;

  struct place {
    std::uint64_t* word;
    std::uint32_t shift;
  };
  using places = std::array<place, 4>;

  [[nodiscard]] places find(std::uint32_t hash) noexcept {
    std::uint64_t* const block = &words_[((std::uint64_t{hash} * blocks_) >> 32) * words_per_block];
    // The block is chosen by the high bits; these mix all.
    std::uint32_t bits = (hash ^ hash >> 16) * 0x85ebca6bu;
    bits ^= bits >> 13;
    bits *= 0xc2b2ae35u;
    bits ^= bits >> 16;
    places found;
    for (std::size_t row = 0; row < found.size(); ++row) {
      const std::uint32_t counter = bits >> (8 * row) & 31;
      found[row] = {block + 2 * row + (counter >> 4), (counter & 15) * 4};
    }
    return found;
  }

  [[nodiscard]] static std::uint32_t lowest(const places& found) noexcept {
    std::uint32_t count = most;
    for (const place& at : found) count = std::min(count, static_cast<std::uint32_t>(*at.word >> at.shift & most));
    return count;
  }

  void age() noexcept {
    for (std::uint64_t& word : words_) word = word >> 1 & 0x7777777777777777u;
    added_ /= 2;
  }

  std::uint32_t blocks_;
  std::uint64_t sample_;
  std::uint64_t added_ = 0;  // since the start, halved with the counters
  zeroed_array<std::uint64_t> words_;
};

}  // namespace banyan::detail
