// What a read's pick and giving it back cost beside the balancing policy's own pick among as many endpoints, when all
// replicas have what is asked for, half of them, one, or none; and what a report costs. Contenders take turns; the
// figures are medians of the rounds, in nanoseconds of processor time, and `over` is the median of the differences.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <banyan/balance/balancer.hpp>
#include <banyan/balance/peak_ewma.hpp>
#include <banyan/balance/power_of_two.hpp>
#include <banyan/replica/replica_set.hpp>

#include "timing.hpp"

namespace {

using namespace std::chrono_literals;
using bench::median;
using bench::seconds_of;

constexpr int rounds = 31;

template <class Function>
double nanoseconds_each(int times, Function function) {
  const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < times; ++i) function();
  return (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start) / times * 1e9;
}

template <class Policy>
void compare(const char* policy, std::size_t replicas, const char* who, std::size_t eligible,
             const banyan::consistency_level& level = banyan::read_your_writes) {
  const auto now = banyan::steady_clock::now();
  banyan::cluster<int> plain;
  for (std::size_t i = 0; i < replicas; ++i) plain.add(static_cast<int>(i));
  banyan::balancer<int, Policy> balancer{plain};
  banyan::replica_set<int, Policy> users{{.max_lag = 1h, .primary_share = 1}};
  users.add_primary(0);
  std::vector<banyan::endpoint_id> ids;
  for (std::size_t i = 0; i < replicas; ++i) ids.push_back(users.add_replica(static_cast<int>(i)));
  // Those that have it are spread over all.
  for (std::size_t i = 0; i < replicas; ++i) {
    const bool has = i * eligible / replicas != (i + 1) * eligible / replicas;
    users.report(ids[i], {.position = has ? 100U : 99U, .lag = 1ms}, now);
  }
  banyan::consistency_token session;
  session.read_at(100);
  const banyan::read_options options{.consistency = level};
  std::uint64_t elsewhere = 0;
  const auto pick = [&] {
    auto token = balancer.pick({}, now);
    token.succeeded(1ms, now);
  };
  const auto read = [&] {
    auto token = users.read(session, options, now);
    if (token.outcome() != banyan::read_outcome::replica) ++elsewhere;
    token.succeeded(1ms, now);
  };
  std::vector<double> picks;
  std::vector<double> reads;
  std::vector<double> over;
  const int times = replicas > 100 && eligible == 0 ? 2'000 : 20'000;
  for (int i = 0; i < rounds; ++i) {
    picks.push_back(nanoseconds_each(times, pick));
    reads.push_back(nanoseconds_each(times, read));
    over.push_back(reads.back() - picks.back());
  }
  std::printf("| `%s` | %zu | %s | %.0f | %.0f | %.0f |\n", policy, replicas, who, median(picks), median(reads),
              median(over));
  if ((elsewhere != 0) != (eligible == 0))
    std::printf("  (%llu reads went elsewhere)\n", static_cast<unsigned long long>(elsewhere));
}

void measure_reports() {
  for (const std::size_t replicas : {std::size_t{3}, std::size_t{1000}}) {
    banyan::replica_set<int, banyan::power_of_two> users;
    std::vector<banyan::endpoint_id> ids;
    for (std::size_t i = 0; i < replicas; ++i) ids.push_back(users.add_replica(static_cast<int>(i)));
    auto now = banyan::steady_clock::now();
    std::uint64_t position = 1;
    std::vector<double> costs;
    for (int i = 0; i < rounds; ++i) {
      costs.push_back(nanoseconds_each(20'000, [&] {
        now += 1us;
        users.report(ids[position % replicas], {.position = position, .lag = 1ms}, now);
        ++position;
      }));
    }
    std::printf("| %zu | %.0f |\n", replicas, median(costs));
  }
}

template <class Policy>
void compare_all(const char* policy) {
  for (const std::size_t replicas : {std::size_t{3}, std::size_t{100}, std::size_t{1000}}) {
    compare<Policy>(policy, replicas, "all", replicas);
    compare<Policy>(policy, replicas, "half", (replicas + 1) / 2);
    compare<Policy>(policy, replicas, "one", 1);
    compare<Policy>(policy, replicas, "none", 0);
    compare<Policy>(policy, replicas, "none, by time", 0, banyan::bounded_staleness(0ms));
  }
}

}  // namespace

int main() {
  std::printf("| policy | replicas | have it | pick, ns | read, ns | over, ns |\n|---|---:|---|---:|---:|---:|\n");
  compare_all<banyan::peak_ewma>("peak_ewma");
  compare_all<banyan::power_of_two>("power_of_two");
  std::printf("\n| replicas | report, ns |\n|---:|---:|\n");
  measure_reports();
}
