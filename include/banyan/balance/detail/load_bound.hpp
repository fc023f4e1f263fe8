#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include <banyan/balance/balance_policy.hpp>
#include <banyan/core/cache_line.hpp>

namespace banyan::detail {

/// The most requests that an endpoint may have in flight: a factor times its share, by weight, of all requests in
/// flight and the one to come. Rounded up, so with a factor of at least 1 there is always somebody below it.
///
/// The sum is taken every 4 n picks of a thread among n endpoints, and again after as many as n / 4 were held back: so
/// O(1) a pick, amortised. In between the bound is that of a while ago.
///
/// Source: V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent hashing with bounded loads", SODA 2018.
class load_bound {
 public:
  load_bound() = default;

  /// Factor at least 1; 0: no bound. Throws `std::bad_alloc`.
  load_bound(double factor, std::span<const candidate> candidates) {
    if (factor == 0) return;
    double weights = 0;
    for (const candidate& each : candidates) weights += static_cast<double>(each.weight());
    part_ = factor / weights;
    meter_ = std::make_unique<meter>();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return meter_ != nullptr; }

  /// Once in a pick: takes the sum when it is time.
  void tick(std::span<const candidate> candidates, pick_context& context) const noexcept {
    if (context.advance(std::uint64_t{4} * candidates.size()) == 0 ||
        meter_->total.load(std::memory_order_relaxed) == unknown)
      measure(candidates, context);
  }

  /// Whether one more is within the bound.
  [[nodiscard]] bool allows(const candidate& one, pick_context& context) const noexcept {
    // in flight + 1 <= ceil(x), where x is above 0, is the same as in flight < x
    const auto total = static_cast<double>(meter_->total.load(std::memory_order_relaxed) + 1);
    return static_cast<double>(context.in_flight(one)) < part_ * static_cast<double>(one.weight()) * total;
  }

  /// As above. When it was not, it may be because the sum is out of date.
  [[nodiscard]] bool allows_now(const candidate& one, std::span<const candidate> candidates,
                                pick_context& context) const noexcept {
    if (allows(one, context)) return true;
    if (meter_->held_back.fetch_add(1, std::memory_order_relaxed) < candidates.size() / 4) return false;
    measure(candidates, context);
    return allows(one, context);
  }

  /// O(n). Threads that do so at the same time each store a sum that was right just now.
  void measure(std::span<const candidate> candidates, pick_context& context) const noexcept {
    std::int64_t total = 0;
    for (const candidate& each : candidates) total += context.in_flight(each);
    // Relaxed, all of them: numbers that nothing else depends on.
    meter_->total.store(total, std::memory_order_relaxed);
    meter_->held_back.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr std::int64_t unknown = -1;

  struct alignas(cache_line_size) meter {
    std::atomic<std::int64_t> total{unknown};
    std::atomic<std::uint64_t> held_back{0};
  };

  double part_ = 0;
  std::unique_ptr<meter> meter_;  // changed by picks
};

}  // namespace banyan::detail
