#pragma once

#include <chrono>
#include <optional>

#include <banyan/balance/pick_request.hpp>
#include <banyan/replica/consistency_level.hpp>
#include <banyan/replica/replica_set_options.hpp>

namespace banyan {

/// What one read asks for.
struct read_options {
  consistency_level consistency = eventual;
  /// How long to wait for a replica that has it; by default as `replica_set_options::wait`.
  std::optional<std::chrono::nanoseconds> wait{};
  /// And if there is still none; by default as `replica_set_options::fallback`.
  std::optional<read_fallback> fallback{};
  pick_request request{};  ///< for the policy
};

}  // namespace banyan
