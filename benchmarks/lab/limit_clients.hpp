#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include <banyan/limit/circuit_breaker.hpp>
#include <banyan/limit/retry_budget.hpp>

#include "limit_policies.hpp"

namespace banyan::lab {

/// One of the programs that call the simulated service, with the library's own parts against overload.
class simulated_client {
 public:
  using permit = circuit_breaker<limit_clock>::permit;

  simulated_client(const limit_policy_entry& policy, limit_clock::time_point now);

  /// Counts a request, not its retries.
  void request(limit_clock::time_point now) {
    if (budget_) budget_->request(now);
  }
  /// Whether an attempt may be sent; with a breaker, `into` then holds its permit.
  [[nodiscard]] bool may_send(permit& into, limit_clock::time_point now);
  /// How long to wait before retry number `retry`, counted from 0; nothing: it may not be made. `number` decides what
  /// is random.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> retry_after(std::uint32_t retry, std::uint64_t number,
                                                                    limit_clock::time_point now);

 private:
  bool backoff_;
  std::unique_ptr<basic_retry_budget<limit_clock>> budget_;
  std::unique_ptr<circuit_breaker<limit_clock>> breaker_;
};

}  // namespace banyan::lab
