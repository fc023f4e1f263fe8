#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <banyan/limit/detail/gcra_word.hpp>

namespace banyan::detail {

/// Token buckets of many keys, one word each, in sets of two cache lines: 16 bits of fingerprint, a bit that says that
/// the word is tentative, 47 of the time at which the bucket was empty. A word whose time is so far back that its
/// bucket is full says nothing, and may be another key's from then on: nobody has to remove idle keys.
///
/// Time comes in units of a part of a token, the same for all keys; `cost` and `tolerance` too.
///
/// A key stands in one settled word of its set. Two threads that bring the same new key at once may put it down in two;
/// so words are put down as tentative, and to settle one takes a look, after that, which finds no other word of the
/// key: tentative ones behind it are removed before; a settled one, or a tentative one before it, has precedence. Of
/// two words at least one look sees the other word (both write before they read, in one order for all: seq_cst), and
/// whether that is removed or settled its own compare-exchange decides. Whoever finds a tentative word of its key
/// settles it before it goes on, so nobody waits for whoever put it down. Who put it down is admitted if it settled it
/// itself; if another did, or removed it, it asks again: that may count something twice, never not at all.
///
///     empty (0), or idle --put down--> tentative --settled--> settled --taken, given back--> settled --time--> idle
///                                          |                     |
///                                          +--removed--> empty   +--pushed out, where the set is full--> another key's
///
/// A clock that is ahead finds words idle that are not so for others. So before such a word is used for another key,
/// its time is noted as forgotten, for the whole set; and a new key starts from there at the earliest, by whatever
/// clock. A key's own word that is idle is used on.
///
/// Keys of equal fingerprint in one set share a bucket.
///
/// Lock-free: every repetition means that another request changed a word of the set. O(words of a set).
template <template <class> class Atomic = std::atomic, std::size_t Ways = 15>
class basic_keyed_table {
 public:
  static constexpr unsigned time_bits = 47;
  static constexpr std::size_t ways = Ways;

  struct alignas(8 * (ways + 1)) set {
    std::array<Atomic<std::uint64_t>, ways> words;
    Atomic<std::uint64_t> forgotten;  // the latest time of an idle word that was given to another key
  };
  static_assert(sizeof(set) == 8 * (ways + 1));

  enum class when_full : std::uint8_t { forget, refuse, admit };

  struct request {
    std::uint64_t hash;
    std::uint64_t cost;       ///< at least 1, at most `tolerance`
    std::uint64_t now;        ///< above `tolerance`, below 2^47 - 2 * tolerance
    std::uint64_t tolerance;  ///< below 2^41
  };

  struct answer {
    gcra_outcome outcome;
    bool full = false;  ///< there was no room for the key
  };

  static answer take(set& place, const request& asked, when_full otherwise) noexcept {
    const std::uint64_t floor = asked.now - asked.tolerance;
    for (;;) {
      const view seen = look_at(place, asked.hash, floor);
      if (seen.mine != none) {
        std::uint64_t word = seen.word;
        if (is_tentative(word)) {
          settle(place, asked.hash, 0);
          continue;
        }
        const std::uint64_t next = later(time_of(word), floor) + asked.cost;
        if (next > asked.now) return {refusal(next, asked)};
        if (place.words[seen.mine].compare_exchange_strong(word, packed(asked.hash, next), std::memory_order_seq_cst))
          return {admission(next, asked)};
        continue;
      }
      const bool full = seen.free == none;
      if (full && otherwise == when_full::refuse) {
        return {{gcra_outcome::verdict::refused, time_of(seen.oldest_word) - floor, 0}, true};
      }
      if (full && otherwise == when_full::admit) return {admission(asked.now, asked), true};
      const std::size_t at = full ? seen.oldest : seen.free;
      std::uint64_t word = full ? seen.oldest_word : seen.free_word;
      if (!full) note_forgotten(place, time_of(word));
      // After the look that did not find the key: who gave its word away had noted that before.
      const std::uint64_t next = later(floor, place.forgotten.load(std::memory_order_seq_cst)) + asked.cost;
      if (next > asked.now) return {refusal(next, asked), full};
      const std::uint64_t put = packed(asked.hash, next) | tentative;
      if (!place.words[at].compare_exchange_strong(word, put, std::memory_order_seq_cst)) continue;
      if (settle(place, asked.hash, put)) return {admission(next, asked), full};
    }
  }

  /// What `take` would answer, taken for granted that there is room.
  [[nodiscard]] static gcra_outcome look(const set& place, const request& asked) noexcept {
    const std::uint64_t floor = asked.now - asked.tolerance;
    const view seen = look_at(place, asked.hash, floor);
    const std::uint64_t from = seen.mine == none ? place.forgotten.load(std::memory_order_seq_cst) : time_of(seen.word);
    const std::uint64_t next = later(from, floor) + asked.cost;
    return next > asked.now ? refusal(next, asked) : admission(next, asked);
  }

