#pragma once

#include <cstdint>

#include <banyan/cluster/priority_load.hpp>
#include <banyan/cluster/subset.hpp>
#include <banyan/cluster/zone_routing.hpp>

namespace banyan {

/// What a balancer does before its policy is asked. The defaults: everybody who is healthy, by priority.
struct balancer_options {
  priority_options priorities{};  ///< spill-over and panic
  zone_options zone{};            ///< prefer endpoints in the caller's zone
  subset_options subset{};        ///< use some of the endpoints only
  /// When the only endpoint that is left is the one to avoid: nobody is picked instead of that one.
  bool avoid_strictly = false;
  /// Of the random numbers; 0: another one each time.
  std::uint64_t seed = 0;
};

}  // namespace banyan
