#include "limit_clients.hpp"

#include <banyan/core/random.hpp>
#include <banyan/limit/backoff.hpp>

namespace banyan::lab {

using namespace std::chrono_literals;

simulated_client::simulated_client(const limit_policy_entry& policy, limit_clock::time_point now)
    : backoff_{policy.backoff} {
  if (policy.budget) {
    // Little is free: with twenty clients ten retries a second each would be a load of its own.
    budget_ = std::make_unique<basic_retry_budget<limit_clock>>(
        retry_budget_options{.ratio = 0.1, .min_per_second = 0.1}, now);
  }
  if (policy.breaker) {
    breaker_ = std::make_unique<circuit_breaker<limit_clock>>(
        circuit_breaker_options{.failure_rate = 0.5, .window = 100, .open_for = 5s, .probes = 10, .probe_timeout = 5s},
        now);
  }
}

bool simulated_client::may_send(permit& into, limit_clock::time_point now) {
  if (!breaker_) return true;
  into = breaker_->try_acquire(now);
  return static_cast<bool>(into);
}

std::optional<std::chrono::nanoseconds> simulated_client::retry_after(std::uint32_t retry, std::uint64_t number,
                                                                      limit_clock::time_point now) {
  if (budget_ && !budget_->try_retry(now)) return std::nullopt;
  if (!backoff_) return 0ns;
  backoff waits{{.base = 100ms, .cap = 2s, .jitter = jitter::full, .seed = mix_bits(number) | 1U}};
  for (std::uint32_t i = 0; i < retry; ++i) static_cast<void>(waits.next());
  return waits.next();
}

}  // namespace banyan::lab
