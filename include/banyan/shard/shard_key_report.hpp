#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace banyan {

/// What is wrong with a shard key.
enum class shard_key_problem : std::uint8_t {
  too_few_values,  ///< fewer values than shards: some shards would be empty for good
  hot_value,       ///< one value alone is more than a shard is to have: it cannot be split by this key
  uneven,          ///< the fullest shard would have too much
  cross_shard,     ///< too many queries ask more than one shard
  rising,          ///< values only grow, and the keys are to be sharded by range: all new ones go to the last shard
};

/// A problem, and the figures that show it.
struct shard_key_finding {
  shard_key_problem problem;
  std::string why;
};

/// What a `shard_key_advisor` says.
template <class Key>
struct shard_key_report {
  /// Whether nothing speaks against the key.
  [[nodiscard]] bool good() const noexcept { return findings.empty(); }
  /// What speaks against it, and why.
  std::vector<shard_key_finding> findings;

  /// Keys given.
  std::uint64_t sampled = 0;
  /// Different values among them.
  std::uint64_t distinct = 0;
  /// Different values that there are at least, by how many came once and how many twice (Chao 1984, bias-corrected);
  /// `distinct` where the sample is complete.
  double expected_distinct = 0;
  /// The share of all keys whose values the sample does not have (Good and Turing); 0 where it is complete.
  double unseen = 0;
  /// The most frequent values and their shares of the keys given, the largest first.
  std::vector<std::pair<Key, double>> top;
  /// The share of the steps from one key to the next different one that go up; about 0.5 in random order, 1 for times
  /// and counters. None where keys have no order, or there is no step.
  std::optional<double> rising;

  std::uint32_t shards = 0;
  /// Load of the fullest shard by the mean: its mean over many ways to place the values at random, or what it is with
  /// the router given.
  double load = 0;
  /// The same, exceeded in one of 20 ways; as `load` with a router given.
  double load_if_unlucky = 0;
  /// What no placement can be below: the load of the most frequent value alone, at least 1.
  double least_load = 0;

  std::uint64_t queries = 0;
  /// The share of the queries that ask more than one shard, and the shards that a query asks on average. 0 without
  /// queries.
  double cross_shard = 0;
  double shards_per_query = 0;
};

}  // namespace banyan
