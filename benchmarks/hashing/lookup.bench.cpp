// What a look-up costs, the hash of the key excluded, and what a table costs in memory and on a change. All contenders
// run in turns in one process; figures are the least of the rounds, because others may use the machine. Prints the
// tables of docs/hashing.md. Balance and movement are measured by the lab: banyan_lab ring. Usage: [ROUNDS] (default
// 41).

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
  std::function<void()> build;                        // the table anew; none: there is none
  std::function<void()> change;                       // one node added and removed again
  double bytes = 0;                                   // for each node
};

template <class Find>
contender entrant(std::string name, Find find, double bytes = 0, std::function<void()> build = nullptr,
                  std::function<void()> change = nullptr) {
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
          std::move(build),
          std::move(change),
          bytes};
}

std::vector<int> numbers(std::uint32_t count) {
  std::vector<int> nodes(count);
  for (std::uint32_t i = 0; i < count; ++i) nodes[i] = static_cast<int>(i);
  return nodes;
}

// By the placement alone: the node of a key's hash, as a number.
template <class Table>
contender table_entrant(std::string name, std::uint32_t count) {
  auto table = std::make_shared<Table>(numbers(count));
  return entrant(
      std::move(name), [table](std::uint64_t key) { return table->where().find(key); },
      static_cast<double>(table->where().memory()) / count, [count] { const Table anew{numbers(count)}; },
      [table] {
        table->add(-1);
        table->remove(-1);
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
      half_removed ? std::function<void()>{} : [count] { const banyan::anchor_hash<int> anew{numbers(count)}; },
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
  // The floor: one read of a table as large as Maglev's.
  auto bare = std::make_shared<std::vector<std::uint16_t>>(1 << 16);
  for (std::size_t i = 0; i < bare->size(); ++i) (*bare)[i] = static_cast<std::uint16_t>(i % count);
  std::vector<contender> all;
  all.push_back(entrant(
      "array read", [bare](std::uint64_t key) { return (*bare)[key >> 48]; },
      static_cast<double>(bare->size() * sizeof(std::uint16_t)) / count));
  all.push_back(entrant(
      "binary search",
      [sorted](std::uint64_t key) {
        const auto at = std::lower_bound(sorted->begin(), sorted->end(), key,
                                         [](const point& p, std::uint64_t wanted) { return p.first < wanted; });
        return at == sorted->end() ? sorted->front().second : at->second;
      },
      160.0 * sizeof(point)));
  all.push_back(entrant(
      "std::map",
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
  all.push_back(table_entrant<banyan::maglev_table<int>>("maglev", count));
  all.push_back(table_entrant<banyan::ring_table<int>>("ring", count));
  all.push_back(table_entrant<banyan::multi_probe<int>>("multi-probe", count));
  if (count <= 1000) all.push_back(table_entrant<banyan::rendezvous<int>>("rendezvous", count));
  all.push_back(anchor_entrant("anchor", count, false));
  all.push_back(anchor_entrant("half gone", count, true));
  all.push_back(entrant("jump", [count](std::uint64_t key) { return banyan::jump_hash(key, count); }));
  all.push_back(entrant("jump back", [count](std::uint64_t key) { return banyan::jump_back_hash(key, count); }));
  return all;
}

// With the reader's pin, the hash of the key and the copy of the node.
std::vector<contender> published_contenders(std::uint32_t count) {
  std::vector<contender> all;
  auto ring = std::make_shared<banyan::hash_ring<int>>(numbers(count));
  all.push_back(entrant(
      "hash_ring", [ring](std::uint64_t key) { return static_cast<std::uint64_t>(*ring->find(key)); }, 0,
      [count] { const banyan::hash_ring<int> anew{numbers(count)}; },
      [ring] {
        ring->add(-1);
        ring->remove(-1);
      }));
  // 20 bytes each.
  auto names = std::make_shared<std::vector<std::string>>();
  for (int i = 0; i < 4096; ++i) {
    std::string name = "user:" + std::to_string(banyan::hash_of(i));
    name.resize(20, 'x');
    names->push_back(std::move(name));
  }
  all.push_back(entrant("hash_ring, names", [ring, names](std::uint64_t key) {
    return static_cast<std::uint64_t>(*ring->find((*names)[key % names->size()]));
  }));
  auto table =
      std::make_shared<banyan::published<banyan::maglev_table<int>>>(banyan::maglev_table<int>{numbers(count)});
  all.push_back(entrant("published maglev", [table](std::uint64_t key) {
    return static_cast<std::uint64_t>(*table->read()->locate(key));
  }));
  auto anchor = std::make_shared<banyan::published<banyan::anchor_hash<int>>>(banyan::anchor_hash<int>{numbers(count)});
  all.push_back(entrant(
      "published anchor",
      [anchor](std::uint64_t key) { return static_cast<std::uint64_t>(*anchor->read()->locate(key)); }, 0, nullptr,
      [anchor] {
        for (const bool add : {true, false}) {
          anchor->update([&](auto copy) {
            add ? copy.add(-1) : copy.remove(-1);
            return copy;
          });
        }
      }));
  return all;
}

volatile std::uint64_t sink;

template <class F>
double nanoseconds(F work) {
  const auto begin = clock_type::now();
  work();
  return std::chrono::duration<double, std::nano>(clock_type::now() - begin).count();
}

struct figures {
  std::string name;
  double batch_ns = 1e18;
  double chain_ns = 1e18;
  double build_us = 1e18;
  double change_us = 1e18;
  double bytes = 0;
};

std::vector<figures> measure(const std::vector<contender>& all, int rounds) {
  std::vector<figures> found;
  for (const contender& c : all) found.push_back({.name = c.name, .bytes = c.bytes});
  banyan::splitmix64 random{42};
  // Short enough to fit between two interruptions. Others' tables have pushed ours out of the cache meanwhile, so there
  // is a batch of other keys first.
  hashes keys(1 << 14);
  hashes warm(1 << 14);
  const auto size = static_cast<double>(keys.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::uint64_t& key : keys) key = random();
    for (std::uint64_t& key : warm) key = random();
    for (std::size_t i = 0; i < all.size(); ++i) {
      sink = all[i].batch(warm);
      found[i].batch_ns = std::min(found[i].batch_ns, nanoseconds([&] { sink = all[i].batch(keys); }) / size);
      found[i].chain_ns = std::min(found[i].chain_ns, nanoseconds([&] { sink = all[i].chain(keys); }) / size);
    }
  }
  for (int round = 0; round < 7; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].build) found[i].build_us = std::min(found[i].build_us, nanoseconds(all[i].build) / 1000);
      if (all[i].change) found[i].change_us = std::min(found[i].change_us, nanoseconds(all[i].change) / 1000);
    }
  }
  return found;
}

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 && value > 0 ? "%.1f" : "%.0f", value);
  return value < 1e17 ? text : "";
}

