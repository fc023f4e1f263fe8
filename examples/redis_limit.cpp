// One limit for two machines, kept by a real Redis server that this program starts for itself, kills and pauses on the
// way. Each "machine" is a pool, a limiter and two threads of clients that ask again and again.
//
// While Redis decides, both together get the rate, however they share it. While it is away each gets its half by
// itself, and nobody waits for it. Where no Redis is installed, it says so and ends.
#include <algorithm>
#include <atomic>
#include <banyan/adapters/redis_token_bucket.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "private_redis.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::redis_connection;
using banyan::redis_token_bucket;
using std::chrono::steady_clock;

constexpr double rate = 200;  // a second, of both together
constexpr std::uint64_t burst = 40;

constexpr int phases = 5;
constexpr const char* phase_names[phases] = {"Redis decides", "killed", "back, empty", "paused", "goes on"};
constexpr auto phase_length = 1'200ms;

class machine {
 public:
  explicit machine(const private_redis& server)
      : pool_{[&server] {
                return redis_connection::connect({.port = server.port(),
                                                  .password = server.password(),
                                                  .connect_timeout = 100ms,
                                                  .command_timeout = 100ms});
              },
              {.min = 2,
               .max = 4,
               .validate = [](auto& c) { return c.is_open(); },
               .validate_after = 0ns,
               .backoff_cap = 250ms}},
        limit_{pool_,
               {.rate = rate,
                .burst = burst,
                .timeout = 20ms,
                .local = {.rate = rate / 2, .burst = burst / 2},
                .breaker = {.window = 20, .min_calls = 5, .open_for = 250ms, .probes = 1, .probe_timeout = 1s}}} {}

  struct seen {
    std::atomic<int> by_redis{0};
    std::atomic<int> by_itself{0};
    std::atomic<std::int64_t> decisions{0};
    std::atomic<std::int64_t> nanoseconds{0};
    std::atomic<std::int64_t> longest{0};
  };

  void ask(const std::atomic<int>& phase) {
    for (int now = phase; now < phases; now = phase) {
      const auto start = steady_clock::now();
      const auto decision = limit_.try_acquire("everybody");
      const auto took = (steady_clock::now() - start) / 1ns;
      seen& s = phases_[now];
      ++s.decisions;
      s.nanoseconds += took;
      for (auto longest = s.longest.load(); took > longest && !s.longest.compare_exchange_weak(longest, took);) {
      }
      if (decision) ++(decision.fallen_back() ? s.by_itself : s.by_redis);
      std::this_thread::sleep_for(1ms);  // clients that are refused, and come again
    }
  }

  [[nodiscard]] const seen& at(int phase) const { return phases_[phase]; }

 private:
  banyan::connection_pool<redis_connection> pool_;
  redis_token_bucket limit_;
  seen phases_[phases];
};

void show(int phase, const machine& a, const machine& b, double seconds) {
  const auto sum = [&](auto member) { return (a.at(phase).*member).load() + (b.at(phase).*member).load(); };
  const auto of_one = [phase](const machine& m) { return m.at(phase).by_redis + m.at(phase).by_itself; };
  const double mean =
      static_cast<double>(sum(&machine::seen::nanoseconds)) / static_cast<double>(sum(&machine::seen::decisions)) / 1e3;
  const auto longest = std::max(a.at(phase).longest.load(), b.at(phase).longest.load());
  std::printf("%-14s %9d %9d %12.0f %11d %12d %12.0f %12.1f\n", phase_names[phase], of_one(a), of_one(b),
              static_cast<double>(of_one(a) + of_one(b)) / seconds, sum(&machine::seen::by_redis),
              sum(&machine::seen::by_itself), mean, static_cast<double>(longest) / 1e6);
}

int run() {
  private_redis server;
  if (!server.missing().empty()) {
    std::printf("%s\n", server.missing().c_str());
    return EXIT_SUCCESS;
  }
  std::atomic<int> phase{0};
  machine a{server}, b{server};
  std::printf("limit: %.0f a second and a burst of %d, together; when cut off, half of each for each machine\n\n", rate,
              static_cast<int>(burst));
  std::printf("%-14s %9s %9s %12s %11s %12s %12s %12s\n", "", "machine A", "machine B", "a second", "by Redis",
              "by itself", "mean us", "longest ms");

  const auto begin = steady_clock::now();
  std::vector<std::thread> clients;
  for (machine* each : {&a, &a, &b, &b}) clients.emplace_back([&phase, each] { each->ask(phase); });
  const std::string failure = [&]() -> std::string {
    try {
      for (int now = 0; now < phases; ++now) {
        phase = now;
        if (now == 1) server.kill();
        if (now == 2) server.start();
        if (now == 3) server.pause();
        if (now == 4) server.resume();
        const auto start = steady_clock::now();
        std::this_thread::sleep_for(phase_length);
        const std::chrono::duration<double> length = steady_clock::now() - start;
        show(now, a, b, length.count());
      }
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  }();
  phase = phases;
  for (std::thread& each : clients) each.join();
  if (!failure.empty()) throw std::runtime_error(failure);
  const std::chrono::duration<double> length = steady_clock::now() - begin;

  int all = 0;
  for (int i = 0; i < phases; ++i) {
    for (const machine* each : {&a, &b}) all += each->at(i).by_redis + each->at(i).by_itself;
  }
  // Redis, which once lost what it knew, and the machines by themselves.
  const double by_redis = 2 * burst + rate * length.count();
  const double promised = by_redis + burst + rate * length.count();
  std::printf(
      "\nadmitted in %.1f s: %d; the limit, had Redis always been there: %.0f; promised with the fallback: %.0f\n",
      length.count(), all, burst + rate * length.count(), promised);
  return all <= promised ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
  }
}
