#pragma once

#include <atomic>
#include <cstdint>

#include <banyan/core/process_seed.hpp>
#include <banyan/core/random.hpp>

namespace banyan::detail {

/// Another seed for each object that asks. Wait-free.
[[nodiscard]] inline std::uint64_t fresh_seed() noexcept {
  static constinit std::atomic<std::uint64_t> made{0};
  return mix_bits(process_seed() + made.fetch_add(0x9e3779b97f4a7c15U, std::memory_order_relaxed));
}

}  // namespace banyan::detail
