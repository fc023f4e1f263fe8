#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace banyan::detail {

/// How calls went.
struct outcome_counts {
  std::uint32_t calls = 0;
  std::uint32_t failed = 0;
  std::uint32_t slow = 0;
};

struct call_outcome {
  bool failed = false;
  bool slow = false;
};

/// Counts of the last n calls of one generation; those of earlier generations are as if they had not been.
///
/// A ring of outcomes and a word of their sums. Who records puts an outcome in the place of the one n calls before it,
/// and adds the difference of both to the sums. The sums are those of all calls that are through: differences may come
/// in any order, so a sum may be below 0 for a moment, and counts as 0 then.
///
/// Lock-free: a repetition means that another call was counted. Words stand for themselves, but a generation that is
/// found in one was the present one before: hence acquire and release.
template <template <class> class Atomic = std::atomic>
class basic_last_outcomes {
 public:
  static constexpr std::uint32_t most = 32'767;

  /// `ring`: all zero, from 1 to `most` places.
  explicit basic_last_outcomes(std::span<Atomic<std::uint32_t>> ring) noexcept
      : ring_{ring.data()}, size_{ring.size()} {}

  /// Records a call of `generation`, which is above 0, and tells the counts with it. `is_later(a, than)` compares two
  /// generations that are not 0.
  template <class Later>
  outcome_counts record(std::uint16_t generation, call_outcome outcome, Later&& is_later) noexcept {
    const std::uint64_t place = next_.fetch_add(1, std::memory_order_relaxed) % size_;
    const std::uint32_t written =
        (std::uint32_t{generation} << 2) | (outcome.failed ? 2U : 0U) | (outcome.slow ? 1U : 0U);
    // (1) acquire, release: pairs with itself.
    const std::uint32_t before = ring_[place].exchange(written, std::memory_order_acq_rel);
    // Either may be of a generation that is over; the other counts all the same.
    const auto older = static_cast<std::uint16_t>(before >> 2);
    const bool other = older != 0 && older != generation;
    const std::uint16_t counted = other && is_later(older, generation) ? older : generation;
    const int gained = generation == counted ? 1 : 0;
    const int lost = older == counted ? 1 : 0;
    const auto change = [=](std::uint16_t value, int plus, int minus) {
      return static_cast<std::uint16_t>(value + gained * plus - lost * minus);
    };

    std::uint64_t seen = sums_.load(std::memory_order_acquire);  // (2) pairs with (3)
    for (;;) {
      const std::uint16_t summed = field(seen, 3);
      if (summed != 0 && summed != counted && is_later(summed, counted)) return {};
      const std::uint64_t base = field(seen, 3) == counted ? seen : 0;
      const std::uint64_t next =
          packed(counted, change(field(base, 2), 1, 1), change(field(base, 1), bit(written, 1), bit(before, 1)),
                 change(field(base, 0), bit(written, 0), bit(before, 0)));
      // (3) acquire, release: pairs with (2) and (3).
      if (sums_.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return generation == counted ? counts(next) : outcome_counts{};
      }
    }
  }

  /// As above; generations are compared by their distance, which tells for half a round of them.
  outcome_counts record(std::uint16_t generation, call_outcome outcome) noexcept {
    return record(generation, outcome, [](std::uint16_t a, std::uint16_t than) noexcept {
      return static_cast<std::uint16_t>(a - than) < 32'768;
    });
  }

  [[nodiscard]] outcome_counts look(std::uint16_t generation) const noexcept {
    const std::uint64_t seen = sums_.load(std::memory_order_relaxed);
    return field(seen, 3) == generation ? counts(seen) : outcome_counts{};
  }

