#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/detail/add_sat.hpp>
#include <banyan/core/detail/attributes.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/core/random.hpp>
#include <banyan/core/zeroed_array.hpp>
#include <banyan/limit/concurrency_limiter_options.hpp>
#include <banyan/limit/concurrency_permit.hpp>
#include <banyan/limit/concurrency_stats.hpp>
#include <banyan/limit/detail/admission.hpp>
#include <banyan/limit/detail/fresh_seed.hpp>
#include <banyan/limit/detail/queue_patience.hpp>
#include <banyan/limit/detail/sample_window.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/gradient2.hpp>
#include <banyan/limit/limit_policy.hpp>
#include <banyan/limit/limit_refusal.hpp>
#include <banyan/limit/priority.hpp>

namespace banyan {

/// Limits how many calls are in flight, and finds out by how they went how many that should be.
///
///     banyan::concurrency_limiter<banyan::gradient2> gate{{.min = 4, .max = 200}};
///     if (auto permit = gate.try_acquire()) {
///       const auto reply = serve();
///       reply.timed_out ? permit.dropped() : permit.succeeded();
///     } else { reply_503(); }
///
/// A call is let in when fewer than the limit are in flight, one of lower priority when fewer than its share of the
/// limit are. When the limit comes down, those that are in stay, and nobody is let in until they are fewer. The limit
/// is the policy's (`limit_policy`): `fixed`, `aimd`, `vegas`, `gradient2`, or your own; it is looked at when a call
/// ends after a window's end. A window in which no call has ended begins anew with the first one that ends after it.
///
/// With `queue`, `acquire` waits: first come, first served within a priority, the more important first, and nobody
/// overtakes, not even `try_acquire`. When as many wait as may, a more important newcomer takes the place of a less
/// important waiter. How long one may wait depends on whether the queue has been empty lately (`interval`, `target`).
///
/// A permit that is kept for ever is in flight for ever: see `stats`. All calls but `acquire` are lock-free, O(1)
/// (releases: and those let in), and never throw. Thread-safe. Windows go by the clock that is ahead; an older `now`
/// closes none. Must outlive its permits and those who wait.
///
/// Source: Netflix's concurrency-limits; the queue's patience: B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015, after
/// K. Nichols, V. Jacobson, "Controlling queue delay", 2012.
template <limit_policy Policy = gradient2, class Clock = steady_clock>
class concurrency_limiter {
 public:
  using policy_type = Policy;
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using duration = std::chrono::nanoseconds;
  using permit = concurrency_permit<concurrency_limiter>;

  /// Throws `std::invalid_argument` when an option is out of its range, and `std::bad_alloc`.
  explicit concurrency_limiter(typename Policy::options policy, concurrency_limiter_options how = {},
                               time_point now = Clock::now())
      : how_{(check(how), how)},
        policy_(policy),
        entries_{how.queue == 0 ? 0 : priority_count * room()},
        parked_{entries_.size()},
        state_{policy_.initial()},
        patience_{how.interval.count(), how.target.count()},
        window_{detail::add_sat(detail::clamped_nanoseconds(now), how.window.count())},
        admission_{{entries_of(0), entries_of(1), entries_of(2)}} {
    for (std::size_t i = 0; i < priority_count; ++i) {
      // Rounded up a little, so that 0.9 of 10 is 9.
      shares_[i] = std::min<std::uint64_t>(whole, static_cast<std::uint64_t>(how.shares[i] * whole) + 1);
    }
    if (how_.seed == 0) how_.seed = detail::fresh_seed();
    if constexpr (has_timeout) timeout_ = policy_.timeout().count();
  }

  concurrency_limiter(const concurrency_limiter&) = delete;
  concurrency_limiter& operator=(const concurrency_limiter&) = delete;

  /// A permit, or an empty one. Without a priority a call may fill the whole limit, as a critical one.
  [[nodiscard]] permit try_acquire(time_point now = Clock::now()) noexcept {
    return try_acquire(priority::critical, now);
  }
  [[nodiscard]] permit try_acquire(priority importance, time_point now = Clock::now()) noexcept {
    const std::uint32_t in_flight = enter(importance);
    return in_flight == 0 ? permit{} : permit{*this, now, in_flight};
  }

