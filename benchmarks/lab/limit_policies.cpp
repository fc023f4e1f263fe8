#include "limit_policies.hpp"

#include <fmt/format.h>

#include <array>

#include <banyan/limit/token_bucket.hpp>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

class bucket_gate final : public simulated_gate {
 public:
  explicit bucket_gate(double rate) : bucket_{{.rate = rate, .burst = 20}, limit_clock::time_point{}} {}
  bool try_acquire(std::size_t, importance, limit_clock::time_point now) override {
    return static_cast<bool>(bucket_.try_acquire(1, now));
  }

 private:
  token_bucket<limit_clock> bucket_;
};

using gate_pointer = std::unique_ptr<simulated_gate>;

gate_pointer nominal_bucket(double capacity, std::uint32_t) { return std::make_unique<bucket_gate>(capacity); }

constexpr std::array policies = {
    limit_policy_entry{.name = "none", .description = "no limit; clients try again at once"},
    limit_policy_entry{.name = "backoff",
                       .description = "no limit; clients wait up to 100 ms, 200 ms, ... before they try again",
                       .backoff = true},
    limit_policy_entry{.name = "retry_budget",
                       .description = "no limit; clients try again with at most a tenth of their requests",
                       .budget = true},
    limit_policy_entry{.name = "circuit_breaker",
                       .description = "no limit; each client has a circuit breaker, open for 5 s when half of its last "
                                      "100 calls failed",
                       .breaker = true},
    limit_policy_entry{.name = "deadline",
                       .description = "no limit; the service leaves out what is past the client's deadline",
                       .queue = queue_rule::deadline},
    limit_policy_entry{.name = "patience",
                       .description = "a queue in which nothing waits more than 100 ms, or 5 ms when it has not been "
                                      "empty for 100 ms",
                       .queue = queue_rule::patience},
    limit_policy_entry{.name = "token_bucket",
                       .description = "a token bucket at the rate that the workers can do in good times",
                       .make = nominal_bucket},
};

}  // namespace

std::span<const limit_policy_entry> limit_policies() noexcept { return policies; }

const limit_policy_entry& find_limit_policy(std::string_view name) {
  for (const limit_policy_entry& each : policies) {
    if (each.name == name) return each;
  }
  throw bad_input(fmt::format("{}: unknown policy", name));
}

}  // namespace banyan::lab
