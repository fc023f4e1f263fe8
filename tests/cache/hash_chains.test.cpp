#include <banyan/cache/detail/hash_chains.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <banyan/cache/detail/node_store.hpp>
#include <banyan/core/hazard_domain.hpp>

#include "support/catch.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::hazard_domain;
using banyan::hazard_slots;
using banyan::detail::chain_link;
using banyan::detail::hash_chains;
using banyan::detail::node_store;

struct set_node {
  using payload_type = std::string;  // as if not trivially destructible: freed in small batches, hence soon
  std::atomic<std::uint32_t> next;
  std::atomic<std::uint64_t> key;  // atomic, so that a read too late is a wrong answer rather than a data race
  std::atomic<bool> freed;
  void destroy() noexcept { freed.store(true); }
};

struct stripe_part {
  std::uint32_t free_nodes = 0;
  std::uint32_t free_count = 0;
  std::uint32_t retired_nodes = 0;
  std::uint32_t retired_count = 0;
  std::uint32_t scan_at = 0;
};

// A set of numbers over the chains, as the cache uses them.
class chained_set {
 public:
  using store = node_store<set_node, hazard_domain>;

  // Sees which nodes the chains look at.
  struct arena {
    std::atomic<std::uint32_t>& next(std::uint32_t node) const noexcept {
      if ((*nodes)[node].freed.load()) looked_at_freed->fetch_add(1);
      return nodes->next(node);
    }
    const void* address(std::uint32_t node) const noexcept { return nodes->address(node); }
    const store* nodes;
    std::atomic<std::uint64_t>* looked_at_freed;
  };

  using chains = hash_chains<const arena>;
  using position = chains::position;

  chained_set(std::uint32_t chain_count, std::uint32_t nodes)
      : heads_(chain_count),
        words_(nodes),
        store_{words_.data(), nodes, domain_},
        chains_{heads_.data(), chain_count, arena_} {}

  bool insert(std::uint64_t key, stripe_part& mine) {
    const std::uint32_t node = store_.take(mine);
    if (node == store::none) {
      starved.fetch_add(1);
      return false;
    }
    words_[node].freed.store(false);
    words_[node].key.store(key, std::memory_order_relaxed);
    for (;;) {
      hazard_slots<3> hazards{domain_};
      const position at = find<true>(key, hazards, mine);
      if (at.found()) {
        store_.give_back(node, mine);
        return false;
      }
      if (chains_.insert(hash(key), at, node)) return true;
    }
  }

  bool erase(std::uint64_t key, stripe_part& mine) {
    hazard_slots<2> hazards{domain_};
    for (;;) {
      const position at = find<false>(key, hazards, mine);
      if (!at.found()) return false;
      if (!chains_.remove(at)) continue;
      leave(at, key, mine);
      return true;
    }
  }

  // Puts a new node in the place of the old one.
  bool replace(std::uint64_t key, stripe_part& mine) {
    const std::uint32_t node = store_.take(mine);
    if (node == store::none) {
      starved.fetch_add(1);
      return false;
    }
    words_[node].freed.store(false);
    words_[node].key.store(key, std::memory_order_relaxed);
    hazard_slots<2> hazards{domain_};
    for (;;) {
      const position at = find<false>(key, hazards, mine);
      if (!at.found()) {
        store_.give_back(node, mine);
        return false;
      }
      if (!chains_.replace(at, node)) continue;
      leave(at, key, mine);
      return true;
    }
  }

  bool contains(std::uint64_t key, stripe_part& mine) {
    hazard_slots<2> hazards{domain_};
    return find<false>(key, hazards, mine).found();
  }

  std::size_t count(std::uint64_t key) const {
    std::size_t found = 0;
    for (const auto& head : heads_) {
      for (chain_link link = head.load(); link != 0;) {
        const set_node& node = words_[link - 1];
        link = node.next.load();
        if ((link & banyan::detail::removed_mark) == 0 && node.key.load() == key) ++found;
        link &= ~banyan::detail::removed_mark;
      }
    }
    return found;
  }

  std::atomic<std::uint64_t> starved{0};
  std::atomic<std::uint64_t> looked_at_freed{0};

 private:
  static std::uint32_t hash(std::uint64_t key) { return static_cast<std::uint32_t>(key * 0x9E3779B97F4A7C15U >> 32); }

