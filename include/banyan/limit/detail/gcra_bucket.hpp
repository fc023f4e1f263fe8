#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include <banyan/core/invalid_option.hpp>
#include <banyan/limit/detail/gcra_terms.hpp>
#include <banyan/limit/detail/gcra_word.hpp>
#include <banyan/limit/detail/tick_scale.hpp>
#include <banyan/limit/rate_decision.hpp>

namespace banyan::detail {

/// The fields of options that make terms.
struct gcra_fields {
  const char* rate;
  const char* amount;
};

/// Terms of a rate and of how much may be there at once, or waiting. Throws `std::invalid_argument` when one of them is
/// out of its range.
inline gcra_terms checked_terms(gcra_fields fields, double rate, std::uint64_t amount) {
  if (!(rate > 0 && rate <= gcra_terms::max_rate))
    invalid_option(fields.rate, rate, "must be above 0 and at most 1e15");
  if (amount == 0 || amount > gcra_terms::max_burst) invalid_option(fields.amount, amount, "must be from 1 to 2^51");
  if (!gcra_terms::acceptable(rate, amount))
    invalid_option(fields.rate, rate, "must let all of it flow through within two years");
  return {rate, amount};
}

/// What token_bucket and leaky_bucket are made of: a word of state, one of terms, and the ticks of a clock.
class gcra_bucket {
 public:
  gcra_bucket(gcra_terms terms, std::int64_t now) noexcept : terms_{terms.bits()}, scale_{now} {}

  // The word is all there is to see, so relaxed will do.
  [[nodiscard]] gcra_terms terms() const noexcept { return gcra_terms{terms_.load(std::memory_order_relaxed)}; }
  void set(gcra_terms terms) noexcept { terms_.store(terms.bits(), std::memory_order_relaxed); }

  template <class TimePoint>
  [[nodiscard]] std::uint64_t ticks(TimePoint now) const noexcept {
    return scale_.ticks(clamped_nanoseconds(now));
  }

  gcra_word word;

 private:
  std::atomic<std::uint64_t> terms_;
  tick_scale scale_;
};

static_assert(sizeof(gcra_bucket) == 32);

/// Blocks the calling thread for as long as it was told to wait.
inline rate_decision waited(const rate_decision& decision) {
  if (decision.wait().count() > 0) std::this_thread::sleep_for(decision.wait());
  return decision;
}

}  // namespace banyan::detail
