#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>

#include <banyan/core/cache_line.hpp>
#include <banyan/core/clock.hpp>
#include <banyan/core/zeroed_array.hpp>
#include <banyan/limit/circuit_breaker_options.hpp>
#include <banyan/limit/detail/breaker_state.hpp>
#include <banyan/limit/detail/outcome_counts.hpp>
#include <banyan/limit/detail/tick_scale.hpp>

namespace banyan {

/// Stops calling what fails, and finds out when it is well again.
///
///     banyan::circuit_breaker breaker{{.failure_rate = 0.5, .window = 100, .open_for = 60s, .probes = 10}};
///     if (auto call = breaker.try_acquire()) {
///       const auto reply = ask();
///       reply.ok ? call.succeeded(reply.latency) : call.failed();
///     } else { use_fallback(); }
///
/// Closed, it counts how calls went; it opens when, of at least `min_calls`, the part that failed or was slow has
/// reached its rate. Open, it refuses. After `open_for` the next call makes it half open: `probes` calls go through,
/// and when all are back it closes, or opens again as soon as so many of them failed or were slow that the rate is
/// reached. Probes that are cancelled let others through; probes that do not come back within `probe_timeout` are given
/// up. What comes back after the state has changed counts for nothing. With `open_for_max`, openings in a row last
/// longer and longer: `open_for` doubled each time, at most 16,384-fold.
///
/// All calls are lock-free, O(1), and never throw; a permit refers to its breaker, which must outlive it. Thread-safe.
/// `open_for` and `probe_timeout` are kept to 0.4 ms. An older `now` cannot open or close anything early. Thirteen
/// years after its construction time stands still for a breaker.
///
/// Source: M. Nygard, "Release It!", 2007; the rules of resilience4j's circuit breaker; openings that double:
/// brpc's isolation durations.
template <class Clock = steady_clock>
class circuit_breaker {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using duration = std::chrono::nanoseconds;
  using options = circuit_breaker_options;

  /// Permission for one call; empty when refused. The first report counts; dying without one means cancelled.
  /// Move-only; one thread at a time.
  class permit {
   public:
    permit() = default;
    permit(permit&& other) noexcept
        : breaker_{std::exchange(other.breaker_, nullptr)}, generation_{other.generation_}, probe_{other.probe_} {}
    permit& operator=(permit&& other) noexcept {
      permit taken{std::move(other)};
      std::swap(breaker_, taken.breaker_);
      std::swap(generation_, taken.generation_);
      std::swap(probe_, taken.probe_);
      return *this;
    }
    ~permit() {
      if (breaker_ != nullptr && probe_) breaker_->cancelled(generation_);
    }

    [[nodiscard]] explicit operator bool() const noexcept { return breaker_ != nullptr; }

    /// The call went well; it took `latency`, which may have been too long: untold, it is not slow. See `slow_after`.
    void succeeded(duration latency = duration{0}, time_point now = Clock::now()) noexcept {
      report(false, latency, now);
    }
    void failed(duration latency = duration{0}, time_point now = Clock::now()) noexcept { report(true, latency, now); }

   private:
    friend circuit_breaker;
    permit(circuit_breaker& breaker, std::uint16_t generation, bool probe) noexcept
        : breaker_{&breaker}, generation_{generation}, probe_{probe} {}

    void report(bool failure, duration latency, time_point now) noexcept {
      if (breaker_ == nullptr) return;
      const bool slow = breaker_->options_.slow_after.count() > 0 && latency > breaker_->options_.slow_after;
      std::exchange(breaker_, nullptr)->came_back(generation_, probe_, {failure, slow}, now);
    }

    circuit_breaker* breaker_ = nullptr;
    std::uint16_t generation_ = 0;
    bool probe_ = false;
  };

  /// Throws `std::invalid_argument` when an option is out of its range, and `std::bad_alloc`.
  explicit circuit_breaker(circuit_breaker_options wanted, time_point now = Clock::now())
      : options_{(check(wanted), std::move(wanted))},
        begin_{detail::clamped_nanoseconds(now)},
        ring_{options_.window_time.count() == 0 ? options_.window : 1},
        last_{{ring_.data(), ring_.size()}} {}

