#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <banyan/hashing/weighted_node.hpp>

namespace banyan::lab {

/// What all algorithms under study are built with.
struct ring_tuning {
  std::uint32_t points = 160;         ///< of a ring, for each node of weight 1
  std::uint32_t table_size = 65'537;  ///< of the Maglev tables
};

/// Numbered nodes, placed by one of the library's algorithms.
class ring_subject {
 public:
  using nodes = std::span<const weighted_node<std::uint32_t>>;

  virtual ~ring_subject() = default;

  [[nodiscard]] virtual std::unique_ptr<ring_subject> copy() const = 0;
  virtual void add(std::uint32_t node, double weight) = 0;
  virtual void remove(std::uint32_t node) = 0;

  /// The node of each key's hash.
  virtual void owners(std::span<const std::uint64_t> hashes, std::span<std::uint32_t> found) const = 0;

  /// The same look-ups with nothing around them, to be timed; a sum of their answers.
  [[nodiscard]] virtual std::uint64_t look_up(std::span<const std::uint64_t> hashes) const = 0;

  /// Bytes allocated for look-ups and changes, apart from the nodes' names.
  [[nodiscard]] virtual std::size_t memory() const = 0;
};

/// An algorithm and what it promises.
struct ring_algorithm {
  std::string_view name;
  std::string_view description;
  bool weighted;         ///< shares follow the weights
  bool any_node_may_go;  ///< otherwise the last alone
  std::size_t most_nodes;
  std::unique_ptr<ring_subject> (*make)(ring_subject::nodes, const ring_tuning&);
};

/// All algorithms of the study.
std::span<const ring_algorithm> ring_algorithms() noexcept;

/// Their names.
std::span<const std::string_view> ring_algorithm_names() noexcept;

}  // namespace banyan::lab
