#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <banyan/core/clock.hpp>

namespace banyan::lab {

/// The simulation's clock; it is never set: every call is given its time.
using limit_clock = basic_manual_clock<struct limit_simulation_tag>;

/// When a simulation begins: well above the clock's epoch.
inline constexpr limit_clock::time_point limit_start{std::chrono::hours{1}};

/// How important a request is.
enum class importance { critical, normal, sheddable };

/// What stands in front of the simulated service: one of the library's limiters, whichever.
class simulated_gate {
 public:
  simulated_gate() = default;
  simulated_gate(const simulated_gate&) = delete;
  simulated_gate& operator=(const simulated_gate&) = delete;
  virtual ~simulated_gate() = default;

  /// Whether a request may come in; its permit is then kept under `slot`, which nobody else has.
  [[nodiscard]] virtual bool try_acquire(std::size_t slot, importance how, limit_clock::time_point now) = 0;
  virtual void succeeded(std::size_t /*slot*/, std::chrono::nanoseconds /*latency*/, limit_clock::time_point /*now*/) {}
  virtual void dropped(std::size_t /*slot*/, limit_clock::time_point /*now*/) {}
  /// The concurrency allowed now; 0 for gates that limit something else.
  [[nodiscard]] virtual double limit() const { return 0; }
  /// Permits that are out.
  [[nodiscard]] virtual std::size_t in_flight() const { return 0; }
};

/// How the service deals with what waits for a worker.
enum class queue_rule {
  all,       ///< works on everything, also when the client has gone
  deadline,  ///< knows the client's deadline and leaves out what is past it
  patience   ///< lets nothing wait long while the queue does not become empty
};

/// A way to bear overload: what the clients do, what stands in front of the service, how it treats its queue.
struct limit_policy_entry {
  std::string_view name;
  std::string_view description;
  bool backoff = false;  ///< clients wait before they try again
  bool budget = false;   ///< ... and do so only within a retry budget
  bool breaker = false;  ///< ... and have a circuit breaker
  queue_rule queue = queue_rule::all;
  bool has_limit = false;  ///< a concurrency limit worth a curve
  std::unique_ptr<simulated_gate> (*make)(double capacity, std::uint32_t workers) = nullptr;  ///< none: no gate
};

std::span<const limit_policy_entry> limit_policies() noexcept;

/// Throws `bad_input` for an unknown name.
const limit_policy_entry& find_limit_policy(std::string_view name);

}  // namespace banyan::lab
