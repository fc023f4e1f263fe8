// What one operation costs, for each policy: 64-bit keys and values, capacity 65,536, one thread. The races against
// other caches are in rivals.bench.cpp, memory is in memory.bench.cpp.

#include <cstdint>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include <banyan/cache/basic_cache.hpp>
#include <banyan/cache/fifo_policy.hpp>
#include <banyan/cache/lfu_policy.hpp>
#include <banyan/cache/lru_policy.hpp>
#include <banyan/cache/s3fifo_policy.hpp>
#include <banyan/cache/sieve_policy.hpp>
#include <banyan/cache/tinylfu_policy.hpp>

#include "rivals/keep_all.hpp"
#include "workload.hpp"

namespace {

constexpr std::uint32_t capacity = 65'536;
const bench::keys_by_rank<std::uint64_t> keys{0};

template <class Policy>
using cache_of = banyan::basic_cache<std::uint64_t, std::uint64_t, Policy>;

template <class Policy>
std::unique_ptr<cache_of<Policy>> filled(std::uint32_t count) {
  auto cache = std::make_unique<cache_of<Policy>>(typename cache_of<Policy>::options{.capacity = capacity});
  for (std::uint32_t rank = 0; rank < count; ++rank) cache->put(keys[rank], rank);
  return cache;
}

// What physics asks for: one read from a table of the same size.
void floor_array_read(benchmark::State& state) {
  const std::vector<std::uint32_t> ranks = bench::zipf_sequence(capacity, 1U << 20, 1);
  std::vector<std::uint64_t> table(capacity * 2);
  for (std::size_t k = 0; k < table.size(); ++k) table[k] = k ^ static_cast<std::size_t>(state.max_iterations);
  std::size_t i = 0;
  for (auto _ : state) {
    std::uint64_t value = table[keys[ranks[i++ & ((1U << 20) - 1)]] >> 47];
    benchmark::DoNotOptimize(value);
  }
}

template <class Policy>
void get_hit(benchmark::State& state) {
  const std::vector<std::uint32_t> ranks = bench::zipf_sequence(capacity, 1U << 20, 1);
  const auto cache = filled<Policy>(capacity);
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(cache->get(keys[ranks[i++ & ((1U << 20) - 1)]]));
}

template <class Policy>
void get_hit_one_key(benchmark::State& state) {
  const auto cache = filled<Policy>(capacity);
  for (auto _ : state) benchmark::DoNotOptimize(cache->get(keys[7]));
}

template <class Policy>
void get_miss(benchmark::State& state) {
  const auto cache = filled<Policy>(capacity);
  std::uint32_t rank = capacity;
  for (auto _ : state) benchmark::DoNotOptimize(cache->get(keys[++rank | 1U << 31]));
}

template <class Policy>
void put_over(benchmark::State& state) {
  const std::vector<std::uint32_t> ranks = bench::zipf_sequence(capacity, 1U << 20, 1);
  const auto cache = filled<Policy>(capacity);
  std::size_t i = 0;
  for (auto _ : state) cache->put(keys[ranks[i & ((1U << 20) - 1)]], i), ++i;
}

template <class Policy>
void put_new_and_evict(benchmark::State& state) {
  const auto cache = filled<Policy>(capacity);
  std::uint32_t rank = capacity;
  for (auto _ : state) cache->put(keys[rank++], rank);
}

template <class Policy>
void get_or_load_hit(benchmark::State& state) {
  const auto cache = filled<Policy>(capacity);
  std::uint32_t rank = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        cache->get_or_load(keys[rank++ & 1023], [](std::uint64_t key) -> std::uint64_t { return key; }));
  }
}

#define BANYAN_BENCH_POLICY(policy)              \
  BENCHMARK_TEMPLATE(get_hit, policy);           \
  BENCHMARK_TEMPLATE(get_hit_one_key, policy);   \
  BENCHMARK_TEMPLATE(get_miss, policy);          \
  BENCHMARK_TEMPLATE(put_over, policy);          \
  BENCHMARK_TEMPLATE(put_new_and_evict, policy); \
  BENCHMARK_TEMPLATE(get_or_load_hit, policy)

BENCHMARK(floor_array_read);
BENCHMARK_TEMPLATE(get_hit, bench::keep_all);
BENCHMARK_TEMPLATE(get_hit_one_key, bench::keep_all);
BANYAN_BENCH_POLICY(banyan::lru_policy);
BANYAN_BENCH_POLICY(banyan::lfu_policy);
BANYAN_BENCH_POLICY(banyan::fifo_policy);
BANYAN_BENCH_POLICY(banyan::sieve_policy);
BANYAN_BENCH_POLICY(banyan::s3fifo_policy);
BANYAN_BENCH_POLICY(banyan::tinylfu_policy);

}  // namespace

BENCHMARK_MAIN();