  /// Takes so much off what the key's bucket has been charged.
  static void give_back(set& place, std::uint64_t hash, std::uint64_t amount) noexcept {
    for (Atomic<std::uint64_t>& each : place.words) {
      std::uint64_t word = each.load(std::memory_order_seq_cst);
      while (is_of(word, hash) && !is_tentative(word)) {
        const std::uint64_t time = time_of(word) > amount ? time_of(word) - amount : 1;
        if (each.compare_exchange_weak(word, packed(hash, time), std::memory_order_seq_cst)) return;
      }
    }
  }

  /// How many words say something at `floor`.
  [[nodiscard]] static std::size_t busy(const set& place, std::uint64_t floor) noexcept {
    std::size_t count = 0;
    for (const auto& each : place.words) count += time_of(each.load(std::memory_order_relaxed)) > floor ? 1U : 0U;
    return count;
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  static constexpr std::uint64_t time_mask = (std::uint64_t{1} << time_bits) - 1;
  static constexpr std::uint64_t tentative = std::uint64_t{1} << time_bits;
  static constexpr unsigned fingerprint_at = time_bits + 1;

  static constexpr std::uint64_t later(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a : b; }
  static constexpr std::uint64_t time_of(std::uint64_t word) noexcept { return word & time_mask; }
  static constexpr bool is_tentative(std::uint64_t word) noexcept { return (word & tentative) != 0; }
  // A fingerprint is the low bits of a hash; the set goes by the high ones.
  static constexpr bool is_of(std::uint64_t word, std::uint64_t hash) noexcept {
    return word != 0 && word >> fingerprint_at == (hash & 0xffffU);
  }
  static constexpr std::uint64_t packed(std::uint64_t hash, std::uint64_t time) noexcept {
    return (hash << fingerprint_at) | time;
  }

  static constexpr gcra_outcome admission(std::uint64_t next, const request& asked) noexcept {
    return {gcra_outcome::verdict::admitted, 0, asked.now > next ? asked.now - next : 0};
  }
  static constexpr gcra_outcome refusal(std::uint64_t next, const request& asked) noexcept {
    const std::uint64_t from = next - asked.cost;
    return {gcra_outcome::verdict::refused, next - asked.now, asked.now > from ? asked.now - from : 0};
  }

  struct view {
    std::size_t mine = none;
    std::size_t free = none;
    std::size_t oldest = 0;
    std::uint64_t word = 0;
    std::uint64_t free_word = 0;
    std::uint64_t oldest_word = std::numeric_limits<std::uint64_t>::max();
  };

  static void note_forgotten(set& place, std::uint64_t time) noexcept {
    std::uint64_t noted = place.forgotten.load(std::memory_order_seq_cst);
    while (noted < time && !place.forgotten.compare_exchange_weak(noted, time, std::memory_order_seq_cst)) {
    }
  }

  static view look_at(const set& place, std::uint64_t hash, std::uint64_t floor) noexcept {
    view seen;
    std::size_t idle = none;
    std::uint64_t idle_word = 0;
    for (std::size_t i = 0; i < ways; ++i) {
      const std::uint64_t word = place.words[i].load(std::memory_order_seq_cst);
      if (is_of(word, hash)) {
        if (time_of(word) <= floor) {
          if (idle == none) {
            idle = i;
            idle_word = word;
          }
        } else if (seen.mine == none) {
          seen.mine = i;
          seen.word = word;
        }
      }
      const std::uint64_t time = time_of(word);
      if (time <= floor && seen.free == none) {
        seen.free = i;
        seen.free_word = word;
      }
      if (time < time_of(seen.oldest_word)) {
        seen.oldest = i;
        seen.oldest_word = word;
      }
    }
    if (seen.mine == none && idle != none) {
      seen.mine = idle;
      seen.word = idle_word;
    }
    return seen;
  }

  // Settles the key's first tentative word and removes the others, or all of them where there is a settled one. Whether
  // it was this call that settled `put`. Idle words count: they are where the key goes on.
  static bool settle(set& place, std::uint64_t hash, std::uint64_t put) noexcept {
    for (;;) {
      std::size_t first = none;
      std::uint64_t word = 0;
      bool is_settled = false;
      bool alone = true;
      for (std::size_t i = 0; i < ways; ++i) {
        std::uint64_t each = place.words[i].load(std::memory_order_seq_cst);
        if (!is_of(each, hash)) continue;
        if (!is_tentative(each)) {
          is_settled = true;
        } else if (first == none) {
          first = i;
          word = each;
        } else {
          alone = false;  // removed or settled: either is to be seen by the next look
          place.words[i].compare_exchange_strong(each, 0, std::memory_order_seq_cst);
        }
      }
      if (first == none) return false;
      if (is_settled) {
        place.words[first].compare_exchange_strong(word, 0, std::memory_order_seq_cst);
      } else if (alone) {
        if (place.words[first].compare_exchange_strong(word, word & ~tentative, std::memory_order_seq_cst))
          return word == put;
      }
    }
  }
};

using keyed_table = basic_keyed_table<>;

}  // namespace banyan::detail
