#pragma once

#include <cstddef>
#include <cstdint>

namespace banyan {

/// What a health checker has done, as of its last look around.
struct health_checker_stats {
  std::size_t endpoints = 0;    ///< that it watches
  std::size_t running = 0;      ///< probes under way, in time
  std::size_t hanging = 0;      ///< probes past their timeout that have not returned
  std::uint64_t passed = 0;     ///< results that found the endpoint healthy or degraded
  std::uint64_t failed = 0;     ///< results that did not, with those below
  std::uint64_t timed_out = 0;  ///< failed because they took too long
  std::uint64_t not_run = 0;    ///< probes that the executor refused or dropped: they say nothing about the endpoint
  std::uint64_t changes = 0;    ///< of an endpoint's health
};

}  // namespace banyan
