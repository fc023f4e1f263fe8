#pragma once

#include <cstdint>
#include <string>

#include <banyan/cluster/health.hpp>

namespace banyan {

/// What a cluster knows of an endpoint besides the user's own value.
struct endpoint_options {
  double weight = 1;               ///< its share of the requests, relative to the others; from 0 (none) to 2^32
  std::string zone{};              ///< where it runs
  std::uint32_t priority = 0;      ///< 0 is used first, 1 when 0 does not suffice, and so on
  health state = health::healthy;  ///< what it starts as
  /// A name that stays the same over restarts and on other machines, unique in the cluster: affinity and `replace` go
  /// by it. Empty: the endpoint's value where it converts to a string, else the number in which it joined.
  std::string name{};
};

}  // namespace banyan
