// How even the shares are, and which keys move when a node comes or goes. No clock: the figures are the same on every
// machine. Each line is over several sets of nodes, a thousand keys a node. Usage: [NODES...] (default 10 100 1000).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/hashing.hpp>

namespace {

constexpr int sets = 10;

std::vector<int> some_nodes(std::size_t count, int set) {
  std::vector<int> nodes(count);
  for (std::size_t i = 0; i < count; ++i) nodes[i] = static_cast<int>(i) + set * 1'000'000;
  return nodes;
}

struct verdict {
  double fullest = 0;    // the fullest node against the mean, on average over the sets
  double deviation = 0;  // of the shares, against the mean
  double added = 0;      // keys moved when a node came, against the least possible
  double removed = 0;    // keys moved when a node went, against the least possible
  double astray = 0;     // of these, moved between two nodes that stayed, of all keys
};

// `owner(key)` before, and with one node more, and with one node fewer than that (the first one).
template <class Before, class More, class Fewer>
void judge(verdict& sum, std::size_t count, std::uint64_t seed, Before before, More more, Fewer fewer, int fresh,
           int gone) {
  const std::size_t keys = 1000 * count;
  banyan::splitmix64 random{seed};
  std::vector<std::uint32_t> held(count, 0);
  std::size_t to_fresh = 0;
  std::size_t from_gone = 0;
  std::size_t moved_in = 0;
  std::size_t moved_out = 0;
  std::size_t astray = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    const std::uint64_t key = random();
    const int at = before(key);
    const int with = more(key);
    const int without = fewer(key);
    ++held[static_cast<std::size_t>(at % 1'000'000)];
    moved_in += at != with ? 1U : 0U;
    to_fresh += with == fresh ? 1U : 0U;
    moved_out += at != without ? 1U : 0U;
    from_gone += at == gone ? 1U : 0U;
    astray += (at != with && with != fresh ? 1U : 0U) + (at != without && at != gone ? 1U : 0U);
  }
  double squares = 0;
  for (const std::uint32_t n : held) squares += (n / 1000.0 - 1) * (n / 1000.0 - 1);
  sum.fullest += *std::max_element(held.begin(), held.end()) / 1000.0 / sets;
  sum.deviation += std::sqrt(squares / static_cast<double>(count)) / sets;
  const double least_in = static_cast<double>(keys) / static_cast<double>(count + 1);
  sum.added += static_cast<double>(moved_in) / least_in / sets;
  sum.removed += static_cast<double>(moved_out) / static_cast<double>(std::max<std::size_t>(from_gone, 1)) / sets;
  sum.astray += static_cast<double>(astray) / 2.0 / static_cast<double>(keys) / sets;
  static_cast<void>(to_fresh);
}

void print(const char* name, const verdict& v) {
  std::printf("%-14s %10.3f %10.2f %12.2f %12.2f %12.3f\n", name, v.fullest, 100 * v.deviation, v.added, v.removed,
              100 * v.astray);
  std::fflush(stdout);
}

template <class Nodes>
void nodes_entrant(const char* name, std::size_t count) {
  verdict sum;
  for (int set = 0; set < sets; ++set) {
    const std::vector<int> list = some_nodes(count, set);
    const int fresh = set * 1'000'000 + 999'999;
    const Nodes before{list};
    Nodes more = before;
    more.add(fresh);
    Nodes fewer = before;
    fewer.remove(list.front());
    const auto by = [](const Nodes& nodes) { return [&nodes](std::uint64_t key) { return *nodes.locate(key); }; };
    judge(sum, count, 77 + static_cast<std::uint64_t>(set), by(before), by(more), by(fewer), fresh, list.front());
  }
  print(name, sum);
}

// Bucket functions lose their last bucket, the only one they can.
template <class F>
void buckets_entrant(const char* name, std::size_t count, F bucket) {
  verdict sum;
  const auto n = static_cast<std::uint32_t>(count);
  for (int set = 0; set < sets; ++set) {
    const auto with = [&](std::uint32_t buckets) {
      return [&bucket, buckets](std::uint64_t key) { return static_cast<int>(bucket(key, buckets)); };
    };
    judge(sum, count, 77 + static_cast<std::uint64_t>(set), with(n), with(n + 1), with(n - 1), static_cast<int>(n),
          static_cast<int>(n - 1));
  }
  print(name, sum);
}

}  // namespace

int main(int count, char** words) {
  std::vector<std::size_t> sizes;
  for (int i = 1; i < count; ++i) sizes.push_back(std::strtoul(words[i], nullptr, 10));
  if (sizes.empty()) sizes = {10, 100, 1000};
  for (const std::size_t nodes : sizes) {
    if (nodes < 2 || nodes > 60'000) {
      std::fprintf(stderr, "nodes must be in [2, 60000]\n");
      return 2;
    }
    std::printf("%zu nodes, %d sets, 1000 keys a node\n%-14s %10s %10s %12s %12s %12s\n", nodes, sets, "", "max/mean",
                "dev. %", "add/least", "remove/least", "astray %");
    nodes_entrant<banyan::ring_table<int>>("ring", nodes);
    nodes_entrant<banyan::multi_probe<int>>("multi-probe", nodes);
    nodes_entrant<banyan::maglev_table<int>>("maglev", nodes);
    if (nodes <= 1000) nodes_entrant<banyan::rendezvous<int>>("rendezvous", nodes);
    nodes_entrant<banyan::anchor_hash<int>>("anchor", nodes);
    buckets_entrant("jump", nodes, [](std::uint64_t key, std::uint32_t n) { return banyan::jump_hash(key, n); });
    buckets_entrant("jump back", nodes,
                    [](std::uint64_t key, std::uint32_t n) { return banyan::jump_back_hash(key, n); });
    buckets_entrant("modulo", nodes, [](std::uint64_t key, std::uint32_t n) { return key % n; });
    std::printf("\n");
  }
}
