// A spike: 50 requests at once, each for 2 ms of work, on pools that have 5 connections open and may have 50, where
// opening one takes 150 ms. After the scenario of HikariCP's "Welcome to the jungle". Prints how many connections were
// opened for it and when the requests were done.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <latch>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <banyan/pool/connection_pool.hpp>

#include "timing.hpp"

namespace {

using namespace std::chrono_literals;

constexpr int requests = 50;
constexpr int open_before = 5;
constexpr auto opening = 150ms;
constexpr auto work = 2ms;

struct connection {
  int number = 0;
};

struct outcome {
  double opened = 0;
  double median = 0;  // ms
  double last = 0;
};

/// Who finds no idle connection opens one, as many pools do.
class opens_for_itself {
 public:
  opens_for_itself() : idle_(open_before) {}
  template <class F>
  void use(F f) {
    std::optional<connection> c;
    {
      const std::lock_guard lock{mutex_};
      if (!idle_.empty()) {
        c = idle_.back();
        idle_.pop_back();
      }
    }
    if (!c) {
      std::this_thread::sleep_for(opening);
      ++opened_;
      c = connection{};
    }
    f();
    const std::lock_guard lock{mutex_};
    idle_.push_back(*c);
  }
  [[nodiscard]] double opened() const { return opened_.load(); }

 private:
  std::mutex mutex_;
  std::vector<connection> idle_;
  std::atomic<int> opened_{0};
};

class ours {
 public:
  explicit ours(std::size_t max_opening)
      : pool_{[this] {
                if (slow_) std::this_thread::sleep_for(opening);
                return connection{};
              },
              {.min = open_before, .max = requests, .max_opening = max_opening}} {
    while (pool_.stats().idle < open_before) std::this_thread::sleep_for(1ms);
    slow_ = true;
  }
  template <class F>
  void use(F f) {
    if (auto c = pool_.acquire()) f();
  }
  [[nodiscard]] double opened() const {
    const auto s = pool_.stats();
    return static_cast<double>(s.created + s.opening) - open_before;
  }

 private:
  std::atomic<bool> slow_{false};
  banyan::connection_pool<connection> pool_;
};

template <class Pool>
outcome spike(Pool& pool) {
  std::latch go{requests + 1};
  std::vector<double> done(requests);
  double begin = 0;
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < requests; ++i) {
      all.emplace_back([&, i] {
        go.arrive_and_wait();
        pool.use([] { std::this_thread::sleep_for(work); });
        done[static_cast<std::size_t>(i)] = bench::seconds_of(CLOCK_MONOTONIC);
      });
    }
    begin = bench::seconds_of(CLOCK_MONOTONIC);
    go.arrive_and_wait();
  }
  for (double& each : done) each = (each - begin) * 1e3;
  return {pool.opened(), bench::median(done), *std::max_element(done.begin(), done.end())};
}

template <class Make>
void print(const char* name, Make make) {
  std::vector<double> opened, medians, lasts;
  for (int round = 0; round < 5; ++round) {
    auto pool = make();
    const outcome o = spike(*pool);
    opened.push_back(o.opened);
    medians.push_back(o.median);
    lasts.push_back(o.last);
  }
  std::printf("%-34s %8.0f %12.1f %10.1f\n", name, bench::median(opened), bench::median(medians), bench::median(lasts));
}

}  // namespace

int main() {
  std::printf("%-34s %8s %12s %10s\n", "", "opened", "median ms", "last ms");
  for (const std::size_t most : {std::size_t{1}, std::size_t{2}, std::size_t{10}}) {
    print(("connection_pool, max_opening " + std::to_string(most)).c_str(),
          [=] { return std::make_unique<ours>(most); });
  }
  print("each opens when none is idle", [] { return std::make_unique<opens_for_itself>(); });
}
