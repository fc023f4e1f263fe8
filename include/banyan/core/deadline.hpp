#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/detail/add_sat.hpp>
#include <banyan/core/detail/grpc_timeout.hpp>

namespace banyan {

/// The point of a clock after which nobody waits for the result any more.
///
///     const auto until = banyan::deadline::in(50ms);
///     if (until.expired()) return refuse();
///     send(request, until.with_margin(5ms).to_grpc_timeout());
///     // ... and at the other end
///     const auto until = banyan::deadline::from_grpc_timeout(header).value_or(banyan::deadline::in(1s));
///
/// A value, in nanoseconds of 64 bits. What lies beyond is the nearest there is, and the latest of all is `never`. Over
/// the wire goes the time that is left, so clocks need not agree; time spent on the wire is not counted.
///
/// All operations are O(1) and wait-free; none throws.
///
/// Sources: gRPC (deadlines, and "gRPC over HTTP2"); Finagle's Deadline; Go's context.
template <class Clock = steady_clock>
class basic_deadline {
 public:
  using clock = Clock;
  using time_point = typename Clock::time_point;
  using duration = std::chrono::nanoseconds;

  /// Never.
  constexpr basic_deadline() noexcept = default;

  explicit constexpr basic_deadline(time_point at) noexcept : at_{clamped(at.time_since_epoch())} {}

  [[nodiscard]] static constexpr basic_deadline never() noexcept { return {}; }

  /// `length` from now; at once when it is 0, negative, or not a number.
  template <class Rep, class Period>
  [[nodiscard]] static constexpr basic_deadline in(std::chrono::duration<Rep, Period> length,
                                                   time_point now = Clock::now()) noexcept {
    const std::int64_t wanted = clamped(length);
    return basic_deadline{detail::add_sat(clamped(now.time_since_epoch()), wanted > 0 ? wanted : 0)};
  }

  [[nodiscard]] constexpr bool is_never() const noexcept { return at_ == latest; }

  /// As a point of the clock; the last there is for `never`.
  [[nodiscard]] constexpr time_point at() const noexcept {
    if (is_never()) return time_point::max();
    return time_point{std::chrono::duration_cast<typename time_point::duration>(duration{at_})};
  }

  /// 0 when it has expired; the longest there is for `never`.
  [[nodiscard]] constexpr duration remaining(time_point now = Clock::now()) const noexcept {
    if (is_never()) return duration::max();
    const std::int64_t at_present = clamped(now.time_since_epoch());
    if (at_present >= at_) return duration::zero();
    const std::uint64_t left = static_cast<std::uint64_t>(at_) - static_cast<std::uint64_t>(at_present);
    return left > static_cast<std::uint64_t>(latest) ? duration::max() : duration{static_cast<std::int64_t>(left)};
  }

  [[nodiscard]] constexpr bool expired(time_point now = Clock::now()) const noexcept {
    return !is_never() && clamped(now.time_since_epoch()) >= at_;
  }

  [[nodiscard]] constexpr basic_deadline sooner(basic_deadline other) const noexcept {
    return other.at_ < at_ ? other : *this;
  }

  /// Earlier by `margin`: what the next hop gets, so that there is time left for its answer. A negative margin, or one
  /// that is not a number, counts as 0; `never` stays never.
  template <class Rep, class Period>
  [[nodiscard]] constexpr basic_deadline with_margin(std::chrono::duration<Rep, Period> margin) const noexcept {
    const std::int64_t earlier = clamped(margin);
    return is_never() || earlier <= 0 ? *this : basic_deadline{detail::add_sat(at_, -earlier)};
  }

  /// The time that is left as the text of a `grpc-timeout` header, such as "49700u": rounded down, by a part in 100,000
  /// for days and less, so that no hop gains time. Empty for `never`: then there is no header. When it has expired,
  /// "1n" (there is no zero), but better not to send the request at all.
  [[nodiscard]] std::string to_grpc_timeout(time_point now = Clock::now()) const {
    return is_never() ? std::string{} : detail::format_grpc_timeout(remaining(now));
  }

