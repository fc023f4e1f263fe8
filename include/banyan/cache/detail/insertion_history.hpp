#pragma once

#include <banyan/core/zeroed_array.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace banyan::detail {

/// Remembers hashes whose entries have left: when each was last used, and how often it had come back. It plays the part
/// of ghost lists at 3.2 bytes for each: a hash has a bucket of ten records, each an 11-bit fingerprint, a 10-bit time
/// and a 3-bit count, and the oldest makes room for the newest.
///
/// Time is whatever the caller counts, and is kept in steps of which 1024 are at least three times the memory; an older
/// record may be taken for a young one. One in about two hundred unknown hashes is taken for a known one when the
/// memory is full. O(1), one cache line. Sequential code.
class insertion_history {
 public:
  static constexpr std::uint32_t most_counted = 7;

  struct finding {
    std::uint32_t distance = 0;  ///< time since the hash was used last
    std::uint32_t count = 0;     ///< how often it has come back, at most `most_counted`; 0: not known
  };

  insertion_history() = default;

  /// Remembers about the last `entries` entries that left, as they do in `time`.
  insertion_history(std::uint32_t entries, std::uint32_t time)
      : step_{std::max(static_cast<std::uint32_t>(std::bit_width(3 * time)), time_bits) - time_bits},
        buckets_{entries / bucket_size + 1} {}

  /// Forgets `hash`, and tells what was known of it. What is farther back than `memory` counts as forgotten.
  finding take(std::uint32_t hash, std::uint32_t now, std::uint32_t memory) noexcept {
    bucket& records = bucket_of(hash);
    const std::uint32_t fingerprint = fingerprint_of(hash);
    for (std::uint32_t i = 0; i < bucket_size; ++i) {
      const std::uint32_t record = load(records, i);
      if (record == 0 || record >> (time_bits + count_bits) != fingerprint) continue;
      store(records, i, 0);
      const std::uint32_t distance = age(record, now) << step_;
      if (distance > memory) return {};
      return {distance, std::min((record & most_counted) + 1, most_counted)};
    }
    return {};
  }

  /// Remembers at `now` a `hash` that was last used at `used` and had come back `count` times.
  void put(std::uint32_t hash, std::uint32_t now, std::uint32_t used, std::uint32_t count) noexcept {
    bucket& records = bucket_of(hash);
    const std::uint32_t fingerprint = fingerprint_of(hash);
    std::uint32_t place = 0;
    std::uint32_t place_age = 0;
    for (std::uint32_t i = 0; i < bucket_size; ++i) {
      const std::uint32_t record = load(records, i);
      if (record == 0 || record >> (time_bits + count_bits) == fingerprint) {
        place = i;
        break;
      }
      if (const std::uint32_t record_age = age(record, now); record_age >= place_age) {
        place = i;
        place_age = record_age;
      }
    }
    store(records, place,
          fingerprint << (time_bits + count_bits) | (used >> step_ & time_mask) << count_bits |
              std::min(count, most_counted));
  }

 private:
  static constexpr std::uint32_t bucket_size = 10;
  static constexpr std::uint32_t count_bits = 3;
  static constexpr std::uint32_t time_bits = 10;
  static constexpr std::uint32_t time_mask = (1u << time_bits) - 1;

  // Ten records of three bytes.
  struct alignas(32) bucket {
    std::array<std::uint8_t, 32> bytes;
  };

  static std::uint32_t load(const bucket& records, std::uint32_t i) noexcept {
    const std::uint8_t* const bytes = &records.bytes[std::size_t{3} * i];
    return bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16;
  }

  static void store(bucket& records, std::uint32_t i, std::uint32_t record) noexcept {
    std::uint8_t* const bytes = &records.bytes[std::size_t{3} * i];
    bytes[0] = static_cast<std::uint8_t>(record);
    bytes[1] = static_cast<std::uint8_t>(record >> 8);
    bytes[2] = static_cast<std::uint8_t>(record >> 16);
  }

  // The bucket comes from the product's high part, the fingerprint from bits the high part hardly depends on.
  [[nodiscard]] bucket& bucket_of(std::uint32_t hash) noexcept {
    const std::uint64_t mixed = std::uint64_t{hash * 0x9e3779b1u} * buckets_.size();
    return buckets_[static_cast<std::size_t>(mixed >> 32)];
  }

  // Never 0, as a record of 0 is vacant.
  static std::uint32_t fingerprint_of(std::uint32_t hash) noexcept {
    return std::max((hash * 0x85ebca6bu) >> (8 + time_bits + count_bits), 1u);
  }

  [[nodiscard]] std::uint32_t age(std::uint32_t record, std::uint32_t now) const noexcept {
    return ((now >> step_) - (record >> count_bits)) & time_mask;
  }

  std::uint32_t step_ = 0;  // time is kept in units of 2^step
  zeroed_array<bucket> buckets_;
};

}  // namespace banyan::detail
