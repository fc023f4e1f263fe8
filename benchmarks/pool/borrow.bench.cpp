// What borrowing and giving back cost, and how long those wait who have to, for the pool and its rivals, all in one
// run: contenders take turns, round after round; the tables give medians of the rounds. See --help.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <semaphore>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#if __has_include(<boost/lockfree/stack.hpp>)
#include <boost/lockfree/stack.hpp>
#define BENCH_HAS_BOOST 1
#endif
#if __has_include(<concurrentqueue/blockingconcurrentqueue.h>)
#include <concurrentqueue/blockingconcurrentqueue.h>
#define BENCH_HAS_CONCURRENTQUEUE 1
#endif

#include <banyan/pool/connection_pool.hpp>
#include <banyan/pool/object_pool.hpp>

#include "java_rival.hpp"
#include "pool/rivals/mutex_pool.hpp"
#include "timing.hpp"

namespace {

using namespace std::chrono_literals;

struct settings {
  int connections = 4;
  std::vector<unsigned> threads{1, 2};
  std::vector<unsigned> crowd{2, 4, 16, 64};        // threads to a connection
  std::vector<std::int64_t> holds{100'000, 2'000};  // nanoseconds a connection is kept in a crowd
  int rounds = 9;
  double seconds = 0.1;
  std::string hikari{};  // class path
};

struct crowd_figures {
  double rate = 0;
  double median_wait = 0;  // ns
  double tail_wait = 0;    // the 99.9th percentile
};

std::int64_t ticks() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// As a query does: long ones sleep, short ones compute.
constexpr std::int64_t least_sleep = 20'000;

void keep_for(std::int64_t nanoseconds) {
  if (nanoseconds >= least_sleep) {
    std::this_thread::sleep_for(std::chrono::nanoseconds{nanoseconds});
    return;
  }
  const std::int64_t end = ticks() + nanoseconds;
  while (ticks() < end) {
  }
}

class contender {
 public:
  explicit contender(std::string name) : name_{std::move(name)} {}
  contender(const contender&) = delete;
  contender& operator=(const contender&) = delete;
  virtual ~contender() = default;

  /// Borrows a second, of all threads.
  virtual double borrow(unsigned threads, double seconds) = 0;
  /// Nothing where nobody can wait.
  virtual std::optional<crowd_figures> crowd(unsigned threads, double seconds, std::int64_t hold) = 0;

  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string name_;
};

/// `Pool` gives `use(f)`: borrows, calls `f()`, gives back.
template <class Pool, bool Waits = true>
class in_process final : public contender {
 public:
  template <class... Args>
  explicit in_process(std::string name, Args&&... args)
      : contender{std::move(name)}, pool_{std::forward<Args>(args)...} {}

  double borrow(unsigned threads, double seconds) override {
    std::vector<double> rates(threads);
    run(threads, seconds, [&](unsigned t, const std::atomic<bool>& stop) {
      const double begin = bench::seconds_of(CLOCK_MONOTONIC);
      std::uint64_t count = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        for (int i = 0; i < 64; ++i) pool_.use([] {});
        count += 64;
      }
      rates[t] = static_cast<double>(count) / (bench::seconds_of(CLOCK_MONOTONIC) - begin);
    });
    double sum = 0;
    for (const double rate : rates) sum += rate;
    return sum;
  }

  std::optional<crowd_figures> crowd(unsigned threads, double seconds, std::int64_t hold) override {
    if constexpr (!Waits) return std::nullopt;
    std::vector<std::vector<std::int64_t>> waits(threads);
    std::vector<double> rates(threads);
    run(threads, seconds, [&](unsigned t, const std::atomic<bool>& stop) {
      waits[t].reserve(200'000);
      std::uint64_t count = 0;
      const double begin = bench::seconds_of(CLOCK_MONOTONIC);
      while (!stop.load(std::memory_order_relaxed)) {
        const std::int64_t asked = ticks();
        pool_.use([&] {
          if (waits[t].size() < 200'000) waits[t].push_back(ticks() - asked);
          keep_for(hold);
        });
        ++count;
      }
      rates[t] = static_cast<double>(count) / (bench::seconds_of(CLOCK_MONOTONIC) - begin);
    });
    std::vector<std::int64_t> all;
    for (const auto& each : waits) all.insert(all.end(), each.begin(), each.end());
    std::sort(all.begin(), all.end());
    crowd_figures result;
    for (const double rate : rates) result.rate += rate;
    result.median_wait = static_cast<double>(all[all.size() / 2]);
    result.tail_wait = static_cast<double>(all[static_cast<std::size_t>(static_cast<double>(all.size() - 1) * 0.999)]);
    return result;
  }

 private:
  template <class Work>
  static void run(unsigned threads, double seconds, Work work) {
    std::atomic<bool> stop{false};
    std::latch ready{static_cast<std::ptrdiff_t>(threads) + 1};
    std::vector<std::jthread> running;
    for (unsigned t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        ready.arrive_and_wait();
        work(t, stop);
      });
    }
    ready.arrive_and_wait();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    stop.store(true, std::memory_order_relaxed);
  }

