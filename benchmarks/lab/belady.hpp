#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace banyan::lab {

/// The most hits that any cache could have had on a trace: it knows the future and keeps the keys that are asked for
/// soonest (L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2),
/// 1966). A key that is needed later than everything in a full cache is not taken in. Exact.
class belady {
 public:
  /// `requests` are key numbers below `keys`; they must stay alive. Linear.
  belady(std::span<const std::uint32_t> requests, std::uint32_t keys);

  /// Hits of a cache of `capacity` entries. O(n log n). Calls `advance` with the number of requests done now and then.
  [[nodiscard]] std::uint64_t hits(std::size_t capacity, const std::function<void(std::uint64_t)>& advance = {}) const;

 private:
  std::span<const std::uint32_t> requests_;
  std::uint32_t keys_;
  std::vector<std::uint32_t> next_use_;  // position of the next request for the same key
};

}  // namespace banyan::lab
