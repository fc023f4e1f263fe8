// What it costs to route a key, the hash of it included. All contenders run in turns in one process; figures are the
// least of the rounds (others may use the machine). The floor is one load from an array; the rival is
// std::map::upper_bound over the boundaries. After that, what moves when a shard is added. Usage: [ROUNDS] (default
// 41).

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/core/random.hpp>
#include <banyan/shard.hpp>

namespace {

using keys_type = std::vector<std::uint64_t>;
using clock_type = std::chrono::steady_clock;
using banyan::shard_id;
using hashes = banyan::hash_router<std::uint64_t>;
using texts = banyan::hash_router<std::string_view>;

struct contender {
  std::string name;
  std::function<std::uint64_t(const keys_type&)> batch;  // independent keys; the sum of the answers
  std::function<std::uint64_t(const keys_type&)> chain;  // each needs the answer before
  std::vector<double> batch_ns{};
  std::vector<double> chain_ns{};
};

template <class Route>
contender entrant(std::string name, Route route) {
  return {std::move(name),
          [route](const keys_type& keys) {
            std::uint64_t sum = 0;
            for (const std::uint64_t key : keys) sum += route(key);
            return sum;
          },
          [route](const keys_type& keys) {
            std::uint64_t last = 0;
            for (const std::uint64_t key : keys) last = route(key ^ (last & 1));
            return last;
          }};
}

template <class Router>
contender routed(std::string name, Router router) {
  auto shared = std::make_shared<const Router>(std::move(router));
  return entrant(std::move(name), [shared](std::uint64_t key) { return shared->route(key); });
}

std::vector<std::string> names_of_20_bytes(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    std::string name = "user:" + std::to_string(banyan::hash_of(i));
    name.resize(20, 'x');
    names.push_back(std::move(name));
  }
  return names;
}

template <class Router>
contender named(std::string name, Router router) {
  auto shared = std::make_shared<const Router>(std::move(router));
  auto names = std::make_shared<const std::vector<std::string>>(names_of_20_bytes(4096));
  return entrant(std::move(name),
                 [shared, names](std::uint64_t key) { return shared->route(std::string_view{(*names)[key & 4095]}); });
}

std::vector<std::uint64_t> boundaries_of(std::uint32_t shards) {
  std::vector<std::uint64_t> boundaries;
  for (std::uint64_t i = 1; i < shards; ++i) boundaries.push_back(~std::uint64_t{0} / shards * i);
  return boundaries;
}

