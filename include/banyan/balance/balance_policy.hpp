#pragma once

/// \file
/// What a balancing policy is, and what it sees. Users may write their own.

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <banyan/balance/detail/thread_sequence.hpp>
#include <banyan/balance/pick_request.hpp>
#include <banyan/cluster/detail/endpoint_record.hpp>
#include <banyan/cluster/endpoint_id.hpp>
#include <banyan/core/random.hpp>

namespace banyan {

template <class T, class Policy, class Clock>
class balancer;

/// An endpoint that may be picked.
class candidate {
 public:
  candidate(detail::endpoint_record& record, double weight) noexcept
      : record_{&record}, cells_{record.cells()}, weight_{weight} {}

  [[nodiscard]] endpoint_id id() const noexcept { return record_->id(); }
  /// Its share relative to the others: above 0, finite.
  [[nodiscard]] double weight() const noexcept { return weight_; }
  /// A hash of its name: the same after a restart and on other machines.
  [[nodiscard]] std::uint64_t name_hash() const noexcept { return record_->name_hash(); }

 private:
  template <class T, class Policy, class Clock>
  friend class balancer;
  friend class pick_context;

  detail::endpoint_record* record_;
  detail::flight_cell* cells_;
  double weight_;
};

/// One pick, as its policy sees it. All functions are wait-free and O(1), but for `clock`'s `now()`.
class pick_context {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  /// After so many refusals the balancer goes through the candidates one by one.
  static constexpr std::uint32_t max_attempts = 8;

  [[nodiscard]] const pick_request& request() const noexcept { return request_; }

  /// How often the policy has been asked before in this pick; its choices then were refused: to be avoided, in slow
  /// start, draining just now.
  [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }

  [[nodiscard]] bool refused(std::uint32_t index) const noexcept {
    for (std::uint32_t i = 0; i < attempt_; ++i) {
      if (refused_[i] == index) return true;
    }
    return false;
  }

  /// 64 random bits. A `std::uniform_random_bit_generator`, as far as `random_below` and `random_unit` ask.
  std::uint64_t operator()() noexcept { return own_->random(); }

  /// The thread's next place in a cycle of `length` (above 0): the first thread starts with 0, others elsewhere.
  std::uint64_t advance(std::uint64_t length) noexcept { return own_->advance(length); }

  /// Tokens out, at least 0, as the picking thread sees it: its own exactly, those of others as of 2 microseconds ago.
  [[nodiscard]] std::int64_t in_flight(const candidate& one) noexcept {
    return one.record_->seen_in_flight(stripe_, cycles());
  }

  /// Moving average of the latency in nanoseconds, sensitive to peaks and decayed until now, seen in the same way; 0
  /// when none has been reported. Reads the clock.
  [[nodiscard]] float latency(const candidate& one) noexcept {
    return one.record_->seen_latency(stripe_, cycles(), now());
  }

  /// Tokens out right now, of all threads: O(threads), exact when nothing moves.
  [[nodiscard]] std::int64_t exact_in_flight(const candidate& one) const noexcept {
    const std::int64_t sum = one.record_->state().in_flight();
    return sum > 0 ? sum : 0;
  }

  /// Nanoseconds since the clock's epoch; the clock is read once, when a pick first asks.
  [[nodiscard]] std::int64_t now() noexcept {
    if (!clock_read_) {
      now_ = read_clock_();
      clock_read_ = true;
    }
    return now_;
  }

 private:
  template <class T, class Policy, class Clock>
  friend class balancer;

  pick_context(const pick_request& request, detail::thread_sequence& own, std::uint32_t stripe,
               std::int64_t (*read_clock)()) noexcept
      : request_{request}, own_{&own}, stripe_{stripe}, read_clock_{read_clock} {}

  [[nodiscard]] std::uint32_t cycles() noexcept {
    if (cycles_ == 0) cycles_ = static_cast<std::uint32_t>(detail::cycle_counter::now()) | 1U;
    return cycles_;
  }

  const pick_request& request_;
  detail::thread_sequence* own_;
  std::uint32_t stripe_;
  std::uint32_t attempt_ = 0;
  std::uint32_t cycles_ = 0;
  std::int64_t now_ = 0;
  std::int64_t (*read_clock_)();
  bool clock_read_ = false;
  std::array<std::uint32_t, max_attempts> refused_;  // the first `attempt_` are set
};

/// A policy: made once for a balancer, asked by all threads at once.
///
/// * `build(candidates)` makes what `choose` needs from the members that may be picked, ordered by id, at least one.
///   Called by the writer that changes the membership; it may take its time and may throw, which cancels the change.
/// * `choose(table, candidates, context)` returns an index into `candidates`, or `pick_context::none`. It must not
///   throw, lock or wait. When its choice is refused it is asked again.
/// * `settled(candidate, context)`, if it is there, hears of the choice that was taken.
template <class P>
concept balance_policy = requires(P& policy, std::span<const candidate> candidates, const typename P::table& table,
                                  pick_context& context) {
  { policy.build(candidates) } -> std::same_as<typename P::table>;
  { policy.choose(table, candidates, context) }
  noexcept->std::same_as<std::uint32_t>;
};

}  // namespace banyan
