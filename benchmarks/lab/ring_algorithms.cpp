#include "ring_algorithms.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/hashing.hpp>

namespace banyan::lab {
namespace {

using node_vector = std::vector<weighted_node<std::uint32_t>>;

// Tables over numbers, with the algorithm's own table to be had as `where()`.
template <class Table>
class table_subject final : public ring_subject {
 public:
  explicit table_subject(Table table) : table_{std::move(table)} {}

  [[nodiscard]] std::unique_ptr<ring_subject> copy() const override { return std::make_unique<table_subject>(*this); }
  void add(std::uint32_t node, double weight) override { table_.add(node, weight); }
  void remove(std::uint32_t node) override { table_.remove(node); }

  void owners(std::span<const std::uint64_t> hashes, std::span<std::uint32_t> found) const override {
    for (std::size_t i = 0; i < hashes.size(); ++i) found[i] = table_.weights()[find(hashes[i])].node;
  }

  [[nodiscard]] std::uint64_t look_up(std::span<const std::uint64_t> hashes) const override {
    std::uint64_t sum = 0;
    for (const std::uint64_t hash : hashes) sum += find(hash);
    return sum;
  }

  [[nodiscard]] std::size_t memory() const override {
    if constexpr (requires { table_.memory(); }) {
      return table_.memory();
    } else {
      return table_.where().memory();
    }
  }

 private:
  [[nodiscard]] std::uint32_t find(std::uint64_t hash) const {
    if constexpr (requires { table_.find_index(hash); }) {
      return table_.find_index(hash);
    } else {
      return table_.where().find(hash);
    }
  }

  Table table_;
};

// Tables over names, placed as other systems place them. Keys come hashed, so that all answer the same keys.
template <class Table>
class named_subject final : public ring_subject {
 public:
  named_subject(const node_vector& nodes, typename Table::options how) : table_{named(nodes), how} { number(); }

  [[nodiscard]] std::unique_ptr<ring_subject> copy() const override { return std::make_unique<named_subject>(*this); }

  void add(std::uint32_t node, double weight) override {
    table_.add(name(node), weight);
    number();
  }

  void remove(std::uint32_t node) override {
    table_.remove(name(node));
    number();
  }

  void owners(std::span<const std::uint64_t> hashes, std::span<std::uint32_t> found) const override {
    for (std::size_t i = 0; i < hashes.size(); ++i) found[i] = numbers_[find(hashes[i])];
  }

  [[nodiscard]] std::uint64_t look_up(std::span<const std::uint64_t> hashes) const override {
    std::uint64_t sum = 0;
    for (const std::uint64_t hash : hashes) sum += find(hash);
    return sum;
  }

  [[nodiscard]] std::size_t memory() const override { return table_.where().memory(); }

 private:
  using key_hash = decltype(std::decay_t<decltype(std::declval<Table>().where())>::hash({}));

  static std::string name(std::uint32_t node) { return "node-" + std::to_string(node); }

  static node_list<std::string> named(const node_vector& nodes) {
    std::vector<weighted_node<std::string>> all;
    for (const weighted_node<std::uint32_t>& each : nodes) all.push_back({name(each.node), each.weight});
    return all;
  }

  void number() {
    numbers_.clear();
    for (const weighted_node<std::string>& each : table_.weights()) {
      std::uint32_t node = 0;
      std::from_chars(each.node.data() + name_prefix, each.node.data() + each.node.size(), node);
      numbers_.push_back(node);
    }
  }

  [[nodiscard]] std::uint32_t find(std::uint64_t hash) const {
    return table_.where().find(static_cast<key_hash>(hash >> (64 - 8 * sizeof(key_hash))));
  }

  static constexpr std::size_t name_prefix = 5;

  Table table_;
  std::vector<std::uint32_t> numbers_;
};

// Functions of the key and a number of buckets; the last bucket alone can go, and there are no weights. What stands in
// each bucket is read as well: who has nodes rather than numbers must do that too.
template <class Function>
class bucket_subject final : public ring_subject {
 public:
  explicit bucket_subject(const node_vector& nodes) {
    for (const weighted_node<std::uint32_t>& each : nodes) nodes_.push_back(each.node);
  }

  [[nodiscard]] std::unique_ptr<ring_subject> copy() const override { return std::make_unique<bucket_subject>(*this); }
  void add(std::uint32_t node, double) override { nodes_.push_back(node); }
  void remove(std::uint32_t node) override { std::erase(nodes_, node); }

  void owners(std::span<const std::uint64_t> hashes, std::span<std::uint32_t> found) const override {
    for (std::size_t i = 0; i < hashes.size(); ++i) found[i] = nodes_[find(hashes[i])];
  }