void add_rivals(std::vector<contender>& all, std::uint32_t shards) {
  auto array = std::make_shared<std::vector<shard_id>>(65'536);
  for (std::size_t i = 0; i < array->size(); ++i) (*array)[i] = static_cast<shard_id>(i % shards);
  all.push_back(entrant("array load", [array](std::uint64_t key) { return (*array)[key & 65'535]; }));
  auto tree = std::make_shared<std::map<std::uint64_t, shard_id>>();
  auto sorted = std::make_shared<std::vector<std::uint64_t>>(boundaries_of(shards));
  for (std::size_t i = 0; i < sorted->size(); ++i) (*tree)[(*sorted)[i]] = static_cast<shard_id>(i);
  all.push_back(entrant("std::map::upper_bound", [tree, shards](std::uint64_t key) {
    const auto at = tree->upper_bound(key);
    return at == tree->end() ? shards - 1 : at->second;
  }));
  all.push_back(entrant("std::upper_bound, vector", [sorted](std::uint64_t key) {
    return static_cast<shard_id>(std::upper_bound(sorted->begin(), sorted->end(), key) - sorted->begin());
  }));
}

hashes ring_of(std::uint32_t shards) {
  std::vector<shard_id> ids(shards);
  std::iota(ids.begin(), ids.end(), shard_id{0});
  return hashes::consistent(ids);
}

banyan::geo_router world() {
  banyan::geo_options options;
  banyan::splitmix64 random{3};
  const auto somewhere = [&] {
    return banyan::geo_point{banyan::random_unit(random) * 180 - 90, banyan::random_unit(random) * 360 - 180};
  };
  for (shard_id id = 0; id < 12; ++id) options.shards.push_back({id, somewhere()});
  for (const std::string& name : names_of_20_bytes(4096)) options.regions.push_back({name, somewhere()});
  return banyan::geo_router{options};
}

template <class Map>
contender mapped(std::string name, std::shared_ptr<Map> map) {
  return entrant(std::move(name), [map](std::uint64_t key) { return std::uint64_t{*map->find(key)}; });
}

void add_maps(std::vector<contender>& all, std::uint32_t shards) {
  using map_type = banyan::shard_map<hashes, std::uint64_t>;
  std::vector<map_type::entry> served;
  auto tree = std::make_shared<std::map<shard_id, std::uint64_t>>();
  for (shard_id id = 0; id < shards; ++id) {
    served.push_back({id, std::uint64_t{id}});
    (*tree)[id] = id;
  }
  all.push_back(mapped("shard_map, modulo", std::make_shared<map_type>(hashes::modulo(shards), served)));
  auto lock = std::make_shared<std::shared_mutex>();
  auto router = std::make_shared<const hashes>(hashes::modulo(shards));
  all.push_back(entrant("shared_mutex, std::map", [=](std::uint64_t key) {
    const std::shared_lock held{*lock};
    return tree->find(router->route(key))->second;
  }));
}

std::vector<contender> contenders(std::uint32_t shards) {
  std::vector<contender> all;
  add_rivals(all, shards);
  const banyan::range_router<std::uint64_t> ranges{boundaries_of(shards)};
  all.push_back(routed("range_router", ranges));
  all.push_back(routed("any_router of ranges", banyan::any_router<std::uint64_t>{ranges}));
  all.push_back(routed("hash_router modulo", hashes::modulo(shards)));
  all.push_back(routed("hash_router numbered", hashes::numbered(shards)));
  all.push_back(routed("hash_router consistent", ring_of(shards)));
  std::vector<std::pair<std::uint64_t, shard_id>> entries;
  for (std::uint64_t key = 0; key < 1000; ++key) entries.emplace_back(key, shard_id{0});
  const banyan::directory_router<std::uint64_t, hashes> directory{hashes::modulo(shards), entries};
  all.push_back(routed("directory_router, 1,000", directory));
  const banyan::entity_router<int, hashes> entities{
      {{0, hashes::modulo(shards)}, {1, hashes::modulo(shards)}, {2, hashes::modulo(shards)}}};
  all.push_back(entrant("entity_router, 3 kinds", [e = std::make_shared<const decltype(entities)>(entities)](
                                                      std::uint64_t key) { return e->route(1, key); }));
  const banyan::composite_router<hashes, hashes> composite{hashes::modulo(shards), {{0, hashes::modulo(8)}}};
  all.push_back(entrant("composite_router", [c = std::make_shared<const decltype(composite)>(composite)](
                                                std::uint64_t key) { return c->route(key & 1023, key); }));
  add_maps(all, shards);
  all.push_back(named("text: modulo", texts::modulo(shards)));
  all.push_back(named("text: slot_router", banyan::slot_router::even(std::min(shards, 16'384U))));
  if (shards == 4) all.push_back(named("text: geo_router, 4,096", world()));
  return all;
}

double least(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }

volatile std::uint64_t sink;

double time_of(const std::function<std::uint64_t(const keys_type&)>& run, const keys_type& keys) {
  const auto begin = clock_type::now();
  sink = run(keys);
  return std::chrono::duration<double, std::nano>(clock_type::now() - begin).count() / static_cast<double>(keys.size());
}

void measure(std::uint32_t shards, int rounds) {
  std::vector<contender> all = contenders(shards);
  banyan::splitmix64 random{42};
  keys_type keys(1 << 14);
  keys_type warm(1 << 14);
  for (int round = 0; round < rounds; ++round) {
    for (std::uint64_t& key : keys) key = random();
    for (std::uint64_t& key : warm) key = random();
    for (contender& c : all) {
      sink = c.batch(warm);  // others have pushed its tables out of the cache
      c.batch_ns.push_back(time_of(c.batch, keys));
      c.chain_ns.push_back(time_of(c.chain, keys));
    }
  }
  std::printf("%u shards\n%-26s %8s %10s %14s %14s\n", shards, "", "ns", "in a chain", "to array load", "to std::map");
  const double floor = least(all[0].batch_ns);
  const double tree = least(all[1].batch_ns);
  for (const contender& c : all) {
    const double ns = least(c.batch_ns);
    std::printf("%-26s %8.2f %10.2f %14.1f %14.2f\n", c.name.c_str(), ns, least(c.chain_ns), ns / floor, ns / tree);
  }
  std::printf("\n");
  std::fflush(stdout);
}

// What moves when shards are added, as plan_reshard says, and how even the shares are before. Does not depend on the
// machine.
void movement(std::uint32_t shards) {
  keys_type keys(200'000);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  std::vector<std::string> names;
  for (const std::uint64_t key : keys) names.push_back("user:" + std::to_string(key));
  const auto fullest = [&](const auto& router, const auto& sample) {
    std::vector<double> loads(shards);
    for (const auto& key : sample) ++loads[router.route(key)];
    return *std::max_element(loads.begin(), loads.end()) * shards / static_cast<double>(sample.size());
  };
  std::printf("from %u to %u shards\n%-26s %8s %8s %14s\n", shards, shards + 1, "", "moved", "minimum",
              "fullest / mean");
  const auto print = [&](const char* name, const banyan::reshard_plan& plan, double load) {
    std::printf("%-26s %7.2f%% %7.2f%% %14.2f\n", name, 100 * plan.moved, 100 * plan.minimum, load);
  };
  const auto modulo = hashes::modulo(shards);
  const auto numbered = hashes::numbered(shards);
  const auto ring = ring_of(shards);
  print("modulo", banyan::plan_reshard(modulo, modulo.add(shards), keys), fullest(modulo, keys));
  print("numbered", banyan::plan_reshard(numbered, numbered.add(shards), keys), fullest(numbered, keys));
  print("consistent", banyan::plan_reshard(ring, ring.add(shards), keys), fullest(ring, keys));
  const auto slots = banyan::slot_router::even(shards);
  std::vector<shard_id> more(shards + 1);
  std::iota(more.begin(), more.end(), shard_id{0});
  print("slots, spread_over", banyan::plan_reshard(slots, slots.spread_over(more), names), fullest(slots, names));
  std::printf("\n");
}

}  // namespace

int main(int count, char** words) {
  const int rounds = count > 1 ? std::max(1, std::atoi(words[1])) : 41;
  for (const std::uint32_t shards : {4U, 64U, 1024U, 16'384U}) measure(shards, rounds);
  for (const std::uint32_t shards : {3U, 10U, 100U}) movement(shards);
}
