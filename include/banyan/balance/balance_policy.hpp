#pragma once

/// \file
/// What a balancing policy is, and what it sees. Users may write their own.

#include <algorithm>
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

namespace detail {
struct pick_access;

/// Which of 1 to 32 candidates have what is needed: bit i is that of `indexes[i]`.
using fit_function = std::uint32_t(const void* needs, const std::uint32_t* indexes, std::uint32_t count) noexcept;
}  // namespace detail

/// An endpoint that may be picked.
class candidate {
 public:
  [[nodiscard]] endpoint_id id() const noexcept { return record_->id(); }
  /// Its share relative to the others: above 0, finite.
  [[nodiscard]] float weight() const noexcept { return weight_; }
  /// A hash of its name: the same after a restart and on other machines.
  [[nodiscard]] std::uint64_t name_hash() const noexcept { return record_->name_hash(); }

 private:
  friend struct detail::pick_access;
  friend class pick_context;

  candidate(detail::endpoint_record& record, double weight, bool may_warm_up) noexcept
      : record_{&record},
        cells_{record.cells()},
        weight_{std::max(static_cast<float>(weight), std::numeric_limits<float>::min())},
        may_warm_up_{may_warm_up} {}

  detail::endpoint_record* record_;
  detail::flight_cell* cells_;
  float weight_;
  bool may_warm_up_;
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

  /// Whether only some have what the request needs: a read that asks for a position, say. A policy that goes by
  /// `refused` then chooses among these as it would if there were no others; the choice of one that does not is
  /// refused.
  [[nodiscard]] bool selective() const noexcept { return fit_ != nullptr; }

  /// Nobody is refused.
  [[nodiscard]] bool open() const noexcept { return attempt_ == 0 && fit_ == nullptr; }

  /// Not to be named: was refused before in this pick, or has not what the request needs. O(attempt).
  [[nodiscard]] bool refused(std::uint32_t index) const noexcept { return welcome({&index, 1}) == 0; }

  /// Of 1 to 32 indexes, those that are not refused: bit i is that of `indexes[i]`. Better than one by one: no branch
  /// depends on who it is, which could not be predicted. O(indexes * attempt).
  [[nodiscard]] std::uint32_t welcome(std::span<const std::uint32_t> indexes) const noexcept {
    const auto count = static_cast<std::uint32_t>(indexes.size());
    std::uint32_t all = fit_ == nullptr ? ~std::uint32_t{0} >> (32 - count) : fit_(needs_, indexes.data(), count);
    for (std::uint32_t i = 0; i < attempt_; ++i) {
      for (std::uint32_t k = 0; k < count; ++k) {
        if (refused_[i] == indexes[k]) all &= ~(std::uint32_t{1} << k);
      }
    }
    return all;
  }

  /// 64 random bits. A `std::uniform_random_bit_generator`, as far as `random_below` and `random_unit` ask.
  std::uint64_t operator()() noexcept { return own_->random(); }

  /// The thread's next place in a cycle of `length` (above 0): the first thread starts with 0, others elsewhere.
  std::uint64_t advance(std::uint64_t length) noexcept { return own_->advance(length); }

  /// Tokens out, at least 0, as the picking thread sees it: its own exactly, those of others as of 20 microseconds ago.
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
  friend struct detail::pick_access;

  pick_context(const pick_request& request, detail::thread_sequence& own, std::uint32_t stripe,
               std::int64_t (*read_clock)()) noexcept
      : request_{request}, own_{&own}, stripe_{stripe}, read_clock_{read_clock} {}

  [[nodiscard]] std::uint32_t cycles() noexcept {
    if (cycles_ == 0) cycles_ = own_->cycles() | 1U;
    return cycles_;
  }

  const pick_request& request_;
  detail::thread_sequence* own_;
  std::uint32_t stripe_;
  std::uint32_t attempt_ = 0;
  std::uint32_t cycles_ = 0;
  std::int64_t now_ = 0;
  std::int64_t (*read_clock_)();
  detail::fit_function* fit_ = nullptr;
  const void* needs_ = nullptr;
  bool clock_read_ = false;
  std::array<std::uint32_t, max_attempts> refused_;  // the first `attempt_` are set
};

namespace detail {

/// What the balancer may do with candidates and picks, and policies may not.
struct pick_access {
  static candidate make_candidate(endpoint_record& record, double weight, bool may_warm_up) noexcept {
    return {record, weight, may_warm_up};
  }
  static endpoint_record& record(const candidate& one) noexcept { return *one.record_; }
  static flight_cell* cells(const candidate& one) noexcept { return one.cells_; }
  static bool may_warm_up(const candidate& one) noexcept { return one.may_warm_up_; }

  static pick_context make_context(const pick_request& request, thread_sequence& own, std::uint32_t stripe,
                                   std::int64_t (*read_clock)()) noexcept {
    return {request, own, stripe, read_clock};
  }
  static void set_now(pick_context& context, std::int64_t now) noexcept {
    context.now_ = now;
    context.clock_read_ = true;
  }
  /// Who has not what is needed is refused, as far as the policy asks. `needs` is of the group that is asked.
  static void set_needs(pick_context& context, fit_function& fit, const void* needs) noexcept {
    context.fit_ = &fit;
    context.needs_ = needs;
  }
  static std::uint32_t stripe(const pick_context& context) noexcept { return context.stripe_; }
  /// False when the policy need not be asked again.
  static bool refuse(pick_context& context, std::uint32_t choice) noexcept {
    context.refused_[context.attempt_++] = choice;
    return context.attempt_ < pick_context::max_attempts;
  }
  /// The policy is asked anew, for other needs.
  static void forget_refusals(pick_context& context) noexcept { context.attempt_ = 0; }
};

}  // namespace detail

/// A policy: made once for a balancer, asked by all threads at once.
///
/// * `build(candidates)` makes what `choose` needs from the members that may be picked, ordered by id, at least one.
///   Called by the writer that changes the membership; it may take its time and may throw, which cancels the change.
/// * `choose(table, candidates, context)` returns an index into `candidates`, best of one that is not
///   `context.refused(index)`, or `pick_context::none`. It must not throw, lock or wait. When its choice is refused it
///   is asked again.
/// * `held(table, candidates, context)`, if it is there, tells the index of the candidate that the request is bound to,
///   or `none`: asked group by group where the candidates are in several, before one is drawn.
/// * `settled(candidate, context)`, if it is there, hears of the choice that was taken.
template <class P>
concept balance_policy = requires(P& policy, std::span<const candidate> candidates, const typename P::table& table,
                                  pick_context& context) {
  { policy.build(candidates) } -> std::same_as<typename P::table>;
  { policy.choose(table, candidates, context) }
  noexcept->std::same_as<std::uint32_t>;
};

}  // namespace banyan
