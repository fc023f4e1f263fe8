#include "session/model.hpp"

#include "support/catch.hpp"

#include <banyan/session/memory_session_backend.hpp>

#include "support/seed.hpp"

TEST_CASE("session_store: does what a map does, over thousands of random requests") {
  for (std::uint64_t run = 0; run < 40; ++run) {
    const std::uint64_t seed = banyan::testing::derived_seed("sessions beside a map", run);
    CAPTURE(seed);
    banyan::memory_session_backend backend;
    banyan::testing::compare_with_model(backend, seed, 1'000);
  }
}