  template <bool ForInsert, class Hazards>
  position find(std::uint64_t key, Hazards& hazards, stripe_part& mine) {
    return chains_.template find<ForInsert>(
        hash(key), hazards, [&](std::uint32_t i) { return words_[i].key.load(std::memory_order_relaxed) == key; },
        [&](std::uint32_t i) { store_.retire(i, mine); });
  }

  void leave(const position& at, std::uint64_t key, stripe_part& mine) {
    if (chains_.unlink(at)) {
      store_.retire(at.node(), mine);
    } else {
      hazard_slots<2> hazards{domain_};
      find<false>(key, hazards, mine);
    }
  }

  hazard_domain& domain_ = hazard_domain::global();
  std::vector<std::atomic<chain_link>> heads_;
  std::vector<set_node> words_;
  store store_;
  const arena arena_{&store_, &looked_at_freed};
  chains chains_;
};

}  // namespace

TEST_CASE("hash_chains: a set in one thread") {
  chained_set set{2, 4000};
  stripe_part mine;
  banyan::testing::random_source random{banyan::testing::derived_seed("chains")};
  std::array<bool, 12> model{};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t key = random.below(model.size());
    switch (random.below(4)) {
      case 0:
        REQUIRE(set.insert(key, mine) == !std::exchange(model[key], true));
        break;
      case 1:
        REQUIRE(set.erase(key, mine) == std::exchange(model[key], false));
        break;
      case 2:
        REQUIRE(set.replace(key, mine) == model[key]);
        break;
      default:
        REQUIRE(set.contains(key, mine) == model[key]);
        break;
    }
    REQUIRE(set.count(key) == (model[key] ? 1 : 0));
  }
  CHECK(set.starved.load() == 0);
}

TEST_CASE("hash_chains: no key twice, none lost, no node freed under a reader, whoever is stopped") {
  constexpr std::size_t workers = 4;
  constexpr std::size_t keys = 5;
  constexpr std::uint64_t first_lasting = 100;  // at the chains' ends: whoever is led astray by a reused node misses it
  constexpr std::uint64_t lasting = 4;
  const std::uint64_t seed = banyan::testing::derived_seed("chains, stopped");
  CAPTURE(seed);
  // Nodes for what threads may keep to themselves and a few more: one lost with each operation would be missed.
  chained_set set{2, workers * chained_set::store::nodes_per_thread + 64};
  std::vector<stripe_part> stripes(workers);
  std::vector<banyan::testing::random_source> random;
  for (std::size_t i = 0; i < workers; ++i) random.emplace_back(seed + i);
  std::array<std::atomic<long>, keys> balance{};
  std::atomic<std::uint64_t> missed{0};
  for (std::uint64_t i = 0; i < lasting; ++i) set.insert(first_lasting + i, stripes[0]);
  const auto result = banyan::testing::stop_a_thread(
      {.workers = workers,
       .mode = banyan::testing::stop_mode::several,
       .rounds = 400,
       .at_most = std::chrono::milliseconds{1500},
       .operations = 1000,  // enough to free and reuse nodes while somebody stands on them
       .seed = seed},
      [&](std::size_t worker) {
        stripe_part& mine = stripes[worker];
        const std::uint64_t key = random[worker].below(keys);
        switch (random[worker].below(6)) {
          case 0:
            if (set.insert(key, mine)) balance[key].fetch_add(1);
            break;
          case 1:
            if (set.erase(key, mine)) balance[key].fetch_sub(1);
            break;
          case 2:
            set.replace(key, mine);
            break;
          case 3:
            set.contains(key, mine);
            break;
          default:
            if (!set.contains(first_lasting + random[worker].below(lasting), mine)) missed.fetch_add(1);
            break;
        }
      });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(set.starved.load() == 0);
  CHECK(set.looked_at_freed.load() == 0);
  CHECK(missed.load() == 0);
  for (std::uint64_t key = 0; key < keys; ++key) {
    CAPTURE(key);
    CHECK(static_cast<long>(set.count(key)) == balance[key].load());
    CHECK(set.count(key) <= 1);
    CHECK(set.contains(key, stripes[0]) == (balance[key].load() == 1));
  }
}
