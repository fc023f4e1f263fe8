#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include <banyan/limit/detail/gcra_terms.hpp>

namespace banyan::detail {

/// What became of a request, in ticks.
struct gcra_outcome {
  enum class verdict : std::uint8_t { admitted, refused, never };

  verdict what = verdict::never;
  std::uint64_t wait = 0;    ///< admitted: until it may go ahead; refused: until it would be admitted
  std::uint64_t credit = 0;  ///< what is left, as time
};

/// The generic cell rate algorithm on one word, the time at which the bucket was empty: what has flowed in since then,
/// at most the tolerance, is there to be taken. (The usual form keeps the theoretical arrival time, which is this plus
/// the tolerance. This one stays what it is when rate and burst change: credit and debt are kept as time.)
///
/// Every value but those written by `give_back` is higher than the one before, so time that goes back, stands still or
/// differs between threads can refuse, but it cannot make tokens. The word is all that is shared: one variable's values
/// are seen in order, so relaxed will do throughout.
///
/// All functions are lock-free: a repetition means that another request went through. O(1).
///
/// Source: ITU-T I.371 (virtual scheduling algorithm).
class gcra_word {
 public:
  using verdict = gcra_outcome::verdict;

  /// Takes `n` tokens if they are there at `now`, or will be within `patience`; else only looks.
  gcra_outcome take(gcra_terms terms, std::uint64_t n, std::uint64_t now, std::uint64_t patience = 0) noexcept {
    if (n > terms.burst()) [[unlikely]] {
      return {};
    }
    const std::uint64_t cost = terms.cost(n);
    const std::uint64_t latest = plus(now, patience);
    std::uint64_t seen = empty_at_.load(std::memory_order_relaxed);
    // Refused whatever the burst: a request is worth a full bucket at most, so a full one would have had it.
    if (plus(seen, cost) > latest) return {verdict::refused, minus(plus(seen, cost), latest), minus(now, seen)};
    const std::uint64_t full = minus(now, terms.tolerance());
    for (;;) {
      const std::uint64_t from = seen > full ? seen : full;
      const std::uint64_t next = plus(from, cost);
      if (next > latest || next == never) return {verdict::refused, minus(next, latest), minus(now, from)};
      if (n == 0) return {verdict::admitted, minus(next, now), minus(now, next)};
      if (empty_at_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) [[likely]] {
        return {verdict::admitted, minus(next, now), minus(now, next)};
      }
    }
  }

  /// What `take` would answer.
  [[nodiscard]] gcra_outcome look(gcra_terms terms, std::uint64_t n, std::uint64_t now) const noexcept {
    if (n > terms.burst()) return {};
    const std::uint64_t from = later(empty_at_.load(std::memory_order_relaxed), minus(now, terms.tolerance()));
    const std::uint64_t next = plus(from, terms.cost(n));
    if (next > now) return {verdict::refused, next - now, minus(now, from)};
    return {verdict::admitted, 0, now - next};
  }

  /// As `take` for a queue that lets one token out each interval and holds at most a burst of them: a request goes
  /// ahead when all before it are through, if that is within `patience`.
  gcra_outcome join(gcra_terms terms, std::uint64_t n, std::uint64_t now, std::uint64_t patience) noexcept {
    if (n > terms.burst()) [[unlikely]] {
      return {};
    }
    const std::uint64_t cost = terms.cost(n);
    const std::uint64_t latest = plus(now, terms.tolerance());
    std::uint64_t seen = empty_at_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t from = seen > now ? seen : now;
      const std::uint64_t next = plus(from, cost);
      if (next > latest || next == never || from - now > patience) {
        return {verdict::refused, later(minus(next, latest), minus(from - now, patience)), minus(latest, from)};
      }
      if (n == 0) return {verdict::admitted, from - now, latest - next};
      if (empty_at_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) [[likely]] {
        return {verdict::admitted, from - now, latest - next};
      }
    }
  }

  /// Undoes a `take` of so many tokens that is `age` old. What would have flowed into a full bucket meanwhile is not
  /// given back: it might be given twice.
  void give_back(gcra_terms terms, std::uint64_t n, std::uint64_t age) noexcept {
    if (n > terms.burst()) return;
    const std::uint64_t amount = minus(terms.cost(n), age);
    if (amount == 0) return;
    std::uint64_t seen = empty_at_.load(std::memory_order_relaxed);
    while (!empty_at_.compare_exchange_weak(seen, minus(seen, amount), std::memory_order_relaxed)) {
    }
  }

 private:
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  static constexpr std::uint64_t minus(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a - b : 0; }
  static constexpr std::uint64_t plus(std::uint64_t a, std::uint64_t b) noexcept {
    return a > never - b ? never : a + b;
  }
  static constexpr std::uint64_t later(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a : b; }

  std::atomic<std::uint64_t> empty_at_{0};  // long ago: full
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace banyan::detail
