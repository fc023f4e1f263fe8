// A call through a closed breaker, asked for and reported, with the time given; and a refusal by an open one. Rivals:
// the floor, which is two read-modify-writes of shared words, and a breaker as in textbooks, a mutex around a ring.

#include <banyan/limit/circuit_breaker.hpp>
#include <banyan/limit/retry_budget.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace {

using time_point = banyan::steady_clock::time_point;
const time_point now = banyan::steady_clock::now();

class mutex_breaker {
 public:
  bool try_acquire() {
    const std::lock_guard lock{mutex_};
    return !open_;
  }
  void report(bool failed) {
    const std::lock_guard lock{mutex_};
    failures_ += (failed ? 1U : 0U) - (ring_[next_] ? 1U : 0U);
    ring_[next_] = failed;
    next_ = (next_ + 1) % ring_.size();
    if (failures_ * 2 >= ring_.size()) open_ = true;
  }

 private:
  std::mutex mutex_;
  std::array<bool, 100> ring_{};
  std::size_t next_ = 0;
  std::size_t failures_ = 0;
  bool open_ = false;
};

void closed(benchmark::State& state) {
  static banyan::circuit_breaker breaker{{.window = 100}};
  for (auto _ : state) {
    auto call = breaker.try_acquire(now);
    call.succeeded({}, now);
    benchmark::DoNotOptimize(call);
  }
}
BENCHMARK(closed)->Name("closed/circuit_breaker, last 100 calls")->ThreadRange(1, 2)->UseRealTime();

void timed(benchmark::State& state) {
  static banyan::circuit_breaker breaker{{.window_time = std::chrono::seconds{10}}};
  for (auto _ : state) {
    auto call = breaker.try_acquire(now);
    call.succeeded({}, now);
    benchmark::DoNotOptimize(call);
  }
}
BENCHMARK(timed)->Name("closed/circuit_breaker, last 10 s")->ThreadRange(1, 2)->UseRealTime();

void locked(benchmark::State& state) {
  static mutex_breaker breaker;
  for (auto _ : state) {
    benchmark::DoNotOptimize(breaker.try_acquire());
    breaker.report(false);
  }
}
BENCHMARK(locked)->Name("closed/mutex")->ThreadRange(1, 2)->UseRealTime();

void two_words(benchmark::State& state) {
  static std::atomic<std::uint64_t> place{0};
  static std::atomic<std::uint64_t> sums{0};
  for (auto _ : state) {
    place.fetch_add(1, std::memory_order_relaxed);
    sums.fetch_add(1, std::memory_order_relaxed);
  }
}
BENCHMARK(two_words)->Name("closed/floor: two read-modify-writes")->ThreadRange(1, 2)->UseRealTime();

void open(benchmark::State& state) {
  static banyan::circuit_breaker breaker{{.open_for = std::chrono::hours{1}}};
  if (state.thread_index() == 0) breaker.open(now);
  for (auto _ : state) benchmark::DoNotOptimize(static_cast<bool>(breaker.try_acquire(now)));
}
BENCHMARK(open)->Name("refused/circuit_breaker")->ThreadRange(1, 2)->UseRealTime();

void budget(benchmark::State& state) {
  static banyan::retry_budget retries{{.ratio = 0.1}};
  for (auto _ : state) {
    retries.request(now);
    benchmark::DoNotOptimize(retries.try_retry(now));
  }
}
BENCHMARK(budget)->Name("retry_budget: a request and a try to repeat it")->ThreadRange(1, 2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
