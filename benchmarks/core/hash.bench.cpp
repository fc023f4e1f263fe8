// Hashing integers and strings. std::hash of an integer is the integer itself in both standard libraries: the floor,
// but no hash that a table could use the bits of.

#include <banyan/core/hash.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace {

// Each key depends on the hash before, as a table's probe does on its hash: this measures the time to the result.
template <class Hash>
void integers_latency(benchmark::State& state, Hash hash) {
  std::uint64_t key = 1;
  for (auto _ : state) benchmark::DoNotOptimize(key = hash(key));
}

// Independent keys, as in a loop over a batch.
template <class Hash>
void integers_throughput(benchmark::State& state, Hash hash) {
  std::uint64_t key = 1;
  for (auto _ : state) benchmark::DoNotOptimize(hash(key++));
}

template <class Hash>
void strings(benchmark::State& state, Hash hash) {
  const auto size = static_cast<std::size_t>(state.range(0));
  std::array<std::string, 64> keys;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i].assign(size, 'k');
    if (size > 0) keys[i][i % size] = static_cast<char>('0' + i % 10);
  }
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(hash(std::string_view{keys[i++ % keys.size()]}));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}

const banyan::seeded_hash ours;

BENCHMARK_CAPTURE(integers_latency, seeded_hash, ours);
BENCHMARK_CAPTURE(integers_latency, std_hash, std::hash<std::uint64_t>{});
BENCHMARK_CAPTURE(integers_throughput, seeded_hash, ours);
BENCHMARK_CAPTURE(integers_throughput, std_hash, std::hash<std::uint64_t>{});
BENCHMARK_CAPTURE(strings, seeded_hash, ours)->Arg(4)->Arg(8)->Arg(20)->Arg(64)->Arg(1024);
BENCHMARK_CAPTURE(strings, std_hash, std::hash<std::string_view>{})->Arg(4)->Arg(8)->Arg(20)->Arg(64)->Arg(1024);

}  // namespace

BENCHMARK_MAIN();