 private:
  static constexpr int bit(std::uint32_t word, unsigned at) noexcept { return static_cast<int>((word >> at) & 1U); }
  static constexpr std::uint16_t field(std::uint64_t word, unsigned at) noexcept {
    return static_cast<std::uint16_t>(word >> (16 * at));
  }
  static constexpr std::uint64_t packed(std::uint16_t generation, std::uint16_t calls, std::uint16_t failed,
                                        std::uint16_t slow) noexcept {
    return (std::uint64_t{generation} << 48) | (std::uint64_t{calls} << 32) | (std::uint64_t{failed} << 16) | slow;
  }
  static constexpr std::uint32_t positive(std::uint16_t value) noexcept { return value <= most ? value : 0; }
  static constexpr outcome_counts counts(std::uint64_t word) noexcept {
    return {positive(field(word, 2)), positive(field(word, 1)), positive(field(word, 0))};
  }

  Atomic<std::uint32_t>* ring_;
  std::size_t size_;
  Atomic<std::uint64_t> next_{0};
  Atomic<std::uint64_t> sums_{0};
};

using last_outcomes = basic_last_outcomes<>;

/// Counts of the calls in the last ten slots of time: a word each, slot number, calls, failed, slow. A slot with more
/// than 16,000 calls is halved, which keeps its rates; it weighs less then.
///
/// Lock-free: a repetition means that another call was counted. All words stand for themselves, so relaxed will do.
class recent_outcomes {
 public:
  static constexpr std::uint64_t count = 10;

  /// Records a call in `slot`, numbered from 1, and tells the counts with it of all slots from `first` on. A call that
  /// brings the time of a window or more ago counts for nothing.
  outcome_counts record(std::uint64_t slot, std::uint64_t first, call_outcome outcome) noexcept {
    std::atomic<std::uint64_t>& word = words_[slot % count];
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t ahead = (number(seen) - slot) & number_mask;
      if (seen != 0 && ahead != 0 && ahead <= late) break;
      if (ahead == 0) {
        std::uint64_t next = seen;
        if (field(next, 2) == field_mask) {
          next = packed(slot, field(next, 2) / 2, field(next, 1) / 2, field(next, 0) / 2);
        }
        next += (std::uint64_t{1} << 28) + (outcome.failed ? std::uint64_t{1} << 14 : 0) + (outcome.slow ? 1U : 0U);
        if (word.compare_exchange_weak(seen, next, std::memory_order_relaxed)) break;
      } else if (word.compare_exchange_weak(seen, packed(slot, 0, 0, 0), std::memory_order_relaxed)) {
        seen = packed(slot, 0, 0, 0);
      }
    }
    return look(slot, first);
  }

  [[nodiscard]] outcome_counts look(std::uint64_t slot, std::uint64_t first) const noexcept {
    outcome_counts sum;
    for (std::uint64_t back = 0; back < count && back < slot && slot - back >= first; ++back) {
      const std::uint64_t word = words_[(slot - back) % count].load(std::memory_order_relaxed);
      if (number(word) != ((slot - back) & number_mask)) continue;
      sum.calls += static_cast<std::uint32_t>(field(word, 2));
      sum.failed += static_cast<std::uint32_t>(field(word, 1));
      sum.slow += static_cast<std::uint32_t>(field(word, 0));
    }
    return sum;
  }

 private:
  static constexpr std::uint64_t late = 100 * count;  // slots; numbers go round, so what is behind by more is ahead
  static constexpr std::uint64_t number_mask = (std::uint64_t{1} << 22) - 1;
  static constexpr std::uint64_t field_mask = (std::uint64_t{1} << 14) - 1;

  static constexpr std::uint64_t number(std::uint64_t word) noexcept { return word >> 42; }
  static constexpr std::uint64_t field(std::uint64_t word, unsigned at) noexcept {
    return (word >> (14 * at)) & field_mask;
  }
  static constexpr std::uint64_t packed(std::uint64_t slot, std::uint64_t calls, std::uint64_t failed,
                                        std::uint64_t slow) noexcept {
    return ((slot & number_mask) << 42) | (calls << 28) | (failed << 14) | slow;
  }

  std::array<std::atomic<std::uint64_t>, count> words_{};
};

}  // namespace banyan::detail
