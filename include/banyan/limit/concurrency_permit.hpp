#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include <banyan/limit/detail/tick_scale.hpp>

namespace banyan {

/// Permission for one call by a `concurrency_limiter`, which must outlive it; empty when refused. It is given back
/// once: by the first report, or when it dies, which counts as `ignored`. Move-only; one thread at a time.
///
/// All functions are O(1), lock-free, and never throw; where the limiter has a queue, whoever gives back also wakes
/// those that are let in by it.
template <class Limiter>
class concurrency_permit {
 public:
  using clock = typename Limiter::clock;
  using time_point = typename clock::time_point;

  concurrency_permit() = default;
  concurrency_permit(concurrency_permit&& other) noexcept
      : limiter_{std::exchange(other.limiter_, nullptr)}, start_{other.start_}, in_flight_{other.in_flight_} {}
  concurrency_permit& operator=(concurrency_permit&& other) noexcept {
    concurrency_permit taken{std::move(other)};
    std::swap(limiter_, taken.limiter_);
    std::swap(start_, taken.start_);
    std::swap(in_flight_, taken.in_flight_);
    return *this;
  }
  ~concurrency_permit() { ignored(); }

  [[nodiscard]] explicit operator bool() const noexcept { return limiter_ != nullptr; }

  /// The call went well; it took from when it was let in until now. `ignored` if the clock has gone back meanwhile.
  void succeeded() noexcept {
    if (limiter_ == nullptr) return;
    const time_point now = clock::now();
    const std::int64_t begin = detail::clamped_nanoseconds(start_);
    const std::int64_t end = detail::clamped_nanoseconds(now);
    constexpr std::int64_t longest = std::numeric_limits<std::int64_t>::max();
    if (end < begin) return ignored();
    report(begin < 0 && end > longest + begin ? longest : end - begin, now);
  }

  /// The call went well and took `latency`. A latency below 0, or that is not a number, is a mistake: `ignored`.
  template <class Rep, class Period>
  void succeeded(std::chrono::duration<Rep, Period> latency, time_point now = clock::now()) noexcept {
    if constexpr (std::is_same_v<std::chrono::duration<Rep, Period>, std::chrono::nanoseconds>) {
      report(latency.count(), now);
    } else {
      bool is_number = true;
      if constexpr (std::is_floating_point_v<Rep>) is_number = !std::isnan(latency.count());
      report(is_number ? detail::clamped_nanoseconds(latency) : -1, now);
    }
  }

  /// The call was lost to overload: it timed out, or was refused by the other side.
  void dropped(time_point now = clock::now()) noexcept {
    if (limiter_ != nullptr) std::exchange(limiter_, nullptr)->dropped(in_flight_, now);
  }

  /// The call says nothing about load: it failed for another reason, or was not made.
  void ignored() noexcept {
    if (limiter_ != nullptr) std::exchange(limiter_, nullptr)->leave();
  }

  /// How many were in flight when it was let in, this one included.
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }

 private:
  friend Limiter;
  concurrency_permit(Limiter& limiter, time_point start, std::uint32_t in_flight) noexcept
      : limiter_{&limiter}, start_{start}, in_flight_{in_flight} {}

  void report(std::int64_t latency, time_point now) noexcept {
    if (limiter_ == nullptr) return;
    if (latency < 0) return ignored();
    std::exchange(limiter_, nullptr)->succeeded(latency, in_flight_, now);
  }

  Limiter* limiter_ = nullptr;
  time_point start_{};
  std::uint32_t in_flight_ = 0;
};

}  // namespace banyan
