#pragma once

namespace banyan {

/// A node and the share of the keys it is to get, relative to the others.
template <class Node>
struct weighted_node {
  Node node;
  double weight = 1;

  friend bool operator==(const weighted_node&, const weighted_node&) = default;
};

}  // namespace banyan
