#pragma once

#include <atomic>
#include <cstdint>

#include <banyan/core/invalid_option.hpp>

namespace banyan {

struct retry_throttle_options {
  std::uint32_t max_tokens = 10;  ///< from 1 to 1,000
  double token_ratio = 0.1;       ///< tokens that a success brings back; above 0, counted in thousandths; at most 1,000
};

/// Lets a client retry as long as most of its calls succeed: a failure costs a token, a success brings back a part of
/// one, and there are no retries while no more than half of the tokens are left.
///
///     banyan::retry_throttle throttle{{.max_tokens = 10, .token_ratio = 0.1}};
///     ok ? throttle.succeeded() : throttle.failed();
///     if (!ok && throttle.may_retry()) ...
///
/// It knows no time: after an outage, retries come back when enough calls have succeeded. One for each server.
/// Thread-safe, lock-free, O(1); state is one word.
///
/// Source: gRPC proposal A6, "Client Retries", throttling retry attempts.
class retry_throttle {
 public:
  /// Throws `std::invalid_argument` when an option is out of its range.
  explicit retry_throttle(retry_throttle_options wanted = {})
      : most_{std::int64_t{checked(wanted).max_tokens} * 1000},
        gain_{static_cast<std::int64_t>(wanted.token_ratio * 1000 + 1e-6)},
        tokens_{most_} {}

  retry_throttle(const retry_throttle&) = delete;
  retry_throttle& operator=(const retry_throttle&) = delete;

  /// A call, first try or retry, succeeded or failed for good.
  void succeeded() noexcept { change(gain_); }

  /// A call, first try or retry, failed in a way that is worth a retry, or the server said not to retry. Returns
  /// whether it may be retried.
  bool failed() noexcept { return change(-1000) > most_ / 2; }

  [[nodiscard]] bool may_retry() const noexcept { return tokens_.load(std::memory_order_relaxed) > most_ / 2; }

  /// In whole tokens, rounded down. Wait-free.
  [[nodiscard]] std::uint32_t tokens() const noexcept {
    return static_cast<std::uint32_t>(tokens_.load(std::memory_order_relaxed) / 1000);
  }

 private:
  static const retry_throttle_options& checked(const retry_throttle_options& options) {
    if (options.max_tokens == 0 || options.max_tokens > 1000)
      invalid_option("retry_throttle_options.max_tokens", options.max_tokens, "must be from 1 to 1000");
    if (!(options.token_ratio >= 0.001 && options.token_ratio <= 1000))
      invalid_option("retry_throttle_options.token_ratio", options.token_ratio, "must be from 0.001 to 1000");
    return options;
  }

  // The number is all that is shared, so relaxed will do.
  std::int64_t change(std::int64_t by) noexcept {
    std::int64_t seen = tokens_.load(std::memory_order_relaxed);
    for (;;) {
      std::int64_t next = seen + by;
      if (next > most_) next = most_;
      if (next < 0) next = 0;
      if (next == seen || tokens_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return next;
    }
  }

  std::int64_t most_;
  std::int64_t gain_;
  std::atomic<std::int64_t> tokens_;
};

}  // namespace banyan
