// What a decision costs, with rivals in the same run:
// - floor: reading the clock and one bare compare-exchange; "refused" has the clock alone as its floor.
// - mutex: the textbook bucket, a lock around two doubles.
// - atomic double: the time at which the bucket was empty, as a double in an atomic, the way of folly's TokenBucket;
//   written for this comparison.
// "given now" leaves the clock out. Threads share one limiter.

#include <banyan/limit/fixed_window.hpp>
#include <banyan/limit/leaky_bucket.hpp>
#include <banyan/limit/sharded_token_bucket.hpp>
#include <banyan/limit/sliding_window_counter.hpp>
#include <banyan/limit/sliding_window_log.hpp>
#include <banyan/limit/token_bucket.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace {

using banyan::steady_clock;
using time_point = steady_clock::time_point;

// Enough for every call, and next to nothing.
constexpr double plenty = 1e12;
constexpr double nothing = 1e-6;
constexpr std::uint64_t wide = std::uint64_t{1} << 40;

class mutex_bucket {
 public:
  mutex_bucket(double rate, double burst) : rate_{rate}, burst_{burst}, tokens_{burst}, at_{steady_clock::now()} {}

  bool try_acquire(double n, time_point now) {
    const std::lock_guard lock{mutex_};
    if (now > at_) {
      tokens_ = std::min(burst_, tokens_ + rate_ * std::chrono::duration<double>(now - at_).count());
      at_ = now;
    }
    if (tokens_ < n) return false;
    tokens_ -= n;
    return true;
  }

 private:
  std::mutex mutex_;
  double rate_;
  double burst_;
  double tokens_;
  time_point at_;
};

class atomic_double_bucket {
 public:
  atomic_double_bucket(double rate, double burst)
      : rate_{rate}, burst_{burst}, zero_{seconds(steady_clock::now()) - burst / rate} {}

  bool try_acquire(double n, time_point when) {
    const double now = seconds(when);
    double zero = zero_.load(std::memory_order_relaxed);
    for (;;) {
      const double tokens = std::min((now - zero) * rate_, burst_);
      if (tokens < n) return false;
      if (zero_.compare_exchange_weak(zero, now - (tokens - n) / rate_, std::memory_order_relaxed)) return true;
    }
  }

 private:
  static double seconds(time_point when) { return std::chrono::duration<double>(when.time_since_epoch()).count(); }
  double rate_;
  double burst_;
  std::atomic<double> zero_;
};

void floor_admitted(benchmark::State& state) {
  static std::atomic<std::int64_t> word{0};
  for (auto _ : state) {
    const std::int64_t now = steady_clock::now().time_since_epoch().count();
    std::int64_t seen = word.load(std::memory_order_relaxed);
    while (!word.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
  }
}
BENCHMARK(floor_admitted)->Name("admitted/floor: clock + compare-exchange")->ThreadRange(1, 2)->UseRealTime();

void floor_given(benchmark::State& state) {
  static std::atomic<std::int64_t> word{0};
  for (auto _ : state) {
    std::int64_t seen = word.load(std::memory_order_relaxed);
    while (!word.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed)) {
    }
  }
}
BENCHMARK(floor_given)->Name("given now/floor: compare-exchange")->ThreadRange(1, 2)->UseRealTime();

void floor_refused(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(steady_clock::now());
}
BENCHMARK(floor_refused)->Name("refused/floor: clock")->ThreadRange(1, 2)->UseRealTime();

template <class Bucket>
void admitted(benchmark::State& state, Bucket& bucket) {
  for (auto _ : state) benchmark::DoNotOptimize(static_cast<bool>(bucket.try_acquire(1, steady_clock::now())));
}

template <class Bucket>
void given(benchmark::State& state, Bucket& bucket) {
  time_point now = steady_clock::now();
  for (auto _ : state) {
    now += std::chrono::nanoseconds{10};
    benchmark::DoNotOptimize(static_cast<bool>(bucket.try_acquire(1, now)));
  }
}

