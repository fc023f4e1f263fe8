// A bucket for each of many keys, against the usual way: a map of buckets in 64 shards, each under a mutex. Keys are
// drawn evenly: numbers, such as networks of addresses, and strings, which lie in memory of their own and mostly not in
// a cache ("hashing alone" is what that costs). The time is given, so the clock is left out.

#include <banyan/limit/keyed_limiter.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include <banyan/core/random.hpp>

namespace {

using banyan::steady_clock;
using time_point = steady_clock::time_point;

constexpr double rate = 10;
constexpr double burst = 10;

template <class Key>
class mutex_map {
 public:
  bool try_acquire(const Key& key, time_point now) {
    const std::uint64_t hash = hash_(key);
    shard& mine = shards_[hash >> 58];
    const std::lock_guard lock{mine.mutex};
    const auto [at, is_new] = mine.buckets.try_emplace(key, bucket{burst, now});
    bucket& it = at->second;
    if (now > it.at) {
      it.tokens = std::min(burst, it.tokens + rate * std::chrono::duration<double>(now - it.at).count());
      it.at = now;
    }
    if (it.tokens < 1) return false;
    it.tokens -= 1;
    return true;
  }

 private:
  struct bucket {
    double tokens;
    time_point at;
  };
  struct alignas(64) shard {
    std::mutex mutex;
    std::unordered_map<Key, bucket, banyan::seeded_hash> buckets;
  };
  banyan::seeded_hash hash_;
  std::array<shard, 64> shards_;
};

const std::vector<std::string>& keys(std::int64_t count) {
  static std::unordered_map<std::int64_t, std::vector<std::string>> made;
  static std::mutex mutex;
  const std::lock_guard lock{mutex};
  auto& these = made[count];
  for (std::int64_t i = std::ssize(these); i < count; ++i) these.push_back("2001:db8::" + std::to_string(i));
  return these;
}

// Time goes on by 1 us a request: with a million keys most are admitted, with a thousand most are refused.
template <class Key, class Ask>
void run(benchmark::State& state, Ask ask) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  const std::vector<std::string>* all = nullptr;
  if constexpr (std::is_same_v<Key, std::string>) all = &keys(state.range(0));
  banyan::xoshiro256 random{static_cast<std::uint64_t>(state.thread_index()) + 1};
  time_point now = steady_clock::now();
  for (auto _ : state) {
    now += std::chrono::microseconds{1};
    const std::uint64_t drawn = banyan::random_below(random, count);
    if constexpr (std::is_same_v<Key, std::string>) {
      benchmark::DoNotOptimize(ask((*all)[drawn], now));
    } else {
      benchmark::DoNotOptimize(ask(drawn, now));
    }
  }
}

template <class Key>
void keyed(benchmark::State& state) {
  static banyan::keyed_limiter<Key, banyan::token_bucket<>> limiter{{.rate = rate, .burst = 10},
                                                                    {.max_keys = 1'000'000}};
  run<Key>(state, [](const Key& key, time_point now) { return limiter.try_acquire(key, 1, now).allowed(); });
  if (state.thread_index() == 0) state.counters["MB"] = static_cast<double>(limiter.memory()) / 1e6;
}

template <class Key>
void mapped(benchmark::State& state) {
  static mutex_map<Key> map;
  run<Key>(state, [](const Key& key, time_point now) { return map.try_acquire(key, now); });
}

template <class Key>
void hashed(benchmark::State& state) {
  static const banyan::seeded_hash hash;
  run<Key>(state, [](const Key& key, time_point) { return hash(key); });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(1'000)->Arg(1'000'000)->ThreadRange(1, 2)->UseRealTime();
}
BENCHMARK(keyed<std::uint64_t>)->Name("numbers/keyed_limiter")->Apply(sizes);
BENCHMARK(mapped<std::uint64_t>)->Name("numbers/64 maps under mutexes")->Apply(sizes);
BENCHMARK(hashed<std::uint64_t>)->Name("numbers/hashing alone")->Apply(sizes);
BENCHMARK(keyed<std::string>)->Name("strings/keyed_limiter")->Apply(sizes);
BENCHMARK(mapped<std::string>)->Name("strings/64 maps under mutexes")->Apply(sizes);
BENCHMARK(hashed<std::string>)->Name("strings/hashing alone")->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
