// A bucket for each of many keys, against the usual way: a map of buckets in 64 shards, each under a mutex. Keys are
// drawn evenly; the time is given, so the clock is left out.
// - numbers: such as networks of addresses.
// - fresh strings: written by the caller right before, as a server does that has just read a request.
// - kept strings: of a vector of them, which lie in memory of their own, and with a million of them not in a cache. To
//   read the key at all is what costs then, whoever reads it.
// The floors: "the key alone" draws or writes it and reads its last byte; "hashing alone" hashes it, too; "a word
// alone" then exchanges a word in memory as large as the limiter's.

#include <banyan/limit/keyed_limiter.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
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
  template <class K>
  std::uint64_t try_acquire(const K& key, time_point now) {
    const std::uint64_t hash = hash_(key);
    shard& mine = shards_[hash >> 58];
    const std::lock_guard lock{mine.mutex};
    auto at = mine.buckets.find(key);
    if (at == mine.buckets.end()) at = mine.buckets.try_emplace(Key{key}, bucket{burst, now}).first;
    bucket& it = at->second;
    if (now > it.at) {
      it.tokens = std::min(burst, it.tokens + rate * std::chrono::duration<double>(now - it.at).count());
      it.at = now;
    }
    if (it.tokens >= 1) it.tokens -= 1;
    return static_cast<std::uint64_t>(it.tokens);
  }

 private:
  struct bucket {
    double tokens;
    time_point at;
  };
  struct alignas(64) shard {
    std::mutex mutex;
    std::unordered_map<Key, bucket, banyan::seeded_hash, std::equal_to<>> buckets;  // finds views, too
  };
  banyan::seeded_hash hash_;
  std::array<shard, 64> shards_;
};

// Keys by the name of how the caller comes by them: `key(i)` is valid until the next one.
struct numbers {
  using key_type = std::uint64_t;
  explicit numbers(std::int64_t) {}
  static std::uint64_t key(std::uint64_t i) { return i; }
  static std::uint64_t last_byte(std::uint64_t key) { return key & 0xffU; }
};

constexpr std::string_view network = "2001:db8::";

struct fresh_strings {
  using key_type = std::string;
  explicit fresh_strings(std::int64_t) { std::copy(network.begin(), network.end(), text.begin()); }
  std::string_view key(std::uint64_t i) {
    char* const begin = text.data();
    const auto end = std::to_chars(begin + network.size(), begin + text.size(), i).ptr;
    return {begin, static_cast<std::size_t>(end - begin)};
  }
  static std::uint64_t last_byte(std::string_view key) { return static_cast<unsigned char>(key.back()); }
  std::array<char, 32> text{};
};

struct kept_strings {
  using key_type = std::string;
  explicit kept_strings(std::int64_t count) : all{&made(count)} {}
  [[nodiscard]] std::string_view key(std::uint64_t i) const { return (*all)[i]; }
  static std::uint64_t last_byte(std::string_view key) { return static_cast<unsigned char>(key.back()); }

  static const std::vector<std::string>& made(std::int64_t count) {
    static std::unordered_map<std::int64_t, std::vector<std::string>> sizes;
    static std::mutex mutex;
    const std::lock_guard lock{mutex};
    auto& these = sizes[count];
    for (std::int64_t i = std::ssize(these); i < count; ++i) these.push_back(std::string{network} + std::to_string(i));
    return these;
  }
  const std::vector<std::string>* all;
};

// Time goes on by 1 us a request: with a million keys most are admitted, with a thousand most are refused. No key is
// known before the answer for the one before: as for a single request, nothing is fetched ahead.
template <class Keys, class Ask>
void run(benchmark::State& state, Ask ask) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  Keys keys{state.range(0)};
  banyan::xoshiro256 random{static_cast<std::uint64_t>(state.thread_index()) + 1};
  time_point now = steady_clock::now();
  std::uint64_t none = 0;
  benchmark::DoNotOptimize(none);
  std::uint64_t answer = 0;
  for (auto _ : state) {
    now += std::chrono::microseconds{1};
    answer = ask(keys.key(banyan::random_below(random, count) + (answer & none)), now);
    benchmark::DoNotOptimize(answer);
  }
}

template <class Keys>
void keyed(benchmark::State& state) {
  using limiter_type = banyan::keyed_limiter<typename Keys::key_type, banyan::token_bucket<>>;
  static limiter_type limiter{{.rate = rate, .burst = 10}, {.max_keys = 1'000'000}};
  run<Keys>(state, [](const auto& key, time_point now) { return limiter.try_acquire(key, 1, now).remaining(); });
  if (state.thread_index() == 0) state.counters["MB"] = static_cast<double>(limiter.memory()) / 1e6;
}

template <class Keys>
void mapped(benchmark::State& state) {
  static mutex_map<typename Keys::key_type> map;
  run<Keys>(state, [](const auto& key, time_point now) { return map.try_acquire(key, now); });
}

template <class Keys>
void read(benchmark::State& state) {
  run<Keys>(state, [](const auto& key, time_point) { return Keys::last_byte(key); });
}

template <class Keys>
void hashed(benchmark::State& state) {
  static const banyan::seeded_hash hash;
  run<Keys>(state, [](const auto& key, time_point) { return hash(key); });
}

// As much memory as the limiter's, for so many keys as there are.
template <class Keys>
void worded(benchmark::State& state) {
  static const banyan::seeded_hash hash;
  static std::vector<std::atomic<std::uint64_t>> words(12'000'000 / sizeof(std::uint64_t));
  run<Keys>(state, [](const auto& key, time_point) {
    std::atomic<std::uint64_t>& word = words[(hash(key) >> 32) * words.size() >> 32];
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    while (!word.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed)) {
    }
    return seen;
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(1'000)->Arg(1'000'000)->ThreadRange(1, 2)->UseRealTime();
}
BENCHMARK(keyed<numbers>)->Name("numbers/keyed_limiter")->Apply(sizes);
BENCHMARK(mapped<numbers>)->Name("numbers/64 maps under mutexes")->Apply(sizes);
BENCHMARK(read<numbers>)->Name("numbers/the key alone")->Apply(sizes);
BENCHMARK(hashed<numbers>)->Name("numbers/hashing alone")->Apply(sizes);
BENCHMARK(worded<numbers>)->Name("numbers/a word alone")->Apply(sizes);
BENCHMARK(keyed<fresh_strings>)->Name("fresh strings/keyed_limiter")->Apply(sizes);
BENCHMARK(mapped<fresh_strings>)->Name("fresh strings/64 maps under mutexes")->Apply(sizes);
BENCHMARK(read<fresh_strings>)->Name("fresh strings/the key alone")->Apply(sizes);
BENCHMARK(hashed<fresh_strings>)->Name("fresh strings/hashing alone")->Apply(sizes);
BENCHMARK(worded<fresh_strings>)->Name("fresh strings/a word alone")->Apply(sizes);
BENCHMARK(keyed<kept_strings>)->Name("kept strings/keyed_limiter")->Apply(sizes);
BENCHMARK(mapped<kept_strings>)->Name("kept strings/64 maps under mutexes")->Apply(sizes);
BENCHMARK(read<kept_strings>)->Name("kept strings/the key alone")->Apply(sizes);
BENCHMARK(hashed<kept_strings>)->Name("kept strings/hashing alone")->Apply(sizes);
BENCHMARK(worded<kept_strings>)->Name("kept strings/a word alone")->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