struct rich;
struct poor;
template <class Bucket, class Tag>
Bucket& rival(double rate, double burst) {
  static Bucket bucket{rate, burst};
  return bucket;
}

banyan::token_bucket<>& generous() {
  static banyan::token_bucket bucket{{.rate = plenty, .burst = wide}};
  return bucket;
}
banyan::token_bucket<>& empty() {
  static banyan::token_bucket bucket{{.rate = nothing, .burst = 1}};
  static_cast<void>(bucket.try_acquire());
  return bucket;
}

void bm_admitted(benchmark::State& state) { admitted(state, generous()); }
void bm_given(benchmark::State& state) { given(state, generous()); }
void bm_refused(benchmark::State& state) { admitted(state, empty()); }
void bm_refused_given(benchmark::State& state) { given(state, empty()); }
void bm_mutex_admitted(benchmark::State& state) { admitted(state, rival<mutex_bucket, rich>(plenty, 1e12)); }
void bm_mutex_given(benchmark::State& state) { given(state, rival<mutex_bucket, rich>(plenty, 1e12)); }
void bm_mutex_refused(benchmark::State& state) { admitted(state, rival<mutex_bucket, poor>(nothing, 0.5)); }
void bm_double_admitted(benchmark::State& state) { admitted(state, rival<atomic_double_bucket, rich>(plenty, 1e12)); }
void bm_double_given(benchmark::State& state) { given(state, rival<atomic_double_bucket, rich>(plenty, 1e12)); }
void bm_double_refused(benchmark::State& state) { admitted(state, rival<atomic_double_bucket, poor>(nothing, 0.5)); }
BENCHMARK(bm_admitted)->Name("admitted/token_bucket")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_double_admitted)->Name("admitted/atomic double")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_mutex_admitted)->Name("admitted/mutex")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_given)->Name("given now/token_bucket")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_double_given)->Name("given now/atomic double")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_mutex_given)->Name("given now/mutex")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_refused)->Name("refused/token_bucket")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_refused_given)->Name("refused, given now/token_bucket")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_double_refused)->Name("refused/atomic double")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(bm_mutex_refused)->Name("refused/mutex")->ThreadRange(1, 2)->UseRealTime();

void sharded(benchmark::State& state) {
  static banyan::sharded_token_bucket bucket{{.rate = plenty, .burst = wide, .shards = 8, .lease = 1000}};
  for (auto _ : state) benchmark::DoNotOptimize(static_cast<bool>(bucket.try_acquire()));
}
BENCHMARK(sharded)->Name("admitted/sharded_token_bucket, lease 1000")->ThreadRange(1, 2)->UseRealTime();

void leaky(benchmark::State& state) {
  static banyan::leaky_bucket bucket{{.rate = plenty, .queue = wide}};
  admitted(state, bucket);
}
BENCHMARK(leaky)->Name("admitted/leaky_bucket")->ThreadRange(1, 2)->UseRealTime();

void fixed(benchmark::State& state) {
  static banyan::fixed_window window{{.limit = 1'000'000'000, .window = std::chrono::seconds{1}}};
  admitted(state, window);
}
BENCHMARK(fixed)->Name("admitted/fixed_window")->ThreadRange(1, 2)->UseRealTime();

void counter(benchmark::State& state) {
  static banyan::sliding_window_counter window{{.limit = 10'000'000, .window = std::chrono::seconds{1}}};
  admitted(state, window);
}
BENCHMARK(counter)->Name("admitted/sliding_window_counter")->ThreadRange(1, 2)->UseRealTime();

void log(benchmark::State& state) {
  static banyan::sliding_window_log window{{.limit = 10'000, .window = std::chrono::microseconds{10}}};
  admitted(state, window);
}
BENCHMARK(log)->Name("admitted/sliding_window_log")->ThreadRange(1, 2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
