#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/cache.hpp>

#include "cache/every_policy.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using banyan::removal_cause;
using string_cache = banyan::lru_cache<std::string, int>;

template <class Work>
void in_threads(std::size_t count, Work work) {
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

void wait_until(const std::atomic<int>& word, int least) {
  while (word.load() < least) std::this_thread::yield();
}

// A load of `key` that runs on a thread of its own and lasts until `finish` is called.
class long_load {
 public:
  long_load(string_cache& cache, std::string key, int value)
      : thread_{[this, &cache, key = std::move(key), value] {
          result_ = cache.get_or_load(key, [&](const std::string&) {
            stage_.store(1);
            wait_until(stage_, 2);
            return value;
          });
        }} {
    wait_until(stage_, 1);
  }
  int finish() {
    stage_.store(2);
    thread_.join();
    return result_;
  }

 private:
  std::atomic<int> stage_{0};
  int result_ = 0;
  std::thread thread_;
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("a miss is loaded once and kept, with the options given", "",
                        banyan::testing::one_policy_of_each_kind) {
  banyan::basic_cache<std::string, int, TestType> cache{{.capacity = 4}};
  int loads = 0;
  const auto load = [&](const std::string& key) {
    ++loads;
    return static_cast<int>(key.size());
  };
  CHECK(cache.get_or_load("four", load, {.weight = 2}) == 4);
  CHECK(cache.get_or_load("four", load) == 4);
  CHECK(cache.get("four") == 4);
  CHECK(loads == 1);
  const auto stats = cache.stats();
  CHECK(stats.loads == 1);
  CHECK(stats.hits == 2);
  CHECK(stats.misses == 1);
  CHECK(stats.weight == 2);
}

TEMPLATE_LIST_TEST_CASE("many callers of one key share one load", "", banyan::testing::one_policy_of_each_kind) {
  for (int round = 0; round < 20; ++round) {
    banyan::basic_cache<std::string, std::string, TestType> cache{{.capacity = 4}};
    std::atomic<int> loads{0};
    std::atomic<int> arrived{0};
    std::atomic<int> right{0};
    in_threads(4, [&](std::size_t) {
      arrived.fetch_add(1);
      const std::string value = cache.get_or_load("key", [&](const std::string& key) {
        loads.fetch_add(1);
        wait_until(arrived, 4);
        return "the value of " + key;
      });
      if (value == "the value of key") right.fetch_add(1);
    });
    CHECK(loads.load() == 1);
    CHECK(right.load() == 4);
    CHECK(cache.stats().loads == 1);
    CHECK(cache.size() == 1);
  }
}

TEST_CASE("a load that takes its time blocks only the callers of its key") {
  string_cache cache{{.capacity = 2}};
  long_load slow{cache, "slow", 1};
  for (int i = 0; i < 100; ++i) {
    cache.put(std::to_string(i), i);  // evicts, too
    CHECK(cache.get(std::to_string(i)) == i);
  }
  CHECK(cache.get_or_load("other", [](const std::string&) { return 2; }) == 2);
  CHECK_FALSE(cache.contains("slow"));
  CHECK(cache.get("slow") == std::nullopt);
  CHECK(cache.erase_if([](const std::string&, int) { return true; }) == 2);
  CHECK(slow.finish() == 1);
  CHECK(cache.get("slow") == 1);
}

TEST_CASE("what a loader throws reaches all that wait, and the next caller loads again") {
  string_cache cache{{.capacity = 2}};
  std::atomic<int> loads{0};
  std::atomic<int> arrived{0};
  std::atomic<int> thrown{0};
  in_threads(4, [&](std::size_t) {
    arrived.fetch_add(1);
    try {
      cache.get_or_load("key", [&](const std::string&) -> int {
        loads.fetch_add(1);
        wait_until(arrived, 4);
        throw std::runtime_error{"no database"};
      });
    } catch (const std::runtime_error& error) {
      if (error.what() == std::string{"no database"}) thrown.fetch_add(1);
    }
  });
  CHECK(thrown.load() == 4);
  CHECK(loads.load() >= 1);
  CHECK(cache.stats().load_failures == static_cast<std::uint64_t>(loads.load()));
  CHECK(cache.stats().loads == 0);
  CHECK(cache.empty());
  CHECK(cache.get_or_load("key", [](const std::string&) { return 3; }) == 3);
  CHECK(cache.get("key") == 3);
}

TEMPLATE_LIST_TEST_CASE("a loader may use the cache", "", banyan::testing::one_policy_of_each_kind) {
  banyan::basic_cache<std::string, int, TestType> cache{{.capacity = 8}};
  const int value = cache.get_or_load("a", [&](const std::string&) {
    cache.put("b", 2);
    cache.erase("b");
    cache.put("c", 3);
    static_cast<void>(cache.get("a"));
    return cache.get_or_load("d", [&](const std::string&) { return cache.get("c").value() + 1; }) + 1;
  });
  CHECK(value == 5);
  CHECK(cache.get("a") == 5);
  CHECK(cache.get("d") == 4);
  CHECK(cache.size() == 3);
  CHECK(cache.stats().loads == 2);
}

TEST_CASE("a loader that asks for its own key runs by itself") {
  string_cache cache{{.capacity = 8}};
  int depth = 0;
  const std::function<int(const std::string&)> load = [&](const std::string& key) -> int {
    if (++depth == 5) return 42;
    return cache.get_or_load(key, load);
  };
  CHECK(cache.get_or_load("a", load) == 42);
  CHECK(depth == 5);
  CHECK(cache.get("a") == 42);
  CHECK(cache.size() == 1);
}

TEST_CASE("loads within loads, deeper than a thread has hazards") {
  banyan::s3fifo_cache<int, int> cache{{.capacity = 1}};
  const std::function<int(int)> sum_up_to = [&](int n) -> int {
    return cache.get_or_load(n, [&](int m) { return m == 0 ? 0 : m + sum_up_to(m - 1); });
  };
  CHECK(sum_up_to(60) == 60 * 61 / 2);
  CHECK(cache.size() == 1);
  CHECK(cache.stats().weight == 1);
}

TEST_CASE("visits within visits, deeper than a thread has hazards") {
  banyan::lru_cache<int, int> cache{{.capacity = 50}};
  for (int i = 0; i < 50; ++i) cache.put(i, i);
  int met = 0;
  const std::function<void(int)> go = [&](int n) {
    cache.visit(n, [&](const int& value) {
      cache.erase(n);
      cache.put(1000 + n, 0);
      if (n + 1 < 50) go(n + 1);
      CHECK(value == n);  // alive all the while
      ++met;
    });
  };
  go(0);
  CHECK(met == 50);
}

TEST_CASE("what is written during a load outlives it") {
  string_cache cache{{.capacity = 8}};
  SECTION("by the loader itself") {
    CHECK(cache.get_or_load("a", [&](const std::string& key) {
      cache.put(key, 7);
      return 1;
    }) == 1);
    CHECK(cache.get("a") == 7);
    CHECK(cache.get_or_load("b", [&](const std::string& key) {
      cache.put(key, 7);
      cache.erase(key);
      return 1;
    }) == 1);
    CHECK_FALSE(cache.contains("b"));
    CHECK(cache.get_or_load("c", [&](const std::string&) {
      cache.clear();
      return 1;
    }) == 1);
    CHECK(cache.empty());
    CHECK(cache.get_or_load("d", [&](const std::string& key) {
      cache.put(key, 7, {.weight = 100});  // refused, but a write
      return 1;
    }) == 1);
    CHECK_FALSE(cache.contains("d"));
  }
  SECTION("put by another thread") {
    long_load load{cache, "a", 1};
    cache.put("a", 7);
    CHECK(cache.get("a") == 7);
    CHECK(load.finish() == 1);
    CHECK(cache.get("a") == 7);
  }
  SECTION("put and evicted meanwhile") {
    long_load load{cache, "a", 1};
    cache.put("a", 7);
    for (int i = 0; i < 8; ++i) cache.put(std::to_string(i), i);
    CHECK_FALSE(cache.contains("a"));
    CHECK(load.finish() == 1);
    CHECK_FALSE(cache.contains("a"));
  }
  SECTION("put_if_absent") {
    long_load load{cache, "a", 1};
    CHECK(cache.put_if_absent("a", 7));
    CHECK(load.finish() == 1);
    CHECK(cache.get("a") == 7);
  }
  SECTION("compute") {
    long_load load{cache, "a", 1};
    CHECK(cache.compute("a", [](const int* v) { return std::optional<int>{v != nullptr ? 0 : 7}; }) == 7);
    CHECK(load.finish() == 1);
    CHECK(cache.get("a") == 7);
  }
  SECTION("compute to nothing") {
    long_load load{cache, "a", 1};
    cache.compute("a", [](const int*) { return std::optional<int>{}; });
    CHECK(load.finish() == 1);
    CHECK_FALSE(cache.contains("a"));
  }
  SECTION("erase") {
    long_load load{cache, "a", 1};
    CHECK_FALSE(cache.erase("a"));
    CHECK(load.finish() == 1);
    CHECK_FALSE(cache.contains("a"));
  }
  SECTION("clear") {
    long_load load{cache, "a", 1};
    cache.clear();
    CHECK(load.finish() == 1);
    CHECK_FALSE(cache.contains("a"));
  }
  SECTION("a second load, begun after the erase, does not wait for the first") {
    long_load load{cache, "a", 1};
    cache.erase("a");
    CHECK(cache.get_or_load("a", [](const std::string&) { return 2; }) == 2);
    CHECK(cache.get("a") == 2);
    CHECK(load.finish() == 1);
    CHECK(cache.get("a") == 2);
  }
  SECTION("another key's erase changes nothing") {
    long_load load{cache, "a", 1};
    cache.erase("b");
    CHECK(load.finish() == 1);
    CHECK(cache.get("a") == 1);
  }
  CHECK(cache.stats().weight == cache.size());
}

TEMPLATE_LIST_TEST_CASE("a loaded value that cannot stay is returned and reported", "",
                        banyan::testing::one_policy_of_each_kind) {
  std::vector<std::pair<int, removal_cause>> left;
  banyan::basic_cache<std::string, int, TestType> cache{
      {.capacity = 3, .removal_listener = [&](const std::string&, int value, removal_cause cause) {
         left.emplace_back(value, cause);
       }}};
  for (int i = 0; i < 5000; ++i) {
    CHECK(cache.get_or_load("heavy", [](const std::string&) { return 9; }, {.weight = 4}) == 9);
  }
  CHECK(left == std::vector<std::pair<int, removal_cause>>(5000, {9, removal_cause::rejected}));
  CHECK(cache.stats().rejections == 5000);
  CHECK(cache.stats().loads == 5000);
  CHECK(cache.empty());
  // Loads that were forgotten leave nothing behind either, and are nobody's business.
  left.clear();
  for (int i = 0; i < 5000; ++i) {
    CHECK(cache.get_or_load("forgotten", [&](const std::string& key) {
      cache.erase(key);
      return 1;
    }) == 1);
  }
  CHECK(left.empty());
  CHECK(cache.empty());
  CHECK(cache.stats().weight == 0);
  for (int i = 0; i < 10; ++i) CHECK(cache.put(std::to_string(i), i));
  CHECK(cache.size() == 3);
}

TEMPLATE_LIST_TEST_CASE("nobody reads what was out of date before they asked", "",
                        banyan::testing::one_policy_of_each_kind) {
  // A database of one number, invalidated in the cache after each change, in every way there is. Whoever begins after
  // an invalidation has returned must see that number or a later one, although old loads are still running.
  constexpr int changes = 600;
  for (const std::uint64_t capacity : {1U, 8U}) {
    const std::uint64_t seed = banyan::testing::derived_seed("out of date", capacity);
    CAPTURE(seed, capacity);
    banyan::basic_cache<int, int, TestType> cache{{.capacity = capacity, .seed = seed}};
    std::atomic<int> database{0};
    std::atomic<int> invalidated{0};
    std::atomic<bool> end{false};
    std::atomic<int> stale{0};
    in_threads(4, [&](std::size_t t) {
      banyan::testing::random_source random{seed + t};
      if (t == 0) {
        for (int version = 1; version <= changes; ++version) {
          database.store(version);
          switch (random.below(6)) {
            case 0:
              cache.put(1, version);
              break;
            case 1:
              cache.clear();
              break;
            case 2:
              cache.compute(1, [](const int*) { return std::optional<int>{}; });
              break;
            case 3:
              cache.put(1, version, {.weight = 100});
              break;
            default:
              cache.erase(1);
              break;
          }
          invalidated.store(version);
          if (random.chance(1, 4)) std::this_thread::yield();
        }
        end.store(true);
        return;
      }
      while (!end.load()) {
        const int least = invalidated.load();
        if (random.chance(1, 3)) cache.put(100 + static_cast<int>(random.below(4)), 0);
        const int seen = cache.get_or_load(1, [&](int) {
          const int read = database.load();
          if (random.chance(1, 3)) std::this_thread::yield();
          return read;
        });
        if (seen < least) stale.fetch_add(1);
        const int least_now = invalidated.load();
        if (const auto got = cache.get(1); got && *got < least_now) stale.fetch_add(1);
      }
    });
    CHECK(stale.load() == 0);
    CHECK(cache.size() <= capacity);
    CHECK(cache.stats().weight == cache.size());
    const auto stats = cache.stats();
    CHECK(stats.load_failures == 0);
  }
}

TEST_CASE("a key given as another type is loaded as a key") {
  string_cache cache{{.capacity = 2}};
  const std::string_view view = "view";
  CHECK(cache.get_or_load(view, [](const std::string& key) { return static_cast<int>(key.size()); }) == 4);
  CHECK(cache.get("view") == 4);
}
