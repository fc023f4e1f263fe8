#pragma once

#include <chrono>

#include <banyan/limit/circuit_breaker.hpp>

#include "given_time.hpp"
#include "support/catch.hpp"

namespace banyan::testing {

using breaker = circuit_breaker<given_clock>;

/// A call that the breaker lets through, begun and ended so long after `start`.
inline void call(breaker& b, bool ok, std::chrono::nanoseconds at, std::chrono::nanoseconds latency = {}) {
  auto permit = b.try_acquire(after(at));
  REQUIRE(permit);
  ok ? permit.succeeded(latency, after(at)) : permit.failed(latency, after(at));
}

}  // namespace banyan::testing
