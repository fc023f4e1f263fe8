#pragma once

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>

#include <banyan/core/invalid_option.hpp>
#include <banyan/core/random.hpp>
#include <banyan/limit/detail/fresh_seed.hpp>

namespace banyan {

/// How waits are spread, so that clients that failed together do not come back together. `wait` is
/// min(cap, base * multiplier^i) for the i-th retry, counted from 0.
enum class jitter {
  full,          ///< anything from 0 to wait: spreads best
  equal,         ///< wait / 2, and anything up to as much again: never comes back at once
  decorrelated,  ///< min(cap, anything from base to three times the wait before)
  none,          ///< wait: for tests, or where there is one client
};

struct backoff_options {
  std::chrono::nanoseconds base = std::chrono::milliseconds{10};  ///< above 0
  std::chrono::nanoseconds cap = std::chrono::seconds{2};         ///< at least `base`
  double multiplier = 2;                                          ///< at least 1, finite
  banyan::jitter jitter = banyan::jitter::full;
  std::uint32_t max_retries = 0;  ///< so many waits; 0: no end
  std::uint64_t seed = 0;         ///< for the same waits each time; 0: others for every object
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const backoff_options& options) {
  if (options.base.count() <= 0) invalid_option("backoff_options.base", options.base.count(), "must be above 0");
  if (options.cap < options.base) invalid_option("backoff_options.cap", options.cap.count(), "must be at least base");
  if (!(options.multiplier >= 1) || !std::isfinite(options.multiplier))
    invalid_option("backoff_options.multiplier", options.multiplier, "must be at least 1 and finite");
}

/// The waits between tries, as a range.
///
///     for (auto wait : banyan::backoff{{.base = 10ms, .cap = 2s, .max_retries = 5}}) {
///       if (call()) break;
///       std::this_thread::sleep_for(wait);
///     }
///
/// A single-pass range of `std::chrono::nanoseconds`; `begin` goes on where it was. O(1) each, wait-free, nothing is
/// allocated or thrown after construction. One thread at a time.
///
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
class backoff {
 public:
  using duration = std::chrono::nanoseconds;

  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit backoff(backoff_options wanted = {})
      : options_{(check(wanted), wanted)}, random_{wanted.seed != 0 ? wanted.seed : detail::fresh_seed()} {
    restart();
  }

  /// The next wait. Past `max_retries` it goes on as if there were no end.
  duration next() noexcept {
    const double cap = static_cast<double>(options_.cap.count());
    const double base = static_cast<double>(options_.base.count());
    double wait = wait_;
    switch (options_.jitter) {
      case jitter::full:
        wait = random_unit(random_) * wait_;
        break;
      case jitter::equal:
        wait = wait_ / 2 + random_unit(random_) * wait_ / 2;
        break;
      case jitter::decorrelated:
        wait = std::fmin(cap, base + random_unit(random_) * (wait_ * 3 - base));
        break;
      case jitter::none:
        break;
    }
    wait_ = options_.jitter == jitter::decorrelated ? wait : std::fmin(cap, wait_ * options_.multiplier);
    ++given_;
    // A double holds the largest durations rounded up.
    return wait >= cap ? options_.cap : duration{static_cast<std::int64_t>(wait)};
  }

  /// Whether all `max_retries` waits have been given.
  [[nodiscard]] bool exhausted() const noexcept { return options_.max_retries != 0 && given_ >= options_.max_retries; }

  /// After a success: begins with the shortest waits again.
  void restart() noexcept {
    wait_ = static_cast<double>(options_.base.count());
    given_ = 0;
  }

  class iterator {
   public:
    using value_type = duration;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    [[nodiscard]] duration operator*() const noexcept { return wait_; }
    iterator& operator++() noexcept {
      done_ = from_->exhausted();
      if (!done_) wait_ = from_->next();
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept { return at.done_; }

   private:
    friend backoff;
    explicit iterator(backoff& from) noexcept : from_{&from} { ++*this; }

    backoff* from_ = nullptr;
    duration wait_{0};
    bool done_ = true;
  };

  [[nodiscard]] iterator begin() noexcept { return iterator{*this}; }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return std::default_sentinel; }

 private:
  backoff_options options_;
  splitmix64 random_;
  double wait_ = 0;  // nanoseconds: of the next retry without jitter; decorrelated: the one before it
  std::uint32_t given_ = 0;
};

}  // namespace banyan
