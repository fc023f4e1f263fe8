#include <banyan/shard/scatter_gather.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/core/executor.hpp>
#include <banyan/shard/hash_router.hpp>
#include <banyan/shard/range_router.hpp>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::gather_fault;
using banyan::shard_id;
using banyan::steady_clock;
using rows = banyan::expected<std::vector<std::string>, int>;

rows echo(shard_id shard, std::span<const int> keys) {
  std::vector<std::string> found;
  for (const int key : keys) found.push_back(std::to_string(shard) + ":" + std::to_string(key));
  return found;
}

// Keeps tasks until it is told to run or to drop them.
struct held_tasks {
  void execute(banyan::task work) { waiting.push_back(std::move(work)); }
  void run_all() {
    while (!waiting.empty()) {
      banyan::task next = std::move(waiting.front());
      waiting.pop_front();
      next();
    }
  }
  std::deque<banyan::task> waiting{};
};

TEST_CASE("answers come in the order of the keys, whatever the shards") {
  const auto router = banyan::hash_router<int>::modulo(5);
  banyan::testing::random_source random{banyan::testing::derived_seed("scatter")};
  std::vector<int> keys;
  for (int i = 0; i < 300; ++i) keys.push_back(static_cast<int>(random.below(200)));  // some of them twice
  std::atomic<int> calls{0};
  const auto all =
      banyan::scatter_gather(router, keys, banyan::thread_executor{}, [&](shard_id shard, std::span<const int> mine) {
        ++calls;
        return echo(shard, mine);
      });
  REQUIRE(all.complete());
  REQUIRE(all.values.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CHECK(*all.values[i] == std::to_string(router.route(keys[i])) + ":" + std::to_string(keys[i]));
  }
  CHECK(calls == 5);
  CHECK(all.shards.size() == 5);
  std::size_t asked = 0;
  for (const auto& each : all.shards) asked += each.keys;
  CHECK(asked == 300);

  const auto none = banyan::scatter_gather(router, std::vector<int>{}, banyan::inline_executor{}, echo);
  CHECK(none.complete());
  CHECK(none.values.empty());
  CHECK(none.shards.empty());
  // Only shards with keys are asked.
  const auto one = banyan::scatter_gather(router, std::vector<int>{7, 7}, banyan::inline_executor{}, echo);
  CHECK(one.shards.size() == 1);
  CHECK(one.shards[0].keys == 2);
  CHECK(*one.values[0] == *one.values[1]);
}

TEST_CASE("each shard fails for itself") {
  const banyan::range_router<double> router{{1, 2, 3, 4}};
  const std::vector<double> keys{3.5, 0.5, 4.5, std::nan(""), 1.5, 2.5, 0.25};
  const auto call = [](shard_id shard, std::span<const double> mine) -> banyan::expected<std::vector<double>, int> {
    if (shard == 1) return banyan::unexpected{42};
    if (shard == 2) throw std::runtime_error{"no"};
    if (shard == 3) return std::vector<double>(mine.size() + 1);
    return std::vector<double>(mine.begin(), mine.end());
  };
  const auto all = banyan::scatter_gather(router, keys, banyan::inline_executor{}, call);
  CHECK_FALSE(all.complete());
  CHECK(all.values[0].error().fault == gather_fault::wrong_size);
  CHECK(*all.values[1] == 0.5);
  CHECK(*all.values[2] == 4.5);
  CHECK(all.values[3].error().fault == gather_fault::unrouted);
  CHECK(all.values[4].error().fault == gather_fault::failed);
  CHECK(*all.values[4].error().cause == 42);
  CHECK(all.values[5].error().fault == gather_fault::threw);
  CHECK_THROWS_AS(std::rethrow_exception(all.values[5].error().thrown), std::runtime_error);
  CHECK(*all.values[6] == 0.25);
  REQUIRE(all.shards.size() == 5);
  CHECK_FALSE(all.shards[0].error.has_value());
  CHECK(all.shards[0].keys == 2);
  CHECK(all.shards[3].error->fault == gather_fault::wrong_size);
}

