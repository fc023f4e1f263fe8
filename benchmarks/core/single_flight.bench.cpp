// What going through single_flight adds to a load that costs nothing; the naive way is a mutex around the load.

#include <banyan/core/single_flight.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <mutex>

namespace {

void own_keys(benchmark::State& state) {
  static banyan::single_flight<int, std::uint64_t> flights;
  const int key = state.thread_index();
  for (auto _ : state) benchmark::DoNotOptimize(flights.run(key, [](int k) { return std::uint64_t(k) + 1; }));
}
BENCHMARK(own_keys)->Name("single_flight::run, a key per thread")->ThreadRange(1, 2)->UseRealTime();

void one_key(benchmark::State& state) {
  static banyan::single_flight<int, std::uint64_t> flights;
  for (auto _ : state) benchmark::DoNotOptimize(flights.run(1, [](int k) { return std::uint64_t(k) + 1; }));
}
BENCHMARK(one_key)->Name("single_flight::run, one key")->ThreadRange(1, 2)->UseRealTime();

void idle(benchmark::State& state) {
  static banyan::single_flight<int, std::uint64_t> flights;
  for (auto _ : state) benchmark::DoNotOptimize(flights.idle());
}
BENCHMARK(idle)->Name("single_flight::idle")->ThreadRange(1, 2)->UseRealTime();

void mutex_around(benchmark::State& state) {
  static std::mutex mutex;
  int key = state.thread_index();
  for (auto _ : state) {
    const std::lock_guard lock{mutex};
    benchmark::DoNotOptimize(++key);
  }
}
BENCHMARK(mutex_around)->Name("std::mutex around the load")->ThreadRange(1, 2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