  [[nodiscard]] std::uint64_t look_up(std::span<const std::uint64_t> hashes) const override {
    std::uint64_t sum = 0;
    for (const std::uint64_t hash : hashes) sum += find(hash);
    return sum;
  }

  [[nodiscard]] std::size_t memory() const override { return 0; }

 private:
  [[nodiscard]] std::uint32_t find(std::uint64_t hash) const {
    return Function{}(hash, static_cast<std::uint32_t>(nodes_.size()));
  }

  std::vector<std::uint32_t> nodes_;
};

struct jump_function {
  std::uint32_t operator()(std::uint64_t hash, std::uint32_t buckets) const { return jump_hash(hash, buckets); }
};
struct jump_back_function {
  std::uint32_t operator()(std::uint64_t hash, std::uint32_t buckets) const { return jump_back_hash(hash, buckets); }
};
struct modulo_function {
  std::uint32_t operator()(std::uint64_t hash, std::uint32_t buckets) const {
    return static_cast<std::uint32_t>(hash % buckets);
  }
};

node_vector vector_of(ring_subject::nodes nodes) { return {nodes.begin(), nodes.end()}; }

template <class Table>
std::unique_ptr<ring_subject> make_table(ring_subject::nodes nodes, const ring_tuning&) {
  return std::make_unique<table_subject<Table>>(Table{vector_of(nodes)});
}

std::unique_ptr<ring_subject> make_ring(ring_subject::nodes nodes, const ring_tuning& tuning) {
  using table = ring_table<std::uint32_t>;
  return std::make_unique<table_subject<table>>(table{vector_of(nodes), {.points_per_node = tuning.points}});
}

std::unique_ptr<ring_subject> make_maglev(ring_subject::nodes nodes, const ring_tuning& tuning) {
  using table = maglev_table<std::uint32_t>;
  return std::make_unique<table_subject<table>>(table{vector_of(nodes), {.table_size = tuning.table_size}});
}

template <class Table>
std::unique_ptr<ring_subject> make_named(ring_subject::nodes nodes, const ring_tuning&) {
  return std::make_unique<named_subject<Table>>(vector_of(nodes), typename Table::options{});
}

std::unique_ptr<ring_subject> make_envoy_maglev(ring_subject::nodes nodes, const ring_tuning& tuning) {
  return std::make_unique<named_subject<envoy_maglev>>(vector_of(nodes),
                                                       envoy_maglev_options{.table_size = tuning.table_size});
}

template <class Function>
std::unique_ptr<ring_subject> make_buckets(ring_subject::nodes nodes, const ring_tuning&) {
  return std::make_unique<bucket_subject<Function>>(vector_of(nodes));
}

// Those whose look-ups or changes ask every node are left out beyond some thousands of them.
constexpr std::size_t any = 10'000;
constexpr std::size_t some = 2'000;

constexpr std::array algorithms = {
    ring_algorithm{"maglev", "one read of a table", true, true, any, make_maglev},
    ring_algorithm{"ring", "points on a circle", true, true, any, make_ring},
    ring_algorithm{"multi_probe", "few points, many tries", true, true, any, make_table<multi_probe<std::uint32_t>>},
    ring_algorithm{"rendezvous", "best draw of all nodes", true, true, some, make_table<rendezvous<std::uint32_t>>},
    ring_algorithm{"anchor", "depends on the order of changes", true, true, any,
                   make_table<anchor_hash<std::uint32_t>>},
    ring_algorithm{"jump", "the last bucket alone may go", false, false, any, make_buckets<jump_function>},
    ring_algorithm{"jump_back", "the last bucket alone may go", false, false, any, make_buckets<jump_back_function>},
    ring_algorithm{"ketama", "as libmemcached", true, true, any, make_named<ketama_ring>},
    ring_algorithm{"nginx", "as nginx", true, true, any, make_named<nginx_ring>},
    ring_algorithm{"envoy_ring", "as Envoy", true, true, any, make_named<envoy_ring>},
    ring_algorithm{"envoy_maglev", "as Envoy", true, true, any, make_envoy_maglev},
    ring_algorithm{"modulo", "hash % nodes, to compare with", false, false, any, make_buckets<modulo_function>}};

constexpr auto names = [] {
  std::array<std::string_view, algorithms.size()> all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = algorithms[i].name;
  return all;
}();

}  // namespace

std::span<const ring_algorithm> ring_algorithms() noexcept { return algorithms; }

std::span<const std::string_view> ring_algorithm_names() noexcept { return names; }

}  // namespace banyan::lab
