// What a look-up costs, the hash of the key excluded, and what it costs in memory and on a change. All contenders run
// in turns in one process; figures are the least of the rounds (others may use the machine), ratios are to plain binary
// search over a sorted vector of 160 points a node. Usage: [ROUNDS] (default 41).

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <banyan/core/published.hpp>
#include <banyan/core/random.hpp>
#include <banyan/hashing.hpp>

namespace {

using hashes = std::vector<std::uint64_t>;
using clock_type = std::chrono::steady_clock;

struct contender {
  std::string name;
  std::function<std::uint64_t(const hashes&)> batch;  // independent look-ups; the sum of the answers
  std::function<std::uint64_t(const hashes&)> chain;  // each needs the answer before
  std::function<void()> change;                       // one node added and removed again
  double bytes = 0;                                   // for each node
  std::vector<double> batch_ns{};
  std::vector<double> chain_ns{};
};

template <class Find>
contender entrant(std::string name, Find find, double bytes = 0, std::function<void()> change = nullptr) {
  return {std::move(name),
          [find](const hashes& keys) {
            std::uint64_t sum = 0;
            for (const std::uint64_t key : keys) sum += find(key);
            return sum;
          },
          [find](const hashes& keys) {
            std::uint64_t last = 0;
            for (const std::uint64_t key : keys) last = find(key ^ (last & 1));
            return last;
          },
          std::move(change), bytes};
}

std::vector<banyan::weighted_hash> hashed_nodes(std::uint32_t count) {
  std::vector<banyan::weighted_hash> nodes;
  for (std::uint32_t i = 0; i < count; ++i) nodes.push_back({banyan::hash_of(i), 1});
  return nodes;
}

std::vector<int> numbers(std::uint32_t count) {
  std::vector<int> nodes(count);
  for (std::uint32_t i = 0; i < count; ++i) nodes[i] = static_cast<int>(i);
  return nodes;
}

template <class Placement>
contender placement_entrant(std::string name, std::uint32_t count, typename Placement::options how = {}) {
  auto nodes = std::make_shared<std::vector<banyan::weighted_hash>>(hashed_nodes(count));
  auto placed = std::make_shared<Placement>(*nodes, how);
  return entrant(
      std::move(name), [placed](std::uint64_t key) { return placed->find(key); },
      static_cast<double>(placed->memory()) / count,
      [nodes, how] {
        nodes->push_back({1, 1});
        const Placement more{*nodes, how};
        nodes->pop_back();
        const Placement fewer{*nodes, how};
      });
}

contender anchor_entrant(std::string name, std::uint32_t count, bool half_removed) {
  auto anchor = std::make_shared<banyan::anchor_hash<int>>(numbers(half_removed ? 2 * count : count));
  if (half_removed) {
    banyan::splitmix64 random{7};
    while (anchor->size() > count) anchor->remove(static_cast<int>(random() % (2 * count)));
  }
  return entrant(
      std::move(name), [anchor](std::uint64_t key) { return anchor->find_index(key); },
      static_cast<double>(anchor->memory()) / count,
      [anchor] {
        anchor->add(-1);
        anchor->remove(-1);
      });
}

// The rivals: what one writes in an afternoon.
std::vector<contender> rivals(std::uint32_t count) {
  using point = std::pair<std::uint64_t, std::uint32_t>;
  auto sorted = std::make_shared<std::vector<point>>();
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::uint32_t p = 0; p < 160; ++p) sorted->emplace_back(banyan::hash_of(std::pair{i, p}), i);
  }
  std::sort(sorted->begin(), sorted->end());
  auto tree = std::make_shared<std::map<std::uint64_t, std::uint32_t>>(sorted->begin(), sorted->end());
  auto array = std::make_shared<std::vector<std::uint32_t>>();
  for (std::uint32_t i = 0; i < count; ++i) array->push_back(i);
  std::vector<contender> all;
  all.push_back(entrant(
      "binary search",
      [sorted](std::uint64_t key) {
        const auto at = std::lower_bound(sorted->begin(), sorted->end(), key,
                                         [](const point& p, std::uint64_t wanted) { return p.first < wanted; });
        return at == sorted->end() ? sorted->front().second : at->second;
      },
      160.0 * sizeof(point)));
  all.push_back(entrant(
      "std::map ring",
      [tree](std::uint64_t key) {
        const auto at = tree->lower_bound(key);
        return at == tree->end() ? tree->begin()->second : at->second;
      },
      160.0 * 48));  // a tree node: 32 bytes of links, 16 of data, before the allocator's own
  all.push_back(entrant(
      "modulo", [array](std::uint64_t key) { return (*array)[key % array->size()]; }, 4));
  return all;
}

