// What letting one call in and out costs, with rivals in the same run:
// - floor: adding one to a bare atomic, checking it against a constant, and taking one off.
// - mutex: the textbook limiter, a lock around a count, a sum of latencies and a window's end.
// - semaphore: std::counting_semaphore, which counts and does nothing else.
// "latency given" leaves the clock out; "measured" reads it twice, as `try_acquire()` and `succeeded()` do. Threads
// share one limiter, whose limit is out of reach.

#include <banyan/limit/concurrency_limiter.hpp>
#include <banyan/limit/fixed.hpp>
#include <banyan/limit/gradient2.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <semaphore>

namespace {

using banyan::steady_clock;
using time_point = steady_clock::time_point;
using std::chrono::nanoseconds;

constexpr int limit = 1000;

// With the window's mean and the limit worked out under the lock, as it is mostly done.
class mutex_limiter {
 public:
  bool try_acquire() {
    const std::lock_guard lock{mutex_};
    if (in_flight_ >= limit_) return false;
    most_ = std::max(most_, ++in_flight_);
    return true;
  }

  void succeeded(nanoseconds latency, time_point now) {
    const std::lock_guard lock{mutex_};
    --in_flight_;
    sum_ += latency.count();
    ++calls_;
    if (now < end_) return;
    const double mean = static_cast<double>(sum_) / static_cast<double>(calls_);
    base_ = base_ == 0 ? mean : base_ + (mean - base_) / 300;
    if (most_ * 2 >= limit_) limit_ = std::clamp(limit_ + (1.5 * base_ < mean ? -1 : 1), limit, 2 * limit);
    sum_ = calls_ = 0;
    most_ = 0;
    end_ = now + std::chrono::seconds{1};
  }

 private:
  std::mutex mutex_;
  int in_flight_ = 0;
  int limit_ = limit;
  int most_ = 0;
  std::int64_t sum_ = 0;
  std::int64_t calls_ = 0;
  double base_ = 0;
  time_point end_{};
};

template <class Body>
void repeat(benchmark::State& state, Body body) {
  for (auto _ : state) body();
}

void floor_given(benchmark::State& state) {
  static std::atomic<int> count{0};
  repeat(state, [] {
    if (count.fetch_add(1) >= limit) count.fetch_sub(1);
    benchmark::ClobberMemory();
    count.fetch_sub(1);
  });
}
BENCHMARK(floor_given)->Name("latency given/floor: add, subtract")->ThreadRange(1, 2)->UseRealTime();

void semaphore_given(benchmark::State& state) {
  static std::counting_semaphore<limit> semaphore{limit};
  repeat(state, [] {
    if (semaphore.try_acquire()) semaphore.release();
  });
}
BENCHMARK(semaphore_given)->Name("latency given/std::counting_semaphore")->ThreadRange(1, 2)->UseRealTime();

void mutex_given(benchmark::State& state) {
  static mutex_limiter limiter;
  const time_point now = steady_clock::now();
  repeat(state, [&] {
    if (limiter.try_acquire()) limiter.succeeded(nanoseconds{1000}, now);
  });
}
BENCHMARK(mutex_given)->Name("latency given/mutex")->ThreadRange(1, 2)->UseRealTime();

template <class Policy, int Queue>
auto& shared() {
  static banyan::concurrency_limiter<Policy> limiter = [] {
    if constexpr (requires(typename Policy::options o) { o.limit; }) {
      return banyan::concurrency_limiter<Policy>{{.limit = limit}, {.queue = Queue}};
    } else {
      return banyan::concurrency_limiter<Policy>{{.initial = limit, .min = limit, .max = 2 * limit}, {.queue = Queue}};
    }
  }();
  return limiter;
}

template <class Policy, int Queue = 0>
void given(benchmark::State& state) {
  auto& limiter = shared<Policy, Queue>();
  const time_point now = steady_clock::now();
  repeat(state, [&] {
    if (auto permit = limiter.try_acquire(now)) permit.succeeded(nanoseconds{1000}, now);
  });
}
BENCHMARK(given<banyan::fixed>)->Name("latency given/banyan fixed")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(given<banyan::gradient2>)->Name("latency given/banyan gradient2")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(given<banyan::gradient2, 100>)
    ->Name("latency given/banyan gradient2, with a queue")
    ->ThreadRange(1, 2)
    ->UseRealTime();

void ignored(benchmark::State& state) {
  auto& limiter = shared<banyan::fixed, 0>();
  const time_point now = steady_clock::now();
  repeat(state, [&] { limiter.try_acquire(now).ignored(); });
}
BENCHMARK(ignored)->Name("latency given/banyan fixed, ignored")->ThreadRange(1, 2)->UseRealTime();

void floor_measured(benchmark::State& state) {
  static std::atomic<int> count{0};
  repeat(state, [] {
    const time_point start = steady_clock::now();
    if (count.fetch_add(1) >= limit) count.fetch_sub(1);
    benchmark::DoNotOptimize(steady_clock::now() - start);
    count.fetch_sub(1);
  });
}
BENCHMARK(floor_measured)->Name("measured/floor: add, subtract, two clock reads")->ThreadRange(1, 2)->UseRealTime();

void mutex_measured(benchmark::State& state) {
  static mutex_limiter limiter;
  repeat(state, [&] {
    const time_point start = steady_clock::now();
    if (!limiter.try_acquire()) return;
    const time_point now = steady_clock::now();
    limiter.succeeded(now - start, now);
  });
}
BENCHMARK(mutex_measured)->Name("measured/mutex")->ThreadRange(1, 2)->UseRealTime();

void measured(benchmark::State& state) {
  auto& limiter = shared<banyan::gradient2, 0>();
  repeat(state, [&] {
    if (auto permit = limiter.try_acquire()) permit.succeeded();
  });
}
BENCHMARK(measured)->Name("measured/banyan gradient2")->ThreadRange(1, 2)->UseRealTime();

void refused(benchmark::State& state) {
  static banyan::concurrency_limiter<banyan::fixed> limiter{{.limit = 1}};
  static const auto held = limiter.try_acquire();
  const time_point now = steady_clock::now();
  repeat(state, [&] { benchmark::DoNotOptimize(static_cast<bool>(limiter.try_acquire(now))); });
}
BENCHMARK(refused)->Name("refused/banyan fixed")->ThreadRange(1, 2)->UseRealTime();

void mutex_refused(benchmark::State& state) {
  static mutex_limiter limiter;
  static const bool full = [] {
    for (int i = 0; i < limit; ++i) limiter.try_acquire();
    return true;
  }();
  benchmark::DoNotOptimize(full);
  repeat(state, [&] { benchmark::DoNotOptimize(limiter.try_acquire()); });
}
BENCHMARK(mutex_refused)->Name("refused/mutex")->ThreadRange(1, 2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