  /// As `try_acquire`, and waits if need be in the queue, for `at_most` or as long as the queue lets one wait. Latency
  /// is measured from when it was let in. Blocking up to there, on those who hold permits; it looks again by itself
  /// from time to time, so a thread that stopped while it gave back holds up nobody for long.
  [[nodiscard]] expected<permit, limit_refusal> acquire(priority importance, duration at_most = duration::max(),
                                                        time_point now = Clock::now()) noexcept {
    if (permit entered = try_acquire(importance, now)) return entered;
    if (how_.queue == 0) return unexpected{limit_refusal::at_limit};
    if (at_most.count() <= 0) return unexpected{limit_refusal::timeout};
    return wait(static_cast<std::uint32_t>(importance), at_most, now);
  }
  [[nodiscard]] expected<permit, limit_refusal> acquire(duration at_most = duration::max(),
                                                        time_point now = Clock::now()) noexcept {
    return acquire(priority::critical, at_most, now);
  }

  /// For critical calls; for those of a priority. Wait-free.
  [[nodiscard]] std::uint32_t limit() const noexcept { return limit(priority::critical); }
  [[nodiscard]] std::uint32_t limit(priority importance) const noexcept {
    return limit_of(static_cast<std::uint32_t>(importance));
  }

  /// How many permits are out. Wait-free.
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return admission_.inside(); }

  /// Wait-free.
  [[nodiscard]] concurrency_stats stats() const noexcept {
    return {limit(),
            in_flight(),
            {admission_.waiting(0), admission_.waiting(1), admission_.waiting(2)},
            windows_.load(std::memory_order_relaxed)};
  }

