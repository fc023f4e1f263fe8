#pragma once

#include <cstdint>

#include <banyan/hashing/weighted_hash.hpp>

namespace banyan {

/// How a list of nodes differs from the one before it: by one node. A placement that can be built from its predecessor
/// offers `P changed(node_change, std::span<const weighted_hash> nodes, options) const`, with the nodes after the
/// change, and must answer as if it were built from these.
struct node_change {
  enum class kind {
    came,      ///< it stands last
    went,      ///< those behind it moved up
    reweighed  ///< it stands where it stood
  };
  kind what = kind::came;
  /// Its number: among the nodes after the change, or before it if it went.
  std::uint32_t node = 0;
  /// What it was, unless it came.
  weighted_hash before{};
};

}  // namespace banyan