  circuit_breaker(const circuit_breaker&) = delete;
  circuit_breaker& operator=(const circuit_breaker&) = delete;

  /// Permission for a call, or none.
  [[nodiscard]] permit try_acquire(time_point now = Clock::now()) noexcept {
    for (;;) {
      const auto seen = state_.look();
      switch (seen.state) {
        case circuit_state::closed:
        case circuit_state::disabled:
          return permit{*this, seen.generation, false};
        case circuit_state::forced_open:
          return permit{};
        case circuit_state::open:
          if (!over(seen, open_length(seen), now)) return permit{};
          change(seen, circuit_state::half_open, now);
          break;
        case circuit_state::half_open:
          if (state_.issue(seen.generation, options_.probes)) return permit{*this, seen.generation, true};
          if (!over(seen, options_.probe_timeout, now)) return permit{};
          change(seen, circuit_state::half_open, now);  // another round
          break;
      }
    }
  }

  /// As it is; open also when `open_for` is over and no call has come since. Wait-free.
  [[nodiscard]] circuit_state state() const noexcept { return state_.look().state; }

  /// The part of the counted calls that failed, and that was slow; 0 without any, or when it is not closed.
  [[nodiscard]] double failure_rate(time_point now = Clock::now()) const noexcept { return rate(now, true); }
  [[nodiscard]] double slow_rate(time_point now = Clock::now()) const noexcept { return rate(now, false); }

  /// Refuses everything from now on.
  void force_open(time_point now = Clock::now()) noexcept { force(circuit_state::forced_open, now); }
  /// Lets everything through from now on.
  void disable(time_point now = Clock::now()) noexcept { force(circuit_state::disabled, now); }
  /// Closed, with nothing counted, and as if it had never been open.
  void reset(time_point now = Clock::now()) noexcept { force(circuit_state::closed, now); }
  /// Open, for `open_for`.
  void open(time_point now = Clock::now()) noexcept { force(circuit_state::open, now); }

 private:
  using view = detail::breaker_state::view;
  static constexpr std::int64_t tick = 200'000;  // nanoseconds

  // From 1 on, rounded up: a state never ends early.
  [[nodiscard]] std::uint64_t ticks(time_point now, bool up) const noexcept {
    const std::int64_t nanoseconds = detail::clamped_nanoseconds(now);
    if (nanoseconds <= begin_) return 1;
    const std::uint64_t since = static_cast<std::uint64_t>(nanoseconds) - static_cast<std::uint64_t>(begin_);
    constexpr std::uint64_t last = (std::uint64_t{1} << 41) - 2;
    return std::min<std::uint64_t>((since + (up ? tick - 1 : 0)) / tick, last) + 1;
  }

  [[nodiscard]] bool over(const view& seen, duration length, time_point now) const noexcept {
    const auto needed = static_cast<std::uint64_t>((length.count() + tick - 1) / tick);
    return ticks(now, false) >= seen.since + needed;
  }

  [[nodiscard]] std::uint64_t slot_of(std::uint64_t at) const noexcept {
    const auto length =
        static_cast<std::uint64_t>(options_.window_time.count() / tick) / detail::recent_outcomes::count;
    return at / length + 1;
  }

  [[nodiscard]] duration open_length(const view& seen) const noexcept {
    if (options_.open_for_max.count() == 0 || seen.openings <= 1) return options_.open_for;
    const int doubled = seen.openings - 1;
    if (options_.open_for.count() > options_.open_for_max.count() >> doubled) return options_.open_for_max;
    return options_.open_for * (std::int64_t{1} << doubled);
  }

  // How often it will have opened in a row when it opens now.
  [[nodiscard]] std::uint8_t openings_with(const view& from, time_point now) const noexcept {
    if (from.state == circuit_state::closed && over(from, options_.open_for_max, now)) return 1;
    return std::min<std::uint8_t>(static_cast<std::uint8_t>(from.openings + 1), detail::breaker_state::most_openings);
  }