  /// Sets the limit by hand, to the nearest that the policy's bounds allow; an adaptive policy goes on from there.
  void set_limit(std::uint32_t limit) noexcept requires requires(const Policy p) {
    { p.with_limit(std::uint64_t{}, limit) } -> std::same_as<std::uint64_t>;
  }
  {
    std::uint64_t word = state_.load(std::memory_order_relaxed);
    while (!state_.compare_exchange_weak(word, policy_.with_limit(word, limit), std::memory_order_seq_cst)) {
    }
    settle();
  }

  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }
  /// The policy's word, for its own observers. Wait-free.
  [[nodiscard]] std::uint64_t policy_word() const noexcept { return state_.load(std::memory_order_relaxed); }

 private:
  friend permit;
  using queue = detail::admission<>;
  using place = typename queue::place;
  static constexpr std::uint64_t whole = std::uint64_t{1} << 32;
  static constexpr bool adaptive = [] {
    if constexpr (requires { Policy::adaptive; }) {
      return static_cast<bool>(Policy::adaptive);
    } else {
      return true;
    }
  }();
  static constexpr bool has_timeout = requires(const Policy p) { p.timeout().count(); };

  [[nodiscard]] std::size_t room() const noexcept { return how_.queue + 64U; }  // and some that are on their way out
  [[nodiscard]] std::span<queue::entry> entries_of(std::size_t i) noexcept {
    if (entries_.size() == 0) return {no_entries_.data() + 2 * i, 2};
    return {entries_.data() + i * room(), room()};
  }

  [[nodiscard]] std::uint32_t limit_of(std::uint32_t importance) const noexcept {
    // seq_cst: a look of those who wait (detail/admission.hpp). The limit stands for itself.
    const std::uint32_t all = policy_.limit(state_.load(std::memory_order_seq_cst));
    const auto part = static_cast<std::uint32_t>(all * shares_[importance] >> 32);
    return part > 0 ? part : 1;
  }

  [[nodiscard]] std::uint32_t enter(priority importance) noexcept {
    const auto of_class = static_cast<std::uint32_t>(importance);
    const std::uint32_t entered = admission_.try_enter(of_class, limit_of(of_class));
    return entered != 0 || how_.queue == 0 ? entered : enter_after_others(of_class);
  }

  // Refused, perhaps only because somebody waits whom a thread that has stopped should have let in.
  BANYAN_COLD std::uint32_t enter_after_others(std::uint32_t of_class) noexcept {
    settle();
    return admission_.try_enter(of_class, limit_of(of_class));
  }

  [[nodiscard]] auto limits() const noexcept {
    return [this](std::uint32_t importance) noexcept { return limit_of(importance); };
  }
  [[nodiscard]] auto waker() noexcept {
    return [this](place waiter) noexcept {
      parking_word& word = parked_at(waiter);
      // (1) release: pairs with the acquire of (2).
      word.value().fetch_add(1, std::memory_order_release);
      word.notify_one();
    };
  }
  [[nodiscard]] parking_word& parked_at(place waiter) noexcept {
    return parked_[waiter.of_class * room() + waiter.in_list.index];
  }

  void settle() noexcept { admission_.settle(limits(), waker()); }
  void leave() noexcept { admission_.leave(limits(), waker()); }

  void succeeded(std::int64_t latency, std::uint32_t in_flight, time_point now) noexcept {
    if constexpr (!adaptive) return leave();
    if (timeout_ > 0 && latency > timeout_) return dropped(in_flight, now);
    window_.begin(detail::clamped_nanoseconds(now), how_.window.count(), how_.min_calls);
    window_.add(static_cast<std::uint64_t>(latency), in_flight);
    leave();
    look(now);
  }
  void dropped(std::uint32_t in_flight, time_point now) noexcept {
    if constexpr (!adaptive) return leave();
    window_.begin(detail::clamped_nanoseconds(now), how_.window.count(), how_.min_calls);
    window_.drop(in_flight);
    leave();
    look(now);
  }

  // Ends the window when it is time, and lets the policy have it.
  void look(time_point now) noexcept {
    const auto taken = window_.close(detail::clamped_nanoseconds(now), how_.window.count(), how_.min_calls);
    if (taken) apply(*taken);
  }

  BANYAN_COLD void apply(const detail::sample_window<>::gathered& taken) noexcept {
    const std::uint64_t count = windows_.fetch_add(1, std::memory_order_relaxed);
    const limit_sample sample{
        taken.latency,   static_cast<double>(taken.least_latency),
        taken.calls,     taken.drops,
        taken.in_flight, mix_bits(static_cast<std::uint64_t>(taken.end) + mix_bits(how_.seed + count))};
    std::uint64_t word = state_.load(std::memory_order_seq_cst);
    do {
      if (!window_.is_last(taken)) return;
    } while (!state_.compare_exchange_weak(word, policy_.next(word, sample), std::memory_order_seq_cst));
    if (how_.queue != 0) settle();  // it may have risen
  }

  BANYAN_COLD expected<permit, limit_refusal> wait(std::uint32_t importance, duration at_most,
                                                   time_point now) noexcept {
    const steady_clock::time_point start = steady_clock::now();
    auto prepared = admission_.prepare(importance, how_.queue);
    while (!prepared.waiter) {
      if (!prepared.full || !admission_.displace(importance, waker())) return unexpected{limit_refusal::queue_full};
      prepared = admission_.prepare(importance, how_.queue);
    }
    const place waiter = prepared.waiter;
    const duration patience =
        std::min(at_most, duration{patience_.of(prepared.first, detail::clamped_nanoseconds(now))});
    const steady_clock::time_point until = start + patience;
    parking_word& word = parked_at(waiter);

    // (2) acquire: pairs with (1): whoever is woken sees what it was given.
    std::uint32_t seen = word.value().load(std::memory_order_acquire);
    admission_.join(waiter, limits(), waker());
    std::chrono::milliseconds pause{10};
    for (;;) {
      std::optional<std::uint32_t> given = admission_.given(waiter);
      if (!given) {
        const auto look_again = steady_clock::now() + pause;
        if (word.wait_until(seen, std::min(until, look_again))) {
          seen = word.value().load(std::memory_order_acquire);
          continue;
        }
        if (look_again < until) {  // who should have let us in may have stopped
          settle();
          pause = std::min(pause * 2, std::chrono::milliseconds{1000});
          continue;
        }
        if (admission_.withdraw(waiter)) {
          admission_.finish(waiter);
          return unexpected{limit_refusal::timeout};
        }
        given = admission_.given(waiter);  // at the last moment
      }
      admission_.finish(waiter);
      if (given != queue::granted) return unexpected{limit_refusal::displaced};
      const auto waited = std::chrono::duration_cast<typename time_point::duration>(steady_clock::now() - start);
      return permit{*this, now + waited, admission_.inside()};
    }
  }

  // Read by every call.
  concurrency_limiter_options how_;
  Policy policy_;
  std::array<std::uint64_t, priority_count> shares_{};
  std::int64_t timeout_ = 0;
  zeroed_array<queue::entry> entries_;
  std::array<queue::entry, 2 * priority_count> no_entries_{};
  zeroed_array<parking_word> parked_;
  std::atomic<std::uint64_t> state_;
  std::atomic<std::uint64_t> windows_{0};
  detail::queue_patience<> patience_;
  // Written by every call: the window's four words and the count at the head of the queue share a line.
  static_assert(sizeof(detail::sample_window<>) + sizeof(std::uint64_t) <= cache_line_size);
  alignas(cache_line_size) detail::sample_window<> window_;
  queue admission_;
};

}  // namespace banyan
