#pragma once

#include <cstdint>

namespace banyan {

/// A node as a placement sees it: the stable hash of its name (`hash_of`), and its weight.
struct weighted_hash {
  std::uint64_t hash = 0;
  /// The share of the keys it is to get, relative to the others; above 0 and finite.
  double weight = 1;
};

}  // namespace banyan
