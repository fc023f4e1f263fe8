#pragma once

#include <chrono>
#include <cstdint>

#include <banyan/cluster/slow_start.hpp>
#include <banyan/core/hazard_domain.hpp>

namespace banyan {

struct cluster_options {
  slow_start_options slow_start{};
  /// Time in which the memory of a latency halves. Above 0.
  std::chrono::nanoseconds latency_half_life = std::chrono::seconds{5};
  /// A failure counts as a latency of at least this. Not negative.
  std::chrono::nanoseconds failure_penalty = std::chrono::seconds{1};
  /// How many threads keep counts of their own, a cache line for each endpoint; further ones share a line. 0: two
  /// for each processor, at most 16. At most 256.
  std::uint32_t stripes = 0;
  hazard_domain* domain = &hazard_domain::global();
};

}  // namespace banyan
