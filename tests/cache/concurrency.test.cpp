#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/cache.hpp>

#include "cache/every_policy.hpp"
#include "support/catch.hpp"
#include "support/history.hpp"
#include "support/linearizability.hpp"
#include "support/models.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::removal_cause;
using banyan::testing::derived_seed;
using banyan::testing::random_source;
using banyan::testing::stop_mode;

#if defined(__SANITIZE_THREAD__)
constexpr int effort = 1;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr int effort = 1;
#else
constexpr int effort = 4;
#endif
#else
constexpr int effort = 4;
#endif

template <class Work>
void in_threads(std::size_t count, Work work) {
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

using op = banyan::testing::keyed_operation<int, int>;
using answer = banyan::testing::keyed_result<int>;

// Rounds of short histories over few keys, each checked key by key against a model of what is promised.
template <class Policy, class Model>
void check_histories(const Model& model, std::uint64_t capacity, int keys, int rounds, const char* name) {
  constexpr std::size_t threads = 3;
  constexpr std::size_t calls = 150;
  for (std::uint64_t round = 0; round < static_cast<std::uint64_t>(rounds); ++round) {
    const std::uint64_t seed = derived_seed(name, round);
    CAPTURE(seed, round, capacity);
    banyan::basic_cache<int, int, Policy> cache{{.capacity = capacity, .seed = seed}};
    banyan::testing::history_recorder<op, answer> recorder{threads, calls};
    std::atomic<int> next_value{1};
    std::atomic<std::size_t> ready{0};
    in_threads(threads, [&](std::size_t t) {
      random_source random{seed + t};
      ready.fetch_add(1);
      while (ready.load() != threads) std::this_thread::yield();
      for (std::size_t i = 0; i < calls; ++i) {
        const int key = static_cast<int>(random.below(static_cast<std::uint64_t>(keys)));
        const int value = next_value.fetch_add(1, std::memory_order_relaxed);
        switch (random.below(8)) {
          case 0:
          case 1:
            recorder.record(t, op::put(key, value), [&] {
              cache.put(key, value);
              return answer::done();
            });
            break;
          case 2:
            recorder.record(t, op::erase(key), [&] { return answer::flag(cache.erase(key)); });
            break;
          case 3:
            recorder.record(t, op::put_if_absent(key, value),
                            [&] { return answer::flag(cache.put_if_absent(key, value)); });
            break;
          case 4:
            recorder.record(t, op::exchange(key, value), [&] {
              std::optional<int> before;
              cache.compute(key, [&](const int* seen) {
                before = seen != nullptr ? std::optional<int>{*seen} : std::nullopt;
                return std::optional<int>{value};
              });
              return answer::value(before);
            });
            break;
          default:
            recorder.record(t, op::get(key), [&] { return answer::value(cache.get(key)); });
            break;
        }
      }
    });
    const auto report = check_by_key(model, recorder.calls(), [](const op& o) { return o.key; });
    INFO(report.explanation);
    REQUIRE(report.linearizable());
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("operations on one key are linearizable", "", banyan::testing::one_policy_of_each_kind) {
  const banyan::testing::cache_model<int, int> may_evict;
  check_histories<TestType>(may_evict, 64, 3, 10 * effort, "linearizable, roomy");
  check_histories<TestType>(may_evict, 2, 3, 10 * effort, "linearizable, tight");
  check_histories<TestType>(may_evict, 1, 3, 10 * effort, "linearizable, one");
}

TEMPLATE_LIST_TEST_CASE("without evictions the cache is a linearizable map", "",
                        banyan::testing::one_policy_of_each_kind) {
  check_histories<TestType>(banyan::testing::map_model<int, int>{}, 64, 2, 4 * effort, "cache as a map");
}

TEMPLATE_LIST_TEST_CASE("compute loses no increment", "", banyan::testing::one_policy_of_each_kind) {
  banyan::basic_cache<std::string, std::uint64_t, TestType> cache{{.capacity = 16}};
  constexpr std::uint64_t each = 3000 * effort;
  in_threads(4, [&](std::size_t t) {
    for (std::uint64_t i = 0; i < each; ++i) {
      cache.compute((t + i) % 2 == 0 ? "even" : "odd", [](const std::uint64_t* count) {
        return std::optional<std::uint64_t>{count != nullptr ? *count + 1 : 1};
      });
    }
  });
  CHECK(cache.get("even").value_or(0) + cache.get("odd").value_or(0) == 4 * each);
  CHECK(cache.size() == 2);
}

namespace {

// Values that say who they are, and a ledger of who came and who left.
class ledger {
 public:
  explicit ledger(std::size_t most) : left_(most), accepted_(most) {}

  // Numbers are given out by one thread each, from blocks of its own.
  void accepted(std::uint64_t id) { accepted_[id].store(1, std::memory_order_relaxed); }
  void left(std::uint64_t id) { left_[id].fetch_add(1, std::memory_order_relaxed); }
  std::size_t size() const { return left_.size(); }
  int times_left(std::uint64_t id) const { return left_[id].load(std::memory_order_relaxed); }
  bool was_accepted(std::uint64_t id) const { return accepted_[id].load(std::memory_order_relaxed) != 0; }

 private:
  std::vector<std::atomic<std::uint8_t>> left_;
  std::vector<std::atomic<std::uint8_t>> accepted_;
};

struct numbered {
  std::uint64_t id = 0;
  std::string text;  // so that a node read too late is noticed by the sanitizers
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("every entry that leaves is reported exactly once, and the statistics agree", "",
                        banyan::testing::every_policy) {
  using cache_type =
      banyan::basic_cache<std::string, numbered, TestType, banyan::seeded_hash, std::equal_to<>, banyan::manual_clock>;
  constexpr std::size_t threads = 4;
  constexpr std::uint64_t each = 2500 * effort;
  const std::uint64_t seed = derived_seed("exactly once");
  CAPTURE(seed);
  ledger book{threads * each};
  std::array<std::atomic<std::uint64_t>, 6> by_cause{};
  std::atomic<std::uint64_t> garbled{0};
  banyan::manual_clock::set(banyan::manual_clock::time_point{std::chrono::hours{1}});
  cache_type cache{{.capacity = 40,
                    .idle_ttl = std::chrono::milliseconds{50},
                    .seed = seed,
                    .removal_listener = [&](const std::string& key, const numbered& value, removal_cause cause) {
                      if (value.text != key + " as a value") garbled.fetch_add(1);
                      book.left(value.id);
                      by_cause[static_cast<std::size_t>(cause)].fetch_add(1);
                    }}};
  std::atomic<std::uint64_t> lookups{0};
  std::atomic<std::uint64_t> hits{0};
  in_threads(threads, [&](std::size_t t) {
    random_source random{seed + t};
    std::uint64_t own_lookups = 0;
    std::uint64_t own_hits = 0;
    for (std::uint64_t i = 0; i < each; ++i) {
      const std::uint64_t id = t * each + i;
      const std::string key = "a key of some length, number " + std::to_string(random.below(100));
      numbered value{id, key + " as a value"};
      switch (random.below(16)) {
        case 0:
        case 1:
        case 2:
        case 3:
          book.accepted(id);  // also if refused: that is told too
          cache.put(key, std::move(value), {.weight = random.chance(1, 8) ? 1 + random.below(60) : 1});
          break;
        case 4:
          if (cache.put_if_absent(key, std::move(value))) book.accepted(id);
          break;
        case 5:
          cache.erase(key);
          break;
        case 6: {
          bool last = false;
          cache.compute(key, [&](const numbered*) {
            last = !random.chance(1, 4);
            return last ? std::optional<numbered>{value} : std::nullopt;
          });
          if (last) book.accepted(id);
          break;
        }
        case 7:
          // Expired at once.
          book.accepted(id);
          cache.put(key, std::move(value), {.ttl = std::chrono::nanoseconds{0}});
          break;
        case 8:
          banyan::manual_clock::advance(std::chrono::milliseconds{random.below(10)});
          break;
        case 9:
          if (random.chance(1, 20)) {
            cache.clear();
          } else if (random.chance(1, 10)) {
            cache.erase_if([&](const std::string&, const numbered& v) { return v.id % 2 == 0; });
          } else {
            cache.purge_expired(3);
          }
          break;
        default:
          ++own_lookups;
          if (cache.visit(key, [&](const numbered& v) {
                if (v.text != key + " as a value") garbled.fetch_add(1);
              })) {
            ++own_hits;
          }
          break;
      }
    }
    lookups.fetch_add(own_lookups);
    hits.fetch_add(own_hits);
  });
  CHECK(garbled.load() == 0);
  const banyan::cache_stats stats = cache.stats();
  CHECK(stats.hits == hits.load());
  CHECK(stats.hits + stats.misses == lookups.load());
  CHECK(stats.evictions == by_cause[static_cast<std::size_t>(removal_cause::evicted)].load());
  CHECK(stats.expirations == by_cause[static_cast<std::size_t>(removal_cause::expired)].load());
  CHECK(stats.rejections == by_cause[static_cast<std::size_t>(removal_cause::rejected)].load());
  for (const std::atomic<std::uint64_t>& count : by_cause) CHECK(count.load() != 0);
  CHECK(stats.listener_failures == 0);
  CHECK(cache.size() <= 40);

  // Nobody is inside any more: what has not left must be there. Time stands still, so nothing expires meanwhile.
  cache.purge_expired();
  std::vector<int> there(book.size());
  std::size_t entries = 0;
  cache.for_each([&](const std::string&, const numbered& value) {
    ++there[value.id];
    ++entries;
  });
  CHECK(entries == cache.size());
  std::uint64_t wrong = 0;
  for (std::uint64_t id = 0; id < book.size(); ++id) {
    if (book.times_left(id) + there[id] != (book.was_accepted(id) ? 1 : 0)) ++wrong;
  }
  CHECK(wrong == 0);
  // The weight is that of the entries: with all gone, nothing is left of it.
  CHECK(cache.stats().weight <= 40);
  cache.clear();
  CHECK(cache.stats().weight == 0);
  CHECK(cache.size() == 0);
}

TEMPLATE_LIST_TEST_CASE("strings under the fire of all operations", "", banyan::testing::every_policy) {
  // For the sanitizers: more keys than places, values that live on the heap, few chains.
  for (const std::uint64_t capacity : {1U, 3U, 200U}) {
    const std::uint64_t seed = derived_seed("strings", capacity);
    CAPTURE(seed, capacity);
    banyan::basic_cache<std::string, std::string, TestType> cache{{.capacity = capacity, .seed = seed}};
    std::atomic<std::uint64_t> wrong{0};
    in_threads(4, [&](std::size_t t) {
      random_source random{seed + t};
      for (int i = 0; i < 1500 * effort; ++i) {
        const std::string key = "key number " + std::to_string(random.below(2 * capacity + 8)) + " of a test";
        switch (random.below(8)) {
          case 0:
          case 1:
            cache.put(key, "the value of " + key);
            break;
          case 2:
            cache.erase(key);
            break;
          case 3:
            if (cache.get_or_load(key, [](const std::string& k) { return "the value of " + k; }) !=
                "the value of " + key) {
              wrong.fetch_add(1);
            }
            break;
          case 4:
            if (random.chance(1, 30)) {
              cache.for_each([&](const std::string& k, const std::string& v) {
                if (v != "the value of " + k) wrong.fetch_add(1);
              });
            }
            break;
          default:
            if (const auto value = cache.get(key); value && *value != "the value of " + key) wrong.fetch_add(1);
            break;
        }
      }
    });
    CHECK(wrong.load() == 0);
    CHECK(cache.size() <= capacity);
    std::size_t entries = 0;
    cache.for_each([&](const std::string&, const std::string&) { ++entries; });
    CHECK(entries == cache.size());
    CHECK(cache.stats().weight == entries);
    for (int i = 0; i < 400; ++i) REQUIRE(cache.put(std::to_string(i), "after"));  // as usable as ever
    CHECK(cache.size() == capacity);
  }
}

namespace {

// A thread may be stopped at any instruction: nothing in here allocates.
template <class Cache>
void one_of_all(Cache& cache, random_source& random, std::uint64_t keys) {
  const std::uint64_t key = random.below(keys);
  switch (random.below(10)) {
    case 0:
      cache.erase(key);
      break;
    case 1:
      cache.compute(key, [](const std::uint64_t* v) { return std::optional<std::uint64_t>{v != nullptr ? *v : 1}; });
      break;
    case 2:
      cache.put_if_absent(key, key);
      break;
    case 3:
    case 4:
    case 5:
      static_cast<void>(cache.get(key));
      break;
    default:
      cache.put(key, key);
      break;
  }
}

struct stop_plan {
  std::uint64_t capacity;
  stop_mode mode;
  std::size_t workers;
  std::uint64_t operations;  // in each round
  std::size_t rounds;
};

template <class Policy>
void check_stops(const stop_plan& plan) {
  const std::uint64_t seed = derived_seed("stops", plan.capacity * 8 + static_cast<std::uint64_t>(plan.mode));
  CAPTURE(seed, plan.capacity, static_cast<int>(plan.mode), plan.workers, plan.operations);
  banyan::basic_cache<std::uint64_t, std::uint64_t, Policy> cache{{.capacity = plan.capacity, .seed = seed}};
  std::vector<random_source> random;
  for (std::size_t i = 0; i < plan.workers; ++i) random.emplace_back(seed + i);
  std::uint64_t largest = 0;
  const auto result = banyan::testing::stop_a_thread(
      {.workers = plan.workers,
       .mode = plan.mode,
       .rounds = plan.rounds * effort,
       .at_most = std::chrono::milliseconds{300},
       .operations = plan.operations,
       .seed = seed},
      [&](std::size_t worker) { one_of_all(cache, random[worker], 3 * plan.capacity + 5); },
      [&] {
        largest = std::max<std::uint64_t>(largest, cache.size());
        return cache.size() <= plan.capacity + plan.workers;
      });
  INFO(result.describe());
  INFO("largest " << largest);
  REQUIRE(result.passed());
  CHECK(cache.size() <= plan.capacity);
  std::size_t entries = 0;
  cache.for_each([&](std::uint64_t, std::uint64_t) { ++entries; });
  CHECK(entries == cache.size());
  CHECK(cache.stats().weight == entries);
  CHECK(cache.stats().rejections == 0);  // there was always a place
  for (std::uint64_t i = 0; i < 5000; ++i) REQUIRE(cache.put(i, i));
  CHECK(cache.size() == plan.capacity);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("whoever stops anywhere, the others go on and keep to the capacity", "",
                        banyan::testing::every_policy) {
  // Long rounds: a slot or a node lost with each put behind a stopped thread would be missed.
  check_stops<TestType>({.capacity = 1, .mode = stop_mode::one, .workers = 3, .operations = 300, .rounds = 40});
  check_stops<TestType>({.capacity = 2, .mode = stop_mode::several, .workers = 4, .operations = 100, .rounds = 40});
  check_stops<TestType>(
      {.capacity = 64, .mode = stop_mode::all_but_one, .workers = 4, .operations = 2000, .rounds = 20});
  check_stops<TestType>({.capacity = 64, .mode = stop_mode::several, .workers = 4, .operations = 50, .rounds = 60});
}

TEMPLATE_LIST_TEST_CASE("one thread that never comes back costs the others nothing", "",
                        banyan::testing::every_policy) {
  check_stops<TestType>(
      {.capacity = 2, .mode = stop_mode::one_throughout, .workers = 3, .operations = 3000, .rounds = 5});
  check_stops<TestType>(
      {.capacity = 64, .mode = stop_mode::one_throughout, .workers = 3, .operations = 3000, .rounds = 5});
}
