// Counting from several threads.

#include <banyan/core/striped_counter.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace {

void striped(benchmark::State& state) {
  static banyan::striped_counter<> counter;
  for (auto _ : state) counter.add();
}
BENCHMARK(striped)->Name("striped_counter::add")->ThreadRange(1, 2)->UseRealTime();

void sum(benchmark::State& state) {
  static banyan::striped_counter<> counter;
  for (auto _ : state) benchmark::DoNotOptimize(counter.sum());
}
BENCHMARK(sum)->Name("striped_counter::sum")->ThreadRange(1, 2)->UseRealTime();

void one_atomic(benchmark::State& state) {
  static std::atomic<std::int64_t> counter{0};
  for (auto _ : state) counter.fetch_add(1, std::memory_order_relaxed);
}
BENCHMARK(one_atomic)->Name("one std::atomic")->ThreadRange(1, 2)->UseRealTime();

void one_mutex(benchmark::State& state) {
  static std::mutex mutex;
  static std::int64_t counter = 0;
  for (auto _ : state) {
    const std::lock_guard lock{mutex};
    benchmark::DoNotOptimize(++counter);
  }
}
BENCHMARK(one_mutex)->Name("std::mutex")->ThreadRange(1, 2)->UseRealTime();

void plain(benchmark::State& state) {
  std::int64_t counter = 0;
  for (auto _ : state) benchmark::DoNotOptimize(++counter);
}
BENCHMARK(plain)->Name("a plain integer each")->ThreadRange(1, 2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