TEST_CASE("a deadline leaves behind what is late, and nothing dangles") {
  const auto router = banyan::hash_router<int>::modulo(3);
  const std::vector<int> keys{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  held_tasks held;
  const auto alive = std::make_shared<int>(7);
  std::atomic<int> calls{0};
  auto all = banyan::scatter_gather(
      router, keys, held,
      [alive, &calls](shard_id shard, std::span<const int> mine) {
        ++calls;
        return echo(shard, mine);
      },
      steady_clock::now() + 5ms);
  for (const auto& each : all.values) CHECK(each.error().fault == gather_fault::not_started);
  CHECK(alive.use_count() == 2);  // the tasks' own
  held.run_all();
  CHECK(calls == 0);  // too late to begin
  CHECK(alive.use_count() == 1);

  // One that is under way goes on with keys of its own, and is not waited for.
  std::atomic<bool> go_on{false};
  std::atomic<bool> ended{false};
  std::atomic<std::size_t> keys_seen{0};
  {
    std::vector<int> own{1, 2, 3};
    all = banyan::scatter_gather(
        banyan::hash_router<int>::modulo(1), own, banyan::thread_executor{},
        [&](shard_id shard, std::span<const int> mine) {
          while (!go_on.load()) std::this_thread::yield();
          keys_seen = mine.size() + static_cast<std::size_t>(mine[2]);
          auto found = echo(shard, mine);
          ended = true;
          return found;
        },
        steady_clock::now() + 50ms);
    own.clear();
  }
  // Whether it had begun is up to the scheduler.
  for (const auto& each : all.values) {
    const auto fault = each.error().fault;
    CHECK((fault == gather_fault::timed_out || fault == gather_fault::not_started));
  }
  go_on = true;
  if (all.values[0].error().fault == gather_fault::timed_out) {
    while (!ended.load()) std::this_thread::yield();
    CHECK(keys_seen == 6);
  }
}

TEST_CASE("tasks that an executor drops or refuses are errors, and no reason to wait") {
  const auto router = banyan::hash_router<int>::modulo(4);
  const std::vector<int> keys{1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct dropping {
    void execute(banyan::task) {}
  };
  struct refusing {
    int left;
    void execute(banyan::task work) {
      if (left-- <= 0) throw std::runtime_error{"full"};
      work();
    }
  };
  auto all = banyan::scatter_gather(router, keys, dropping{}, echo);
  for (const auto& each : all.values) CHECK(each.error().fault == gather_fault::dropped);
  all = banyan::scatter_gather(router, keys, refusing{2}, echo);
  int answered = 0;
  for (const auto& each : all.shards) answered += each.error ? 0 : 1;
  CHECK(answered == 2);
  CHECK(all.shards.back().error->fault == gather_fault::dropped);
  // Nothing is begun when the deadline is past, not even by an executor that would.
  all = banyan::scatter_gather(router, keys, refusing{9}, echo, steady_clock::time_point{});
  for (const auto& each : all.values) CHECK(each.error().fault == gather_fault::not_started);
}

TEST_CASE("scatter_to asks shards as such, also for what cannot be copied") {
  const std::vector<shard_id> shards{4, 2, 9};
  using owned = banyan::expected<std::unique_ptr<shard_id>, std::string>;
  auto all = banyan::scatter_to(shards, banyan::any_executor{banyan::inline_executor{}}, [](shard_id shard) -> owned {
    if (shard == 2) return banyan::unexpected{std::string{"down"}};
    return std::make_unique<shard_id>(shard);
  });
  REQUIRE(all.size() == 3);
  CHECK(**all[0] == 4);
  CHECK(*all[1].error().cause == "down");
  CHECK(**all[2] == 9);
  CHECK(banyan::scatter_to(std::span<const shard_id>{}, banyan::inline_executor{}, [](shard_id) -> owned {
          return nullptr;
        }).empty());
}

TEST_CASE("a failed allocation leaves nothing behind") {
  const banyan::range_router<int> router{{10, 20}};
  const std::vector<int> keys{5, 15, 25, 6};
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    const auto all = banyan::scatter_gather(router, keys, banyan::inline_executor{}, echo);
    static_cast<void>(all.complete());
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("many gatherers, deadlines and late tasks at once") {
  const auto router = banyan::hash_router<int>::modulo(4);
  std::atomic<int> wrong{0};
  const auto begun = std::make_shared<std::atomic<int>>(0);
  const auto ended = std::make_shared<std::atomic<int>>(0);
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (std::uint64_t t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        banyan::testing::random_source random{banyan::testing::derived_seed("gatherers", t)};
        for (int round = 0; round < 60; ++round) {
          const std::vector<int> keys{round, round + 1, round + 2, round + 3};
          const auto patience = std::chrono::microseconds{random.below(300)};
          const auto all = banyan::scatter_gather(
              router, keys, banyan::thread_executor{},
              [begun, ended](shard_id shard, std::span<const int> mine) {
                ++*begun;
                auto found = echo(shard, mine);
                if (shard == 0) std::this_thread::sleep_for(200us);
                ++*ended;
                return found;
              },
              steady_clock::now() + patience);
          for (std::size_t i = 0; i < keys.size(); ++i) {
            const auto& value = all.values[i];
            if (value) {
              if (*value != std::to_string(router.route(keys[i])) + ":" + std::to_string(keys[i])) ++wrong;
            } else if (value.error().fault != gather_fault::timed_out &&
                       value.error().fault != gather_fault::not_started) {
              ++wrong;
            }
          }
        }
      });
    }
  }
  while (begun->load() != ended->load()) std::this_thread::yield();
  CHECK(wrong == 0);
}

}  // namespace