std::vector<contender> contenders(std::uint32_t count) {
  std::vector<contender> all = rivals(count);
  all.push_back(placement_entrant<banyan::maglev_placement>("maglev", count));
  all.push_back(placement_entrant<banyan::ring_placement>("ring", count));
  all.push_back(placement_entrant<banyan::multi_probe_placement>("multi-probe", count));
  if (count <= 1000) all.push_back(placement_entrant<banyan::rendezvous_placement>("rendezvous", count));
  all.push_back(anchor_entrant("anchor", count, false));
  all.push_back(anchor_entrant("anchor, half gone", count, true));
  all.push_back(entrant("jump", [count](std::uint64_t key) { return banyan::jump_hash(key, count); }));
  all.push_back(entrant("jump back", [count](std::uint64_t key) { return banyan::jump_back_hash(key, count); }));
  auto ring = std::make_shared<banyan::hash_ring<int>>(numbers(count));
  const auto change = [ring] {
    ring->add(-1);
    ring->remove(-1);
  };
  all.push_back(entrant(
      "hash_ring, integer key", [ring](std::uint64_t key) { return static_cast<std::uint64_t>(*ring->find(key)); }, 0,
      change));
  // 20 bytes each.
  auto names = std::make_shared<std::vector<std::string>>();
  for (int i = 0; i < 4096; ++i) {
    std::string name = "user:" + std::to_string(banyan::hash_of(i));
    name.resize(20, 'x');
    names->push_back(std::move(name));
  }
  all.push_back(entrant("hash_ring, 4096 names", [ring, names](std::uint64_t key) {
    return static_cast<std::uint64_t>(*ring->find((*names)[key % names->size()]));
  }));
  auto table =
      std::make_shared<banyan::published<banyan::maglev_table<int>>>(banyan::maglev_table<int>{numbers(count)});
  all.push_back(entrant("published maglev, int", [table](std::uint64_t key) {
    return static_cast<std::uint64_t>(*table->read()->locate(key));
  }));
  return all;
}

double least(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::min_element(values.begin(), values.end());
}

volatile std::uint64_t sink;

double time_of(const std::function<std::uint64_t(const hashes&)>& run, const hashes& keys) {
  const auto begin = clock_type::now();
  sink = run(keys);
  return std::chrono::duration<double, std::nano>(clock_type::now() - begin).count() / static_cast<double>(keys.size());
}

void measure(std::uint32_t count, int rounds) {
  std::vector<contender> all = contenders(count);
  banyan::splitmix64 random{42};
  // Short enough to fit between two interruptions. Others' tables have pushed ours out of the cache meanwhile, so there
  // is a batch of other keys first.
  hashes keys(1 << 14);
  hashes warm(1 << 14);
  for (int round = 0; round < rounds; ++round) {
    for (std::uint64_t& key : keys) key = random();
    for (std::uint64_t& key : warm) key = random();
    for (contender& c : all) {
      sink = c.batch(warm);
      c.batch_ns.push_back(time_of(c.batch, keys));
      c.chain_ns.push_back(time_of(c.chain, keys));
    }
  }
  std::printf("%u nodes\n%-24s %10s %10s %8s %12s %14s\n", count, "", "ns", "in a chain", "ratio", "bytes/node",
              "add+remove us");
  const double yardstick = least(all.front().batch_ns);
  for (const contender& c : all) {
    std::string change = "-";
    if (c.change) {
      std::vector<double> took;
      for (int i = 0; i < 5; ++i) {
        const auto begin = clock_type::now();
        c.change();
        took.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - begin).count());
      }
      char text[32];
      std::snprintf(text, sizeof text, "%.1f", least(took));
      change = text;
    }
    const double batch = least(c.batch_ns);
    std::printf("%-24s %10.2f %10.2f %8.2f %12.0f %14s\n", c.name.c_str(), batch, least(c.chain_ns), batch / yardstick,
                c.bytes, change.c_str());
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  const int rounds = count > 1 ? std::max(1, std::atoi(words[1])) : 41;
  for (const std::uint32_t nodes : {10U, 100U, 1000U, 10'000U}) measure(nodes, rounds);
}
