#pragma once

#include <optional>

#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// The keys from `first` up to, but not including, `last`, and their shard. Without `first`: from the lowest key on;
/// without `last`: to the highest.
template <class Key>
struct key_range {
  std::optional<Key> first;
  std::optional<Key> last;
  shard_id shard = no_shard;

  friend bool operator==(const key_range&, const key_range&) = default;
};

}  // namespace banyan
