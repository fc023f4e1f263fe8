#pragma once

#include <banyan/core/zeroed_array.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace banyan::detail {

/// Remembers when hashes were inserted, also after their entries have left, and how often in a row that was within a
/// given distance. It plays the part of ghost lists at 4 bytes for each insertion remembered: a hash has a bucket of
/// eight records, each a 14-bit fingerprint, a 14-bit time and a 4-bit count, and the oldest makes room for the newest.
///
/// Time is whatever the caller counts, modulo 2^14; an older record may be taken for a young one. One in about two
/// thousand unknown hashes is taken for a known one. O(1), one cache line. Sequential code.
class insertion_history {
 public:
  static constexpr std::uint32_t most_counted = 15;

  struct finding {
    std::uint32_t distance = 0;  ///< time since the hash was inserted before
    std::uint32_t count = 0;     ///< how often it has come back, at most `most_counted`; 0: not known
  };

  insertion_history() = default;

  /// Remembers about the last `insertions` insertions.
  explicit insertion_history(std::uint32_t insertions) : buckets_{insertions / bucket_size + 1} {}

  /// Notes that `hash` is inserted at `now`, and tells what was known. What is farther back than `memory` counts as
  /// forgotten.
  finding record(std::uint32_t hash, std::uint32_t now, std::uint32_t memory) noexcept {
    // The bucket comes from the product's high part, the fingerprint from bits the high part hardly depends on.
    const std::uint64_t mixed = std::uint64_t{hash * 0x9e3779b1u} * buckets_.size();
    bucket& records = buckets_[static_cast<std::size_t>(mixed >> 32)];
    const std::uint32_t fingerprint = (hash * 0x85ebca6bu) >> 18;
    std::uint32_t* place = nullptr;
    std::uint32_t place_age = 0;
    for (std::uint32_t& record : records.words) {
      if (record >> 18 == fingerprint && record != 0) {
        const std::uint32_t distance = age(record, now);
        const std::uint32_t count = distance <= memory ? std::min((record & most_counted) + 1, most_counted) : 0;
        record = pack(fingerprint, now, count);
        return {distance, count};
      }
      const std::uint32_t record_age = record == 0 ? ~0u : age(record, now);
      if (place == nullptr || record_age > place_age) {
        place = &record;
        place_age = record_age;
      }
    }
    *place = pack(fingerprint, now, 0);
    return {};
  }

 private:
  static constexpr std::uint32_t bucket_size = 8;
  static constexpr std::uint32_t time_mask = (1u << 14) - 1;

  struct alignas(bucket_size * sizeof(std::uint32_t)) bucket {
    std::array<std::uint32_t, bucket_size> words;
  };

  static std::uint32_t pack(std::uint32_t fingerprint, std::uint32_t now, std::uint32_t count) noexcept {
    return fingerprint << 18 | (now & time_mask) << 4 | count;
  }

  static std::uint32_t age(std::uint32_t record, std::uint32_t now) noexcept {
    return (now - (record >> 4)) & time_mask;
  }

  zeroed_array<bucket> buckets_;
};

}  // namespace banyan::detail