  Pool pool_;
};

struct connection {
  int number = 0;
};

banyan::pool_options<connection> options_for(int connections, banyan::idle_order order,
                                             banyan::pool_fairness fairness) {
  banyan::pool_options<connection> o;
  o.min = o.max = static_cast<std::size_t>(connections);
  o.order = order;
  o.fairness = fairness;
  return o;
}

struct ours {
  explicit ours(banyan::pool_options<connection> o) : pool{[] { return connection{}; }, std::move(o)} { warm(); }

  void warm() {
    while (pool.stats().created < static_cast<std::uint64_t>(pool.stats().idle + pool.stats().opening) ||
           pool.stats().opening != 0) {
      std::this_thread::sleep_for(1ms);
    }
  }
  template <class F>
  void use(F f) {
    auto c = pool.acquire();
    if (!c) std::abort();
    f();
  }
  banyan::connection_pool<connection> pool;
};

struct our_objects {
  explicit our_objects(int count) : pool{[] { return connection{}; }, {.max = static_cast<std::size_t>(count)}} {}
  template <class F>
  void use(F f) {
    auto c = pool.acquire();
    if (!c) std::abort();
    f();
  }
  banyan::object_pool<connection> pool;
};

struct with_mutex {
  explicit with_mutex(int count) : pool{count} {}
  template <class F>
  void use(F f) {
    const int c = pool.acquire(30s);
    if (c < 0) std::abort();
    f();
    pool.give_back(c);
  }
  bench::mutex_pool pool;
};

// The least that two threads which share something must do: one compare-exchange to take it, one to give it back.
struct two_exchanges {
  template <class F>
  void use(F f) {
    change();
    f();
    change();
  }
  void change() {
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    while (!word.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) {
    }
  }
  alignas(64) std::atomic<std::uint64_t> word{0};
};

#if defined(BENCH_HAS_BOOST)
struct boost_stack {
  explicit boost_stack(int count) : stack(static_cast<std::size_t>(count)) {
    for (int i = 0; i < count; ++i) stack.push(i);
  }
  template <class F>
  void use(F f) {
    int c = 0;
    while (!stack.pop(c)) std::this_thread::yield();
    f();
    stack.push(c);
  }
  boost::lockfree::stack<int> stack;
};
#endif

#if defined(BENCH_HAS_CONCURRENTQUEUE)
struct blocking_queue {
  explicit blocking_queue(int count) {
    for (int i = 0; i < count; ++i) queue.enqueue(i);
  }
  template <class F>
  void use(F f) {
    int c = 0;
    queue.wait_dequeue(c);
    f();
    queue.enqueue(c);
  }
  moodycamel::BlockingConcurrentQueue<int> queue;
};
#endif

class hikari final : public contender {
 public:
  hikari(const std::string& class_path, int connections)
      : contender{"HikariCP"},
        java_{std::string{__FILE__}.substr(0, std::string_view{__FILE__}.rfind('/') + 1) + "rivals/HikariRival.java",
              class_path,
              {"-XX:+UseParallelGC"},
              {std::to_string(connections)}} {
    if (java_.answer() != "ready") {
      std::fprintf(stderr, "HikariCP did not start\n");
      std::exit(1);
    }
    for (int i = 0; i < 5; ++i) (void)borrow(1, 1.0);  // until it is compiled
  }
  double borrow(unsigned threads, double seconds) override {
    return std::atof(java_.ask("borrow " + std::to_string(threads) + ' ' + std::to_string(seconds)).c_str());
  }
  std::optional<crowd_figures> crowd(unsigned threads, double seconds, std::int64_t hold) override {
    std::istringstream line{
        java_.ask("crowd " + std::to_string(threads) + ' ' + std::to_string(seconds) + ' ' + std::to_string(hold))};
    crowd_figures result;
    line >> result.rate >> result.median_wait >> result.tail_wait;
    return result;
  }

 private:
  bench::java_rival java_;
};

