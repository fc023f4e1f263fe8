#include "limit_policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/limit/aimd.hpp>
#include <banyan/limit/concurrency_limiter.hpp>
#include <banyan/limit/fixed.hpp>
#include <banyan/limit/gradient2.hpp>
#include <banyan/limit/token_bucket.hpp>
#include <banyan/limit/vegas.hpp>

#include "bad_input.hpp"

namespace banyan::lab {
namespace {

class bucket_gate final : public simulated_gate {
 public:
  explicit bucket_gate(double rate) : bucket_{{.rate = rate, .burst = 20}, limit_start} {}
  bool try_acquire(std::size_t, importance, limit_clock::time_point now) override {
    return static_cast<bool>(bucket_.try_acquire(1, now));
  }

 private:
  token_bucket<limit_clock> bucket_;
};

// A limiter's jitter differs between objects; a simulation must not.
template <class Policy>
class repeatable : public Policy {
 public:
  using Policy::Policy;
  [[nodiscard]] std::uint64_t next(std::uint64_t word, const limit_sample& sample) const noexcept {
    limit_sample same = sample;
    same.random = mix_bits(++count_);
    return Policy::next(word, same);
  }

 private:
  mutable std::uint64_t count_ = 0;  // one thread
};

template <class Policy>
class concurrency_gate final : public simulated_gate {
 public:
  concurrency_gate(typename Policy::options options, bool by_importance)
      : limiter_{options, {}, limit_start}, by_importance_{by_importance} {}

  bool try_acquire(std::size_t slot, importance how, limit_clock::time_point now) override {
    if (slot >= permits_.size()) permits_.resize(slot + 1);
    permits_[slot] = by_importance_ ? limiter_.try_acquire(priority_of(how), now) : limiter_.try_acquire(now);
    return static_cast<bool>(permits_[slot]);
  }
  void succeeded(std::size_t slot, std::chrono::nanoseconds latency, limit_clock::time_point now) override {
    permits_[slot].succeeded(latency, now);
  }
  void dropped(std::size_t slot, limit_clock::time_point now) override { permits_[slot].dropped(now); }
  [[nodiscard]] double limit() const override { return limiter_.limit(); }
  [[nodiscard]] std::size_t in_flight() const override { return limiter_.in_flight(); }

 private:
  static priority priority_of(importance how) noexcept {
    return how == importance::critical ? priority::critical
           : how == importance::normal ? priority::normal
                                       : priority::sheddable;
  }

  using limiter = concurrency_limiter<repeatable<Policy>, limit_clock>;
  limiter limiter_;
  bool by_importance_;
  std::vector<typename limiter::permit> permits_;
};

using gate_pointer = std::unique_ptr<simulated_gate>;

gate_pointer nominal_bucket(double capacity, std::uint32_t) { return std::make_unique<bucket_gate>(capacity); }

template <class Policy>
gate_pointer limiter(typename Policy::options options, bool by_importance = false) {
  return std::make_unique<concurrency_gate<Policy>>(options, by_importance);
}

// The same for all that adapt. The bounds are far apart: they are to find the limit themselves.
template <class Options>
Options adapting(std::uint32_t workers, Options options) {
  options.initial = 2 * workers;
  options.min = std::max(1U, 2 * workers / 5);
  options.max = 100 * workers;
  return options;
}

template <std::uint32_t Times>
gate_pointer bulkhead(double, std::uint32_t workers) {
  return limiter<fixed>({.limit = Times * workers});
}
gate_pointer aimd_gate(double, std::uint32_t workers) {
  // Drops are all it has to go by, so it must be told what is too long.
  return limiter<aimd>(adapting(workers, aimd::options{.timeout = std::chrono::milliseconds{100}}));
}
gate_pointer vegas_gate(double, std::uint32_t workers) { return limiter<vegas>(adapting(workers, vegas::options{})); }
gate_pointer plain_gradient2(double, std::uint32_t workers) {
  return limiter<gradient2>(adapting(workers, gradient2::options{.probe_every = 0, .drops_tolerated = 1}));
}
template <bool ByImportance>
gate_pointer gradient2_gate(double, std::uint32_t workers) {
  return limiter<gradient2>(adapting(workers, gradient2::options{}), ByImportance);
}

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
    limit_policy_entry{.name = "fixed",
                       .description = "a bulkhead: twice as many as there are workers in good times",
                       .has_limit = true,
                       .make = bulkhead<2>},
    limit_policy_entry{.name = "fixed_large",
                       .description = "a bulkhead chosen too large: forty times the workers",
                       .has_limit = true,
                       .make = bulkhead<40>},
    limit_policy_entry{.name = "aimd",
                       .description = "aimd; more than 100 ms counts as dropped",
                       .has_limit = true,
                       .make = aimd_gate},
    limit_policy_entry{.name = "vegas", .description = "vegas", .has_limit = true, .make = vegas_gate},
    limit_policy_entry{.name = "gradient2_plain",
                       .description = "gradient2 by the published rule alone: no probes, blind to drops",
                       .has_limit = true,
                       .make = plain_gradient2},
    limit_policy_entry{.name = "gradient2",
                       .description = "gradient2 with its defaults",
                       .has_limit = true,
                       .make = gradient2_gate<false>},
    limit_policy_entry{.name = "priorities",
                       .description = "gradient2, told how important each request is",
                       .has_limit = true,
                       .make = gradient2_gate<true>},
    limit_policy_entry{.name = "together",
                       .description = "priorities, and clients with backoff and a retry budget",
                       .backoff = true,
                       .budget = true,
                       .has_limit = true,
                       .make = gradient2_gate<true>},
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
