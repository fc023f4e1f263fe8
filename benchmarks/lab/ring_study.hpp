#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "progress.hpp"
#include "ring_algorithms.hpp"
#include "table.hpp"

namespace banyan::lab {

/// What the study does with each algorithm.
struct ring_options {
  std::vector<double> weights = {1};  ///< of the nodes, in turn
  std::size_t keys_per_node = 1000;
  std::size_t sets = 3;  ///< of nodes and keys; figures of balance and movement are means over them
  std::uint64_t seed = 1;
  bool times = true;  ///< measured; without, all figures are the same on every machine
  ring_tuning tuning{};
};

/// What came of one algorithm with one number of nodes. Everything but the times is the same on every machine.
struct ring_run {
  const ring_algorithm* algorithm = nullptr;
  double fullest = 0;          ///< the node that is fullest for its share, against its share
  double deviation = 0;        ///< standard deviation of the nodes' loads against their shares
  double moved_in = 0;         ///< keys moved when a node came, against what it got
  double moved_out = 0;        ///< keys moved when a node went, against what it had
  double needless = 0;         ///< keys moved between nodes that stayed, of all keys, mean of both changes
  double look_up_ns = 0;       ///< the key's hash excluded; least of the rounds
  double build_us = 0;         ///< least of the rounds
  double change_us = 0;        ///< a node added and removed again; least of the rounds
  double bytes_a_node = 0;     ///< apart from the nodes' names
  std::vector<float> loads{};  ///< each node's load against its share, in the first set
};

/// All algorithms with one number of nodes.
struct ring_result {
  std::size_t nodes = 0;
  ring_options options{};
  std::vector<ring_run> runs{};
  std::string reading{};  ///< what the table says, in some sentences
};

/// A column of the study's table.
struct ring_column {
  std::string_view name;
  double ring_run::*value;  ///< less is better
  std::string (*text)(double);
  bool timed = false;
};

/// The columns of a study, without the algorithm's name.
std::vector<ring_column> ring_columns(const ring_options& options);

/// The text of the lowest value of a column, modulo aside; empty when all have the same.
std::string best_text(const ring_result& result, const ring_column& column);

/// A row for each algorithm; `corner` heads their names.
table ring_table(std::string corner, const ring_result& result);

/// Puts the algorithms (known names, at least one) through the study.
ring_result study_rings(std::size_t nodes, const std::vector<std::string>& algorithms, const ring_options& options,
                        progress& bar);

/// What all results have in common: weights, keys.
std::string describe(const ring_options& options);

}  // namespace banyan::lab