  /// What came in a `grpc-timeout` header: at most eight digits and one of n, u, m, S, M, H. Empty for anything else.
  [[nodiscard]] static std::optional<basic_deadline> from_grpc_timeout(std::string_view text,
                                                                       time_point now = Clock::now()) noexcept {
    const auto left = detail::parse_grpc_timeout(text);
    return left.has_value() ? std::optional{in(*left, now)} : std::nullopt;
  }

  /// The sooner one is less.
  friend constexpr auto operator<=>(const basic_deadline&, const basic_deadline&) noexcept = default;

 private:
  static constexpr std::int64_t latest = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t earliest = std::numeric_limits<std::int64_t>::min();

  explicit constexpr basic_deadline(std::int64_t at) noexcept : at_{at} {}

  template <class Rep, class Period>
  static constexpr std::int64_t clamped(std::chrono::duration<Rep, Period> length) noexcept {
    if constexpr (std::is_same_v<std::chrono::duration<Rep, Period>, duration>) {
      return length.count();
    } else {
      const long double wide = std::chrono::duration<long double, std::nano>{length}.count();
      if (wide != wide) return 0;
      if (wide >= 9.2e18L) return latest;
      if (wide <= -9.2e18L) return earliest;
      return std::chrono::duration_cast<duration>(length).count();
    }
  }

  std::int64_t at_ = latest;
};

/// See `basic_deadline`.
using deadline = basic_deadline<>;

template <class Clock>
class basic_deadline_scope;

/// The deadline of the innermost `deadline_scope` that is open on this thread; `never` when there is none. Wait-free.
template <class Clock = steady_clock>
[[nodiscard]] basic_deadline<Clock> current_deadline() noexcept {
  return basic_deadline_scope<Clock>::current();
}

/// While it lives, `current_deadline` of its thread is this deadline, or the one that was there before when that is
/// sooner: an inner call cannot give itself more time than its caller has.
///
///     banyan::deadline_scope limit{banyan::deadline::in(50ms)};
///     query();                                   // anywhere below: current_deadline().remaining()
///
/// Scopes of a thread end in the reverse order of their beginning: they belong on the stack. A coroutine must not be
/// suspended within one. Shared libraries that hide their symbols have a current deadline each. Wait-free, O(1).
template <class Clock = steady_clock>
class basic_deadline_scope {
 public:
  explicit basic_deadline_scope(basic_deadline<Clock> limit) noexcept
      : basic_deadline_scope{limit.sooner(current()), exactly{}} {}

  /// `limit` and nothing else, whatever was there: for work that goes on when its caller has left.
  [[nodiscard]] static basic_deadline_scope detached(
      basic_deadline<Clock> limit = basic_deadline<Clock>::never()) noexcept {
    return basic_deadline_scope{limit, exactly{}};
  }

  basic_deadline_scope(const basic_deadline_scope&) = delete;
  basic_deadline_scope& operator=(const basic_deadline_scope&) = delete;
  ~basic_deadline_scope() { current_ = before_; }

  [[nodiscard]] static basic_deadline<Clock> current() noexcept { return current_; }

 private:
  struct exactly {};
  basic_deadline_scope(basic_deadline<Clock> limit, exactly) noexcept : before_{std::exchange(current_, limit)} {}

  static inline constinit thread_local basic_deadline<Clock> current_{};
  basic_deadline<Clock> before_;
};

/// See `basic_deadline_scope`.
using deadline_scope = basic_deadline_scope<>;

/// `function`, to be called under `limit` wherever that is: `limit` is the current deadline while it runs, whatever the
/// thread's was. Can be copied or only moved, as the function can.
template <class Clock, class F>
[[nodiscard]] auto with_deadline(basic_deadline<Clock> limit, F&& function) {
  return [limit, function = std::forward<F>(function)]<class... Args>(Args&&... args) mutable -> decltype(auto) {
    const auto scope = basic_deadline_scope<Clock>::detached(limit);
    return std::invoke(function, std::forward<Args>(args)...);
  };
}

/// The same under the deadline that is current here and now, to hand a task to an executor without losing it:
///
///     pool.execute(banyan::with_current_deadline([] { if (!banyan::current_deadline().expired()) work(); }));
template <class Clock = steady_clock, class F>
[[nodiscard]] auto with_current_deadline(F&& function) {
  return with_deadline(current_deadline<Clock>(), std::forward<F>(function));
}

}  // namespace banyan
