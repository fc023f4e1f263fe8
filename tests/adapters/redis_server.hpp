#pragma once

#include <chrono>

#include <banyan/adapters/redis.hpp>
#include <banyan/pool/connection_pool.hpp>

#include "../../examples/private_redis.hpp"
#include "support/catch.hpp"

/// What tests over a real Redis share.
namespace banyan::testing {

/// One server for all tests of a file; none, and a warning, where no Redis is installed.
inline private_redis* server() {
  static private_redis only;
  if (only.missing().empty()) return &only;
  WARN(only.missing());
  return nullptr;
}

/// How to reach it, with times that no machine is too slow for.
inline redis_options here() {
  using std::chrono::seconds;
  return {.port = server()->port(),
          .password = server()->password(),
          .connect_timeout = seconds{30},
          .command_timeout = seconds{30}};
}

inline redis_connection connected() { return redis_connection::connect(here()); }

/// A machine's connections to it, which begin anew soon after it was away.
inline pool_options<redis_connection> machine_connections() {
  using namespace std::chrono_literals;
  return {.min = 1,
          .max = 4,
          .validate = [](redis_connection& c) { return c.is_open(); },
          .validate_after = 0ns,
          .backoff_base = 1ms,
          .backoff_cap = 20ms};
}

}  // namespace banyan::testing
