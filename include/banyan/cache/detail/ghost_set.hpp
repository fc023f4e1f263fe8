#pragma once

/// \file
/// A memory of what was evicted lately.

#include <banyan/core/zeroed_array.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// The last `capacity` hashes that were inserted: a first-in-first-out set of 32-bit hashes.
///
/// Instead of a queue beside a hash table it is one table of 4-byte cells in buckets of 32 bytes: a cell
/// holds a 16-bit fingerprint and the 16-bit time of insertion, and a cell that is older than `capacity` insertions
/// counts as gone (the layout that Yang et al. propose in "FIFO queues are all you need for cache eviction", SOSP
/// 2023, section 4.2). So a hash is forgotten early when its bucket overflows (about one in ten, the oldest first), and
/// one lookup in about 8,000 (full table) finds a hash that was never there.
///
/// Memory: 4.5 bytes per hash of capacity and 256 bytes. Every operation is O(1). Sequential code.
class ghost_set {
 public:
  explicit ghost_set(std::uint32_t capacity)
      : capacity_{capacity},
        buckets_{(capacity + capacity / 8) / bucket_size + 8},
        tick_length_{capacity / ticks_per_life + 1},
        life_{capacity / tick_length_},
        cells_{std::size_t{buckets_} * bucket_size} {}

  /// How many hashes it remembers.
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

  /// Remembers the hash; when it is remembered already, it becomes the newest.
  void insert(std::uint32_t hash) noexcept {
    if (capacity_ == 0) return;
    std::uint32_t* const bucket = bucket_of(hash);
    const std::uint32_t fingerprint = fingerprint_of(hash);
    std::uint32_t* place = bucket;
    std::uint32_t place_age = 0;
    for (std::uint32_t i = 0; i < bucket_size; ++i) {
      std::uint32_t& cell = bucket[i];
      const std::uint32_t age = cell == 0 ? forgotten : age_of(cell);
      if (age <= life_ && cell >> 16 == fingerprint) {
        place = &cell;
        break;
      }
      if (age > place_age) {
        place = &cell;
        place_age = age;
      }
    }
    *place = fingerprint << 16 | time_;
    if (++inserted_in_tick_ == tick_length_) {
      inserted_in_tick_ = 0;
      time_ = (time_ + 1) & 0xffff;
    }
  }

  /// Forgets the hash; whether it was remembered.
  bool take(std::uint32_t hash) noexcept {
    std::uint32_t* const cell = find(hash);
    if (cell == nullptr) return false;
    *cell = 0;
    return true;
  }

  [[nodiscard]] bool contains(std::uint32_t hash) noexcept { return find(hash) != nullptr; }

 private:
  static constexpr std::uint32_t bucket_size = 8;
  static constexpr std::uint32_t ticks_per_life = 8192;
  static constexpr std::uint32_t forgotten = ~std::uint32_t{0};

  [[nodiscard]] std::uint32_t* bucket_of(std::uint32_t hash) noexcept {
    return &cells_[((std::uint64_t{hash} * buckets_) >> 32) * bucket_size];
  }

  // The bucket is chosen by the high bits: the fingerprint mixes all. Never 0, as a cell of 0 is vacant.
  [[nodiscard]] static std::uint32_t fingerprint_of(std::uint32_t hash) noexcept {
    const std::uint32_t mixed = (hash ^ hash >> 15) * 0x9e3779b1u;
    return std::max(mixed >> 16, std::uint32_t{1});
  }

  [[nodiscard]] std::uint32_t age_of(std::uint32_t cell) const noexcept { return (time_ - cell) & 0xffff; }

  [[nodiscard]] bool alive(std::uint32_t cell) const noexcept {
    // Time moves on with an insertion, so with ticks of one insertion the newest hash is one tick old.
    return cell != 0 && age_of(cell) <= life_;
  }

  [[nodiscard]] std::uint32_t* find(std::uint32_t hash) noexcept {
    std::uint32_t* const bucket = bucket_of(hash);
    const std::uint32_t fingerprint = fingerprint_of(hash);
    for (std::uint32_t i = 0; i < bucket_size; ++i) {
      if (bucket[i] >> 16 == fingerprint && alive(bucket[i])) return &bucket[i];
    }
    return nullptr;
  }

  std::uint32_t capacity_;
  std::uint32_t buckets_;
  std::uint32_t tick_length_;  // insertions
  std::uint32_t life_;         // ticks
  // Comes round again after 65,536 ticks, at least 8 lives. By then a bucket has had 50 insertions or so, which have
  // replaced its oldest cells: none grows old enough to be taken for young again, but for one in many billions.
  std::uint32_t time_ = 0;  // ticks, 16 bits
  std::uint32_t inserted_in_tick_ = 0;
  zeroed_array<std::uint32_t> cells_;
};

}  // namespace banyan::detail
