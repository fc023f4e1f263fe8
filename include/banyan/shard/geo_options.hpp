#pragma once

#include <string>
#include <vector>

#include <banyan/shard/geo_point.hpp>
#include <banyan/shard/shard_id.hpp>

namespace banyan {

/// Where a shard is.
struct geo_shard {
  shard_id shard = no_shard;
  geo_point at;
};

/// A region, a country, a state: whatever has a code by which requests name it.
struct geo_region {
  std::string code;
  /// Where its users are, on the whole.
  geo_point at;
  /// The code of the region it lies in; its rules hold here, too. Empty: in none.
  std::string within{};
};

/// Data of a region stays on these shards, however near others are.
struct residency_rule {
  std::string code;
  std::vector<shard_id> allowed;
};

/// What a `geo_router` goes by.
struct geo_options {
  std::vector<geo_shard> shards;
  std::vector<geo_region> regions{};
  std::vector<residency_rule> rules{};
};

}  // namespace banyan