struct row {
  std::uint32_t nodes;
  std::vector<figures> found;
};

// A line for each number of nodes, a column for each contender.
void print(const char* title, const std::vector<row>& rows, double figures::*value, double figures::*by = nullptr) {
  const std::vector<figures>& widest = rows.front().found;
  const auto shown = [&](const figures& of) { return of.*value < 1e17; };
  std::printf("%s\n\n| nodes |", title);
  std::string rule = "|---|";
  for (const figures& each : widest) {
    if (!shown(each)) continue;
    std::printf(" %s |", each.name.c_str());
    rule += "---|";
  }
  std::printf("\n%s\n", rule.c_str());
  for (const row& line : rows) {
    std::printf("| %u |", line.nodes);
    double yardstick = 1;
    for (const figures& each : line.found) {
      if (each.name == "binary search") yardstick = each.batch_ns;
    }
    for (const figures& column : widest) {
      if (!shown(column)) continue;
      const auto here = std::find_if(line.found.begin(), line.found.end(),
                                     [&](const figures& each) { return each.name == column.name; });
      std::string text = here == line.found.end() ? "" : text_of((*here).*value);
      if (by != nullptr && !text.empty()) {
        char ratio[32];
        std::snprintf(ratio, sizeof ratio, " (%.2f)", (*here).*by / yardstick);
        text += ratio;
      }
      std::printf(" %s |", text.c_str());
    }
    std::printf("\n");
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  const int rounds = count > 1 ? std::max(1, std::atoi(words[1])) : 41;
  std::vector<row> bare;
  std::vector<row> published;
  for (const std::uint32_t nodes : {10U, 100U, 1000U, 10'000U}) {
    std::fprintf(stderr, "%u nodes\n", nodes);
    bare.push_back({nodes, measure(contenders(nodes), rounds)});
    published.push_back({nodes, measure(published_contenders(nodes), rounds)});
  }
  print("Look-up in ns (ratio to binary search)", bare, &figures::batch_ns, &figures::batch_ns);
  print("Look-up in ns, each waiting for the one before", bare, &figures::chain_ns);
  print("Look-up in ns, the reader's pin and the hash included", published, &figures::batch_ns);
  print("Building the table, us", bare, &figures::build_us);
  print("A node added and removed again, us", bare, &figures::change_us);
  print("The same where readers go on, us", published, &figures::change_us);
  print("Bytes a node", bare, &figures::bytes);
}