  bool change(const view& from, circuit_state to, time_point now) noexcept {
    return change(from, to, to == circuit_state::open ? openings_with(from, now) : from.openings, now);
  }

  bool change(const view& from, circuit_state to, std::uint8_t openings, time_point now) noexcept {
    // A state that began by a clock that was ahead does not begin again before that.
    if (!state_.change(from, to, openings, std::max(ticks(now, true), from.since))) return false;
    if (from.state != to && options_.on_change) {
#if defined(__cpp_exceptions)
      try {
        options_.on_change(from.state, to);
      } catch (...) {  // documented: what a listener throws is lost
      }
#else
      options_.on_change(from.state, to);
#endif
    }
    return true;
  }

  void force(circuit_state to, time_point now) noexcept {
    while (!change(state_.look(), to, to == circuit_state::open ? std::uint8_t{1} : std::uint8_t{0}, now)) {
    }
  }

  [[nodiscard]] static bool reached(double limit, std::uint32_t part, std::uint32_t whole) noexcept {
    return part > 0 && static_cast<double>(part) >= limit * static_cast<double>(whole) * (1 - 1e-12);
  }

  void came_back(std::uint16_t generation, bool probe, detail::call_outcome outcome, time_point now) noexcept {
    const view seen = state_.look();
    if (seen.generation != generation) {
      return;
    }
    if (!probe) {
      if (seen.state != circuit_state::closed) return;
      const detail::outcome_counts counts = recorded(seen, outcome, now);
      if (counts.calls < options_.min_calls) return;
      if (reached(options_.failure_rate, counts.failed, counts.calls) ||
          (options_.slow_after.count() > 0 && reached(options_.slow_rate, counts.slow, counts.calls))) {
        change(seen, circuit_state::open, now);
      }
      return;
    }
    const auto counts = state_.give_back(generation, true, outcome.failed, outcome.slow);
    if (reached(options_.failure_rate, counts.failed, options_.probes) ||
        (options_.slow_after.count() > 0 && reached(options_.slow_rate, counts.slow, options_.probes))) {
      change(seen, circuit_state::open, now);
    } else if (counts.returned >= options_.probes) {
      change(seen, circuit_state::closed, now);
    }
  }

  void cancelled(std::uint16_t generation) noexcept { state_.give_back(generation, false, false, false); }

  detail::outcome_counts recorded(const view& seen, detail::call_outcome outcome, time_point now) noexcept {
    if (options_.window_time.count() == 0) {
      return last_.record(seen.generation, outcome,
                          [this](std::uint16_t a, std::uint16_t than) noexcept { return state_.is_later(a, than); });
    }
    // Calls of an earlier generation may be in the slot in which this one began: it counts from the next one on.
    const std::uint64_t first = seen.since == 0 ? 1 : slot_of(seen.since) + 1;
    const std::uint64_t slot = slot_of(ticks(now, false));
    return recent_.record(std::max(slot, first), first, outcome);
  }

  [[nodiscard]] double rate(time_point now, bool failures) const noexcept {
    const view seen = state_.look();
    if (seen.state != circuit_state::closed) return 0;
    const std::uint64_t first = seen.since == 0 ? 1 : slot_of_or_one(seen.since) + 1;
    const auto counts = options_.window_time.count() == 0
                            ? last_.look(seen.generation)
                            : recent_.look(std::max(slot_of(ticks(now, false)), first), first);
    if (counts.calls == 0) return 0;
    return static_cast<double>(failures ? counts.failed : counts.slow) / static_cast<double>(counts.calls);
  }

  [[nodiscard]] std::uint64_t slot_of_or_one(std::uint64_t at) const noexcept {
    return options_.window_time.count() == 0 ? 1 : slot_of(at);
  }

  circuit_breaker_options options_;
  std::int64_t begin_;
  zeroed_array<std::atomic<std::uint32_t>> ring_;
  detail::last_outcomes last_;
  detail::recent_outcomes recent_;
  // Read by every call; the counts above are written by every call.
  alignas(cache_line_size) detail::breaker_state state_;
};

}  // namespace banyan
