#pragma once

#include <cstdint>

namespace banyan {

/// What is known of an endpoint's fitness.
enum class health : std::uint8_t {
  healthy,    ///< takes requests
  degraded,   ///< takes requests when the healthy ones of its priority do not suffice
  unhealthy,  ///< takes none, but in a panic
  draining    ///< finishes what it has and takes nothing new, not even in a panic
};

}  // namespace banyan
