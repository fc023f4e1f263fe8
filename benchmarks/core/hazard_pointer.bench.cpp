// Reading one shared object that may be replaced: what each way of keeping it alive costs the reader.
// The floor is the bare load, which keeps nothing alive.

#include <banyan/core/hazard_domain.hpp>
#include <banyan/core/hazard_pointer.hpp>
#include <banyan/core/published.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>

namespace {

struct table {
  std::uint64_t number = 42;
};

table the_table;
std::atomic<table*> current{&the_table};

void bare_load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(current.load(std::memory_order_acquire)->number);
}
BENCHMARK(bare_load)->ThreadRange(1, 2)->UseRealTime();

template <std::size_t N>
std::uint64_t read_with_slots(banyan::hazard_domain& domain) {
  banyan::hazard_slots<N> hazards{domain};
  table* seen = current.load(std::memory_order_acquire);
  for (;;) {
    hazards.publish(0, seen);
    table* const again = current.load(std::memory_order_acquire);
    if (again == seen) return seen->number;
    seen = again;
  }
}

template <std::size_t N>
void slots(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(read_with_slots<N>(banyan::hazard_domain::global()));
  state.SetLabel(banyan::hazard_domain::global().asymmetric() ? "asymmetric" : "fallback: no membarrier here");
}
BENCHMARK(slots<1>)->Name("hazard_slots<1>")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(slots<2>)->Name("hazard_slots<2>")->ThreadRange(1, 2)->UseRealTime();

void fallback_slots(benchmark::State& state) {
  static banyan::hazard_domain& domain = banyan::hazard_domain::make_immortal(false);
  for (auto _ : state) benchmark::DoNotOptimize(read_with_slots<2>(domain));
}
BENCHMARK(fallback_slots)->Name("hazard_slots<2>, fallback")->ThreadRange(1, 2)->UseRealTime();

void protect(benchmark::State& state) {
  banyan::hazard_pointer hazard = banyan::make_hazard_pointer();
  for (auto _ : state) benchmark::DoNotOptimize(hazard.protect(current)->number);
}
BENCHMARK(protect)->Name("hazard_pointer::protect")->ThreadRange(1, 2)->UseRealTime();

void make_and_protect(benchmark::State& state) {
  for (auto _ : state) {
    banyan::hazard_pointer hazard = banyan::make_hazard_pointer();
    benchmark::DoNotOptimize(hazard.protect(current)->number);
  }
}
BENCHMARK(make_and_protect)->Name("make_hazard_pointer + protect")->ThreadRange(1, 2)->UseRealTime();

banyan::published<table> the_published{table{}};

void published_read(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(the_published.read()->number);
}
BENCHMARK(published_read)->Name("published::read")->ThreadRange(1, 2)->UseRealTime();

#if defined(__cpp_lib_atomic_shared_ptr)
std::atomic<std::shared_ptr<table>> the_shared{std::make_shared<table>()};

void atomic_shared_ptr(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(the_shared.load(std::memory_order_acquire)->number);
}
BENCHMARK(atomic_shared_ptr)->Name("std::atomic<std::shared_ptr>")->ThreadRange(1, 2)->UseRealTime();
#endif

std::mutex the_mutex;
std::shared_mutex the_shared_mutex;
std::shared_ptr<table> guarded = std::make_shared<table>();

void mutex_copy(benchmark::State& state) {
  for (auto _ : state) {
    std::unique_lock lock{the_mutex};
    const std::shared_ptr<table> copy = guarded;
    lock.unlock();
    benchmark::DoNotOptimize(copy->number);
  }
}
BENCHMARK(mutex_copy)->Name("std::mutex + shared_ptr copy")->ThreadRange(1, 2)->UseRealTime();

void shared_mutex_read(benchmark::State& state) {
  for (auto _ : state) {
    const std::shared_lock lock{the_shared_mutex};
    benchmark::DoNotOptimize(guarded->number);
  }
}
BENCHMARK(shared_mutex_read)->Name("std::shared_mutex")->ThreadRange(1, 2)->UseRealTime();

// The other side of the bargain: what replacing costs.

void retire(benchmark::State& state) {
  struct object : banyan::hazard_pointer_obj_base<object> {};
  for (auto _ : state) (new object)->retire();
}
BENCHMARK(retire)->Name("new + retire, in batches")->ThreadRange(1, 2)->UseRealTime();

void new_and_delete(benchmark::State& state) {
  for (auto _ : state) {
    auto* const made = new table;
    benchmark::DoNotOptimize(made);
    delete made;
  }
}
BENCHMARK(new_and_delete)->Name("new + delete")->ThreadRange(1, 2)->UseRealTime();

void publish(benchmark::State& state) {
  for (auto _ : state) the_published.publish(table{});
}
BENCHMARK(publish)->Name("published::publish")->ThreadRange(1, 2)->UseRealTime();

void mutex_publish(benchmark::State& state) {
  for (auto _ : state) {
    auto fresh = std::make_shared<table>();
    const std::lock_guard lock{the_mutex};
    guarded.swap(fresh);
  }
}
BENCHMARK(mutex_publish)->Name("std::mutex + shared_ptr swap")->ThreadRange(1, 2)->UseRealTime();

void synchronize(benchmark::State& state) {
  for (auto _ : state) banyan::hazard_domain::global().synchronize();
}
BENCHMARK(synchronize)->Name("hazard_domain::synchronize")->ThreadRange(1, 2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
