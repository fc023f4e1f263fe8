#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <banyan/limit/detail/gcra_word.hpp>

namespace banyan::detail {

/// Token buckets of many keys, one word each, in sets of two cache lines: 16 bits of fingerprint, 48 of the time at
/// which the bucket was empty. A word whose time is so far back that its bucket is full says nothing, and may be
/// another key's from then on: nobody has to remove idle keys.
///
/// Time comes in units of a part of a token, the same for all keys; `cost` and `tolerance` too.
///
/// A key is to stand in one word of its set. Two threads that bring the same new key at once may put it into two; so
/// each looks again after it has put it there, before it admits, and at least one of them sees the other's (both write
/// before they read, in one order for all: seq_cst). Whoever sees a key twice adds what the later word says to the
/// first one, and clears the later. That may count something twice, never not at all.
///
/// A clock that is ahead finds words idle that are not so for others. So before such a word is used for another key,
/// its time is noted as forgotten, for the whole set; and a new key starts from there at the earliest, by whatever
/// clock. And a key's word that is idle for a caller is not there for it, but it is not cleared either.
///
/// Keys of equal fingerprint in one set share a bucket.
///
/// A word, by its time and the clock of who looks:
///
///     empty (0) or idle --put down, second look--> key's own --time goes on--> idle
///                                                   |    ^ |
///                                      found twice: |    | +--taken: a later time
///                                     added to the  |    |
///                                  key's first word v    +--given back: an earlier time
///                                                 empty
///
/// Lock-free: every repetition means that another request changed a word of the set. O(words of a set).
template <template <class> class Atomic = std::atomic, std::size_t Ways = 15>
class basic_keyed_table {
 public:
  static constexpr unsigned time_bits = 48;
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
    std::uint64_t now;        ///< above `tolerance`, below 2^48 - 2 * tolerance
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
      if (seen.twice) {
        join(place, asked, floor);
        continue;
      }
      if (seen.mine != none) {
        std::uint64_t word = seen.word;
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
      if (!place.words[at].compare_exchange_strong(word, packed(asked.hash, next), std::memory_order_seq_cst)) continue;
      if (!settled(place, asked, floor)) return {refusal(next, asked), full};
      return {admission(next, asked), full};
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
      while (word != 0 && fingerprint(word) == fingerprint_of(hash)) {
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

  static constexpr std::uint64_t later(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a : b; }
  static constexpr std::uint64_t time_of(std::uint64_t word) noexcept { return word & time_mask; }
  static constexpr std::uint64_t fingerprint(std::uint64_t word) noexcept { return word >> time_bits; }
  // The low bits; the set goes by the high ones.
  static constexpr std::uint64_t fingerprint_of(std::uint64_t hash) noexcept { return hash & 0xffffU; }
  static constexpr std::uint64_t packed(std::uint64_t hash, std::uint64_t time) noexcept {
    return (fingerprint_of(hash) << time_bits) | time;
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
    bool twice = false;
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
      if (word != 0 && fingerprint(word) == fingerprint_of(hash)) {
        if (time_of(word) <= floor) {
          if (idle == none) {
            idle = i;
            idle_word = word;
          }
        } else if (seen.mine == none) {
          seen.mine = i;
          seen.word = word;
        } else {
          seen.twice = true;
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

  // Adds what a key's second word says to its first one, then clears the second.
  static void join(set& place, const request& asked, std::uint64_t floor) noexcept {
    const std::uint64_t hash = asked.hash;
    std::size_t first = none;
    for (std::size_t i = 0; i < ways; ++i) {
      std::uint64_t word = place.words[i].load(std::memory_order_seq_cst);
      if (fingerprint(word) != fingerprint_of(hash) || time_of(word) <= floor) continue;
      if (first == none) {
        first = i;
        continue;
      }
      std::uint64_t added = floor;
      for (;;) {
        if (time_of(word) > added) {
          if (!charge(place.words[first], asked, time_of(word) - added, floor, time_of(word))) return;
          added = time_of(word);
        }
        if (place.words[i].compare_exchange_strong(word, 0, std::memory_order_seq_cst)) break;
        if (word == 0 || fingerprint(word) != fingerprint_of(hash)) break;  // done by another thread
      }
    }
  }

  // False when the word is another key's by now. Not less than `least` in the end: for a clock that is ahead of ours,
  // that is what the word to be cleared said.
  static bool charge(Atomic<std::uint64_t>& at, const request& asked, std::uint64_t amount, std::uint64_t floor,
                     std::uint64_t least) noexcept {
    std::uint64_t word = at.load(std::memory_order_seq_cst);
    while (word != 0 && fingerprint(word) == fingerprint_of(asked.hash)) {
      // A debt of one full bucket at most: what is counted twice must not add up.
      const std::uint64_t most = later(later(time_of(word), least), floor + 2 * asked.tolerance);
      const std::uint64_t next = later(time_of(word), floor) + amount;
      if (at.compare_exchange_weak(word, packed(asked.hash, next < most ? next : most), std::memory_order_seq_cst))
        return true;
    }
    return false;
  }

  // After a new key was put down: whether what it took was there, all words of the key taken together.
  static bool settled(set& place, const request& asked, std::uint64_t floor) noexcept {
    view seen = look_at(place, asked.hash, floor);
    if (!seen.twice) return true;
    do {
      join(place, asked, floor);
      seen = look_at(place, asked.hash, floor);
    } while (seen.twice);
    // Refused, it does not give back: by how much the joining raised the word, nobody knows.
    return seen.mine == none || time_of(seen.word) <= asked.now;
  }
};

using keyed_table = basic_keyed_table<>;

}  // namespace banyan::detail
