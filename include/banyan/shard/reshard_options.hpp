#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <banyan/core/invalid_option.hpp>
#include <banyan/shard/reshard_record.hpp>

namespace banyan {

struct reshard_options {
  /// Higher than that of any earlier reshard of these keys, also one that was rolled back. From 1 to 32,767.
  std::uint32_t generation = 1;
  /// Versions of the routers between which keys move. A state saved with other ones is refused.
  std::uint64_t source_version = 0;
  std::uint64_t target_version = 0;
  /// Records asked of a scan, and worked on between two saves. From 1 to 1,000,000.
  std::size_t batch = 100;
  /// Records scanned a second, at most. Above 0.
  double keys_per_second = std::numeric_limits<double>::infinity();
};

/// Throws `std::invalid_argument` when an option is out of its range.
inline void check(const reshard_options& options) {
  if (options.generation == 0 || options.generation > max_reshard_generation)
    invalid_option("reshard_options.generation", options.generation, "must be from 1 to 32767");
  if (options.batch == 0 || options.batch > 1'000'000)
    invalid_option("reshard_options.batch", options.batch, "must be from 1 to 1000000");
  if (!(options.keys_per_second > 0))
    invalid_option("reshard_options.keys_per_second", options.keys_per_second, "must be above 0");
}

}  // namespace banyan