std::vector<std::unique_ptr<contender>> all_contenders(const settings& wanted) {
  const int n = wanted.connections;
  std::vector<std::unique_ptr<contender>> all;
  all.push_back(std::make_unique<in_process<ours>>(
      "connection_pool", options_for(n, banyan::idle_order::lifo, banyan::pool_fairness::fifo)));
  all.push_back(std::make_unique<in_process<ours>>(
      "... barging", options_for(n, banyan::idle_order::lifo, banyan::pool_fairness::barging)));
  all.push_back(std::make_unique<in_process<ours>>(
      "... oldest first", options_for(n, banyan::idle_order::fifo, banyan::pool_fairness::fifo)));
  all.push_back(std::make_unique<in_process<our_objects>>("object_pool", n));
  all.push_back(std::make_unique<in_process<with_mutex>>("mutex, condition", n));
#if defined(BENCH_HAS_CONCURRENTQUEUE)
  all.push_back(std::make_unique<in_process<blocking_queue>>("concurrentqueue", n));
#endif
#if defined(BENCH_HAS_BOOST)
  all.push_back(std::make_unique<in_process<boost_stack, false>>("boost stack", n));
#endif
  all.push_back(std::make_unique<in_process<two_exchanges, false>>("two exchanges"));
  if (!wanted.hikari.empty()) all.push_back(std::make_unique<hikari>(wanted.hikari, n));
  return all;
}

void print_borrows(const std::vector<std::unique_ptr<contender>>& all, unsigned threads, const settings& wanted) {
  std::vector<std::vector<double>> rates(all.size());
  for (int round = 0; round < wanted.rounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) rates[i].push_back(all[i]->borrow(threads, wanted.seconds));
  }
  const auto mutex = static_cast<std::size_t>(
      std::find_if(all.begin(), all.end(), [](const auto& c) { return c->name().starts_with("mutex"); }) - all.begin());
  std::printf("borrow and give back, %d connections, %u thread%s\n", wanted.connections, threads,
              threads == 1 ? "" : "s");
  std::printf("%-18s %10s %18s\n", "", "ns each", "times the mutex's");
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < rates[i].size(); ++r) ratios.push_back(rates[i][r] / rates[mutex][r]);
    std::printf("%-18s %10.1f %18.2f\n", all[i]->name().c_str(), threads * 1e9 / bench::median(rates[i]),
                bench::median(ratios));
  }
  std::printf("\n");
}

void print_crowd(const std::vector<std::unique_ptr<contender>>& all, unsigned factor, std::int64_t hold,
                 const settings& wanted) {
  const unsigned threads = factor * static_cast<unsigned>(wanted.connections);
  std::printf("%u threads for %d connections, each kept for %lld ns, %s\n", threads, wanted.connections,
              static_cast<long long>(hold), hold >= least_sleep ? "asleep" : "computing");
  std::printf("%-18s %12s %12s %14s %12s\n", "", "borrows/s", "median us", "99.9th pct us", "its ratio");
  std::vector<std::vector<crowd_figures>> figures(all.size());
  for (int round = 0; round < wanted.rounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (const auto f = all[i]->crowd(threads, 5 * wanted.seconds, hold)) figures[i].push_back(*f);
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (figures[i].empty()) continue;
    std::vector<double> rates, medians, tails, ratios;
    for (const crowd_figures& f : figures[i]) {
      rates.push_back(f.rate);
      medians.push_back(f.median_wait);
      tails.push_back(f.tail_wait);
      ratios.push_back(f.tail_wait / f.median_wait);
    }
    std::printf("%-18s %12.0f %12.1f %14.1f %12.1f\n", all[i]->name().c_str(), bench::median(rates),
                bench::median(medians) / 1e3, bench::median(tails) / 1e3, bench::median(ratios));
  }
  std::printf("\n");
}

[[noreturn]] void usage(int code) {
  std::fprintf(
      code == 0 ? stdout : stderr,
      "banyan_bench_pool_borrow [--connections N] [--rounds N] [--seconds S] [--hold NS] [--only-borrow]\n"
      "                         [--hikari CLASSPATH]\n"
      "  --hikari  HikariCP.jar and slf4j-api.jar, slf4j-nop.jar, as Debian's libhikaricp-java has them; needs a\n"
      "            JDK:  /usr/share/java/HikariCP.jar:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-nop.jar\n");
  std::exit(code);
}

}  // namespace

int main(int argc, char** argv) {
  settings wanted;
  bool only_borrow = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help") usage(0);
    if (name == "--only-borrow") {
      only_borrow = true;
      continue;
    }
    if (i + 1 == argc) usage(2);
    const char* const value = argv[++i];
    if (name == "--connections") {
      wanted.connections = std::max(1, std::atoi(value));
    } else if (name == "--rounds") {
      wanted.rounds = std::max(1, std::atoi(value));
    } else if (name == "--seconds") {
      wanted.seconds = std::max(0.001, std::atof(value));
    } else if (name == "--hold") {
      wanted.holds = {std::max(0, std::atoi(value))};
    } else if (name == "--hikari") {
      wanted.hikari = value;
    } else {
      usage(2);
    }
  }
  const auto all = all_contenders(wanted);
  for (const unsigned threads : wanted.threads) print_borrows(all, threads, wanted);
  if (only_borrow) return 0;
  for (const std::int64_t hold : wanted.holds) {
    for (const unsigned factor : wanted.crowd) print_crowd(all, factor, hold, wanted);
  }
}
