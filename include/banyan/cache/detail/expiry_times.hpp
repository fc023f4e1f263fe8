#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace banyan::detail {

/// Deadlines in ticks of a clock, saturating, with time that never goes back for those who write.
template <class Clock>
class expiry_times {
 public:
  using ticks = std::int64_t;
  using duration = typename Clock::duration;
  using time_point = typename Clock::time_point;
  static constexpr ticks never = std::numeric_limits<ticks>::max();

  expiry_times(std::optional<duration> ttl, std::optional<duration> idle_ttl, double jitter) noexcept
      : ttl_{ttl ? saturated(*ttl) : never},
        idle_ttl_{idle_ttl ? saturated(*idle_ttl) : never},
        jitter_{jitter},
        in_use_{ttl || idle_ttl} {}

  /// Whether any entry has ever had a deadline. Relaxed: an own entry's is seen, and another's was put meanwhile.
  [[nodiscard]] bool in_use() const noexcept { return in_use_.load(std::memory_order_relaxed); }

  /// The time to work with: not before any time at which something was written.
  [[nodiscard]] ticks at(std::optional<time_point> now) const noexcept {
    // The end of time comes before `never`, so that what never expires does not expire there.
    const ticks given = std::min(saturated((now ? *now : Clock::now()).time_since_epoch()), never - 1);
    return std::max(given, latest_.load(std::memory_order_relaxed));  // a bound that only grows: orders nothing
  }

  /// As `at`, and nobody works with an earlier time from now on.
  [[nodiscard]] ticks advance_to(std::optional<time_point> now) noexcept {
    const ticks time = at(now);
    ticks known = latest_.load(std::memory_order_relaxed);
    while (known < time && !latest_.compare_exchange_weak(known, time, std::memory_order_relaxed)) {
    }
    return time;
  }

  /// Whether an entry with this ttl of its own (or none) has a deadline.
  [[nodiscard]] bool timed(std::optional<duration> own) const noexcept {
    return own.has_value() || ttl_ != never || idle_ttl_ != never;
  }

  /// Deadline and idle deadline of an entry written at `now`; `random` spreads the first.
  [[nodiscard]] std::pair<ticks, ticks> deadlines(std::optional<duration> own, ticks now,
                                                  std::uint64_t random) noexcept {
    if (!in_use_.load(std::memory_order_relaxed)) in_use_.store(true, std::memory_order_relaxed);
    ticks ttl = own ? saturated(*own) : ttl_;
    if (jitter_ > 0 && ttl != never && ttl > 0) {
      const double part = jitter_ * static_cast<double>(random >> 11) * 0x1p-53;
      ttl -= static_cast<ticks>(static_cast<double>(ttl) * part);
    }
    return {after(now, ttl), after(now, idle_ttl_)};
  }

  /// The idle deadline to set at a read, or nothing while the last one is recent enough.
  [[nodiscard]] std::optional<ticks> renewed(ticks idle_deadline, ticks now) const noexcept {
    if (idle_ttl_ == never) return std::nullopt;
    const ticks fresh = after(now, idle_ttl_);
    if (fresh <= idle_deadline || fresh - idle_deadline < idle_ttl_ / 16) return std::nullopt;
    return fresh;
  }

  /// What is left until a deadline; nothing once it has come.
  [[nodiscard]] static std::optional<duration> left(ticks deadline, ticks now) noexcept {
    if (deadline == never) return duration::max();
    if (deadline <= now) return std::nullopt;
    return duration{static_cast<typename duration::rep>(deadline - now)};
  }

 private:
  static ticks saturated(duration d) noexcept {
    using rep = typename duration::rep;
    if constexpr (sizeof(rep) > sizeof(ticks) || !std::numeric_limits<rep>::is_integer) {
      if (d.count() >= static_cast<rep>(never)) return never;
    }
    return static_cast<ticks>(d.count());
  }

  static ticks after(ticks now, ticks time) noexcept {
    if (time == never || (now > 0 && time > never - now)) return never;
    if (time < 0 && now < std::numeric_limits<ticks>::min() - time) return std::numeric_limits<ticks>::min();
    return now + time;
  }

  ticks ttl_;
  ticks idle_ttl_;
  double jitter_;
  std::atomic<bool> in_use_;
  std::atomic<ticks> latest_{std::numeric_limits<ticks>::min()};
};

}  // namespace banyan::detail
