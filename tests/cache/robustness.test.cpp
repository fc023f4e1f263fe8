#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <banyan/cache.hpp>

#include "cache/every_policy.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/seed.hpp"
#include "support/throwing.hpp"

namespace {

using banyan::removal_cause;
using namespace banyan::testing;

template <class Policy, class Value = tracked>
using fragile_cache = banyan::basic_cache<tracked, Value, Policy, throwing_hash, throwing_equal>;

// What is there adds up, and the cache can still be filled.
template <class Cache>
bool sound(Cache& cache) {
  std::size_t entries = 0;
  cache.for_each([&](const auto&, const auto&) { ++entries; });
  return entries == cache.size() && entries <= cache.capacity() && cache.stats().weight == entries;
}

// A bit of everything, on few keys.
template <class Cache>
void exercise(Cache& cache) {
  for (int i = 0; i < 6; ++i) cache.put(tracked{i}, tracked{10 * i});
  static_cast<void>(cache.get(tracked{5}));
  cache.put(tracked{5}, tracked{51});
  cache.put_if_absent(tracked{5}, tracked{52});
  cache.put_if_absent(tracked{6}, tracked{60});
  cache.compute(tracked{5}, [](const tracked* value) {
    return std::optional<tracked>{tracked{value != nullptr ? value->value() + 1 : 1}};
  });
  cache.compute(tracked{5}, [](const tracked*) { return std::optional<tracked>{}; });
  static_cast<void>(cache.get_or_load(tracked{7}, [](const tracked& key) { return tracked{key.value() * 10}; }));
  cache.put(tracked{8}, tracked{80}, {.weight = 100});
  cache.erase(tracked{7});
  cache.visit(tracked{6}, [](const tracked&) {});
  static_cast<void>(cache.contains(tracked{6}));
  cache.erase_if([](const tracked& key, const tracked&) { return key.value() % 2 == 0; });
  cache.put(tracked{9}, tracked{90});
  cache.clear();
  cache.put(tracked{1}, tracked{1});
}

template <class Policy>
void check_every_fault(fault_kind kind) {
  const auto report = for_every_fault(kind, [] {
    fragile_cache<Policy> cache{{.capacity = 3}};
    struct check {
      fragile_cache<Policy>& cache;
      ~check() {
        if (!sound(cache)) std::abort();
      }
    } const at_the_end{cache};
    exercise(cache);
  });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK(report.faults > 5);
  CHECK(report.survived == 0);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a throwing hash", "", one_policy_of_each_kind) {
  check_every_fault<TestType>(fault_kind::hash);
}

TEMPLATE_LIST_TEST_CASE("a throwing equality", "", one_policy_of_each_kind) {
  check_every_fault<TestType>(fault_kind::compare);
}

TEMPLATE_LIST_TEST_CASE("a throwing copy", "", one_policy_of_each_kind) {
  check_every_fault<TestType>(fault_kind::copy);
}

TEMPLATE_LIST_TEST_CASE("a throwing move", "", one_policy_of_each_kind) {
  check_every_fault<TestType>(fault_kind::move);
}

TEMPLATE_LIST_TEST_CASE("a throwing constructor", "", one_policy_of_each_kind) {
  check_every_fault<TestType>(fault_kind::construct);
}

TEMPLATE_LIST_TEST_CASE("a throwing weigher changes nothing", "", one_policy_of_each_kind) {
  bool broken = false;
  banyan::basic_cache<std::string, int, TestType> cache{
      {.capacity = 4, .weigher = [&](const std::string&, const int&) -> std::uint64_t {
         if (broken) throw injected_fault{fault_kind::call};
         return 1;
       }}};
  cache.put("a", 1);
  broken = true;
  for (int i = 0; i < 5000; ++i) {  // more often than there are places
    CHECK_THROWS_AS(cache.put("a", 2), injected_fault);
    CHECK_THROWS_AS(cache.put("b", 2), injected_fault);
    CHECK_THROWS_AS(cache.compute("a", [](const int*) { return std::optional<int>{3}; }), injected_fault);
    CHECK_THROWS_AS(cache.get_or_load("c", [](const std::string&) { return 3; }), injected_fault);
  }
  broken = false;
  CHECK(cache.get("a") == 1);
  CHECK_FALSE(cache.contains("b"));
  CHECK_FALSE(cache.contains("c"));
  CHECK(sound(cache));
  CHECK(cache.put("b", 2));
  CHECK(cache.get_or_load("c", [](const std::string&) { return 3; }) == 3);
}

TEMPLATE_LIST_TEST_CASE("a throwing loader changes nothing but the statistics", "", one_policy_of_each_kind) {
  banyan::basic_cache<std::string, int, TestType> cache{{.capacity = 4}};
  for (int i = 0; i < 100; ++i) {
    CHECK_THROWS_AS(cache.get_or_load("a", [](const std::string&) -> int { throw injected_fault{fault_kind::call}; }),
                    injected_fault);
  }
  CHECK(cache.empty());
  CHECK(cache.stats().load_failures == 100);
  CHECK(cache.stats().loads == 0);
  CHECK(cache.get_or_load("a", [](const std::string&) { return 3; }) == 3);
}

TEMPLATE_LIST_TEST_CASE("a throwing listener is counted and stops nothing", "", one_policy_of_each_kind) {
  std::uint64_t told = 0;
  banyan::basic_cache<std::string, int, TestType> cache{
      {.capacity = 4, .removal_listener = [&](const std::string&, int, removal_cause) {
         ++told;
         throw injected_fault{fault_kind::call};
       }}};
  for (int i = 0; i < 100; ++i) cache.put(std::to_string(i % 10), i);
  cache.put("a", 1, {.weight = 5});
  cache.erase("9");
  cache.clear();
  CHECK(told > 90);
  CHECK(cache.stats().listener_failures == told);
  CHECK(cache.empty());
  CHECK(sound(cache));
}

TEST_CASE("throwing predicates and visitors") {
  banyan::lru_cache<std::string, int> cache{{.capacity = 4}};
  cache.put("a", 1);
  cache.put("b", 2);
  const auto fail = [](const auto&...) -> bool { throw injected_fault{fault_kind::call}; };
  CHECK_THROWS_AS(cache.erase_if(fail), injected_fault);
  CHECK_THROWS_AS(cache.for_each(fail), injected_fault);
  CHECK_THROWS_AS(cache.visit("a", fail), injected_fault);
  CHECK_THROWS_AS(cache.compute("a", [](const int*) -> std::optional<int> { throw injected_fault{fault_kind::call}; }),
                  injected_fault);
  CHECK(cache.size() == 2);
  CHECK(cache.stats().hits == 1);
  CHECK(sound(cache));
}

TEMPLATE_LIST_TEST_CASE("a listener may use the cache", "", one_policy_of_each_kind) {
  banyan::basic_cache<std::string, int, TestType>* itself = nullptr;
  int depth = 0;
  int told = 0;
  banyan::basic_cache<std::string, int, TestType> cache{
      {.capacity = 3, .removal_listener = [&](const std::string& key, int value, removal_cause) {
         ++told;
         static_cast<void>(itself->get(key));
         if (depth >= 4) return;
         ++depth;
         itself->put(key + "'", value);  // makes another one leave
         itself->erase(key);
         static_cast<void>(itself->get_or_load("loaded", [](const std::string&) { return 1; }));
         if (value % 16 == 0) itself->clear();
         --depth;
       }}};
  itself = &cache;
  for (int i = 0; i < 300; ++i) cache.put(std::to_string(i % 20), i);
  CHECK(told >= 297);
  CHECK(cache.stats().listener_failures == 0);
  CHECK(sound(cache));
}

namespace {

struct session;
using session_cache = banyan::lru_cache<std::string, std::shared_ptr<session>>;

// A value that cleans up after itself in the cache that holds it.
struct session {
  session_cache* home;
  std::string name;
  session(session_cache* cache, std::string of) : home{cache}, name{std::move(of)} {}
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session() {
    home->erase("index of " + name);
    static_cast<void>(home->get(name));
    home->put("last to leave", nullptr);
  }
};

}  // namespace

TEST_CASE("a value whose destructor calls the cache") {
  const leak_check leaks;
  {
    session_cache cache{{.capacity = 20}};
    for (int i = 0; i < 2000; ++i) {
      const std::string name = "session " + std::to_string(i);
      cache.put("index of " + name, nullptr);
      cache.put(name, std::make_shared<session>(&cache, name));
      if (i % 7 == 0) cache.erase(name);
      if (i % 100 == 0) cache.clear();
    }
    CHECK(cache.size() <= 20);
    CHECK(sound(cache));
  }  // and so do those that are still there
  CHECK(leaks.leaked() <= 0);
}

TEST_CASE("a value that owns the key it is found by") {
  struct record {
    std::string name;
    int number;
  };
  banyan::lru_cache<std::string_view, std::shared_ptr<record>> cache{{.capacity = 4}};
  for (int i = 0; i < 5000; ++i) {
    auto each =
        std::make_shared<record>(record{"a name that is too long to be kept in place " + std::to_string(i % 9), i});
    const std::string_view name = each->name;
    cache.erase(name);  // a key looks into its own entry's value, so a new value means a new entry
    cache.put(name, std::move(each));
    REQUIRE(cache.contains("a name that is too long to be kept in place " + std::to_string(i % 9)));
  }
  CHECK(cache.size() == 4);
  cache.for_each([](std::string_view key, const std::shared_ptr<record>& value) { CHECK(key == value->name); });
}

TEST_CASE("values larger and more strictly aligned than usual") {
  const std::int64_t alive = tracked_instances();
  const std::uint64_t misuses = tracked_misuses();
  {
    banyan::s3fifo_cache<over_aligned_tracked, over_aligned_tracked, throwing_hash, throwing_equal> cache{
        {.capacity = 16}};
    for (int i = 0; i < 1000; ++i) {
      cache.put(over_aligned_tracked{i % 40}, over_aligned_tracked{i});
      cache.visit(over_aligned_tracked{i % 40}, [&](const over_aligned_tracked& value) {
        REQUIRE(reinterpret_cast<std::uintptr_t>(&value) % 128 == 0);
        REQUIRE(value.value() == i);
      });
    }
    CHECK(cache.size() == 16);
  }
  CHECK(tracked_instances() == alive);
  CHECK(tracked_misuses() == misuses);
}

TEST_CASE("values that only move, and throw at it") {
  using cache_type =
      banyan::basic_cache<tracked, throwing_move_only_tracked, banyan::lru_policy, throwing_hash, throwing_equal>;
  const auto report = for_every_fault(fault_kind::move, [] {
    cache_type cache{{.capacity = 2}};
    for (int i = 0; i < 5; ++i) cache.put(tracked{i % 3}, throwing_move_only_tracked{i});
    cache.erase(tracked{1});
  });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK(report.faults >= 10);
}

namespace {

template <class Policy>
struct allocation_test {
  using cache_type = banyan::basic_cache<std::string, std::string, Policy>;
  static std::string key(int i) { return "a key that needs memory of its own, number " + std::to_string(i); }

  static void use(cache_type& cache) {
    for (int i = 0; i < 5; ++i) cache.put(key(i), key(-i));
    static_cast<void>(cache.get(key(4)));
    cache.put(key(4), key(44));
    cache.compute(key(4), [](const std::string* value) { return std::optional<std::string>{*value + "!"}; });
    static_cast<void>(cache.get_or_load(key(9), [](const std::string& k) { return k + "?"; }));
    static_cast<void>(cache.get_many(std::vector<std::string>{key(9), key(10)}));
    cache.erase(key(9));
    cache.erase_if([](const std::string&, const std::string& value) { return value.size() > 100; });
    cache.clear();
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("any allocation may fail, also those of the construction", "", every_policy) {
  using test = allocation_test<TestType>;
  const auto report = for_every_failing_allocation([] {
    typename test::cache_type cache{{.capacity = 3}};
    test::use(cache);
  });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK(report.allocations > 20);
}

TEST_CASE("a cache goes on after any allocation has failed") {
  using test = allocation_test<banyan::lru_policy>;
  test::cache_type cache{{.capacity = 3}};
  bool fine = true;
  const auto report = for_every_failing_allocation([&] { test::use(cache); },
                                                   [&](std::uint64_t) {
                                                     const unfailing_section section;
                                                     fine = fine && sound(cache);
                                                     cache.clear();
                                                     fine = fine && cache.empty() && cache.stats().weight == 0;
                                                   });
  INFO(report.describe());
  CHECK(report.complete);
  CHECK(fine);
  for (int i = 0; i < 5; ++i) CHECK(cache.put(test::key(i), ""));
  CHECK(cache.size() == 3);
}

namespace {

struct comparison_counter {
  bool operator()(std::uint64_t a, std::uint64_t b) const {
    comparisons.fetch_add(1, std::memory_order_relaxed);
    return a == b;
  }
  static inline std::atomic<std::uint64_t> comparisons{0};
};

struct identity_hash {
  std::size_t operator()(std::uint64_t key) const noexcept { return static_cast<std::size_t>(key); }
};

struct constant_hash {
  std::size_t operator()(std::uint64_t) const noexcept { return 7; }
};

}  // namespace

// Holds every hazard that this thread can have without allocating, and lets it have no memory.
class no_hazards_left {
 public:
  no_hazards_left() {
    const unfailing_section room;
    held_.resize(10'000);
    const fail_nth_allocation no_memory{1, fail_nth_allocation::all};
    std::size_t i = 0;
    while (held_.at(i).emplace(std::nothrow)) ++i;
  }

 private:
  std::deque<std::optional<banyan::hazard_slots<1>>> held_;
  fail_nth_allocation no_memory_{1, fail_nth_allocation::all};
};

TEST_CASE("an entry that leaves while no hazard is to be had leaves all the same") {
  struct one_chain {
    std::size_t operator()(int) const noexcept { return 1; }
  };
  std::vector<std::pair<int, removal_cause>> departures;
  departures.reserve(10);
  banyan::basic_cache<int, int, banyan::lru_policy, one_chain> cache{
      {.capacity = 3,
       .removal_listener = [&](int key, int, removal_cause cause) { departures.emplace_back(key, cause); }}};
  std::optional<no_hazards_left> none;
  // A neighbour comes between finding an entry and removing it, so the node cannot be unlinked without a search, for
  // which there are no hazards.
  const auto with_neighbour = [&](int neighbour, std::optional<int> result) {
    return [&, neighbour, result](const int*) {
      if (!none) cache.put(neighbour, 0);  // once: `compute` asks again when the key's chain has changed
      if (!none) none.emplace();
      return result;
    };
  };
  cache.put(1, 10);
  SECTION("erased") {
    const std::optional<int> result = cache.compute(1, with_neighbour(2, std::nullopt));
    none.reset();
    CHECK_FALSE(result);
    CHECK(departures == std::vector{std::pair{1, removal_cause::erased}});
    CHECK_FALSE(cache.contains(1));
    CHECK(cache.size() == 1);
  }
  SECTION("replaced") {
    const std::optional<int> result = cache.compute(1, with_neighbour(2, 11));
    none.reset();
    CHECK(result == 11);
    CHECK(departures == std::vector{std::pair{1, removal_cause::replaced}});
    CHECK(cache.get(1) == 11);
    CHECK(cache.size() == 2);
  }
  SECTION("evicted") {
    cache.put(3, 30);
    const std::optional<int> result = cache.compute(4, with_neighbour(2, 40));
    none.reset();
    CHECK(result == 40);
    CHECK(departures == std::vector{std::pair{1, removal_cause::evicted}});
    CHECK(cache.size() == 3);
  }
  CHECK(cache.get(2) == 0);
  CHECK(sound(cache));
}

TEMPLATE_LIST_TEST_CASE("a hash that puts all keys in one chain is slow, not wrong", "", one_policy_of_each_kind) {
  banyan::basic_cache<std::uint64_t, std::uint64_t, TestType, constant_hash> cache{{.capacity = 100}};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    REQUIRE(cache.put(i, ~i));
    REQUIRE(cache.size() == std::min<std::uint64_t>(i + 1, 100));
  }
  std::uint64_t found = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const auto value = cache.get(i);
    if (value) REQUIRE(*value == ~i);
    found += value ? 1 : 0;
  }
  CHECK(found == 100);
  for (std::uint64_t i = 0; i < 1000; ++i) cache.erase(i);
  CHECK(cache.empty());
  CHECK(sound(cache));
}

TEST_CASE("a weak hash is mixed and seeded: neither regular keys nor an adversary find a long chain") {
  using cache_type =
      banyan::basic_cache<std::uint64_t, std::uint64_t, banyan::lru_policy, identity_hash, comparison_counter>;
  constexpr std::uint64_t entries = 4096;
  const auto comparisons_per_lookup = [](std::uint64_t step, std::uint64_t from) {
    cache_type cache{{.capacity = entries}};
    for (std::uint64_t i = 0; i < entries; ++i) cache.put(from + i * step, i);
    comparison_counter::comparisons = 0;
    for (std::uint64_t i = 0; i < entries; ++i) static_cast<void>(cache.get(from + i * step));
    return static_cast<double>(comparison_counter::comparisons.load()) / entries;
  };
  // Chains are built for two thirds of an entry, so a hit looks at 1.33 keys on average.
  for (const int shift : {0, 1, 8, 12, 13, 20, 31, 32, 40, 51}) {
    CAPTURE(shift);
    CHECK(comparisons_per_lookup(std::uint64_t{1} << shift, 0) < 2.0);
    CHECK(comparisons_per_lookup(std::uint64_t{1} << shift, 0xfedcba9876543210U) < 2.0);
  }
  CHECK(comparisons_per_lookup(0x9e3779b97f4a7c15U, 1) < 2.0);
  // The odd multiplier of the finish, inverted: a collision of all keys for whoever knows everything but the seed.
  std::uint64_t inverse = 1;
  for (int i = 0; i < 6; ++i) inverse *= 2 - 0xD6E8FEB86659FD93U * inverse;
  CHECK(comparisons_per_lookup(inverse, 0) < 2.0);
  CHECK(comparisons_per_lookup(inverse << 20, 0) < 2.0);
}

TEST_CASE("ten thousand short threads") {
  banyan::s3fifo_cache<int, std::string> cache{{.capacity = 50}};
  std::atomic<int> started{0};
  std::vector<std::thread> starters;
  for (int t = 0; t < 2; ++t) {
    starters.emplace_back([&, t] {
      for (int i = 0; i < 5000; ++i) {
        std::thread{[&, t, i] {
          cache.put(t * 5000 + i, "a value that needs memory of its own");
          static_cast<void>(cache.get(i));
          cache.erase(i + 1);
          started.fetch_add(1);
        }}.join();
      }
    });
  }
  for (std::thread& starter : starters) starter.join();
  CHECK(started.load() == 10'000);
  CHECK(sound(cache));
  CHECK(cache.stats().hits + cache.stats().misses == 10'000);
}

TEST_CASE("destruction right after other threads have finished") {
  const leak_check leaks;
  for (int round = 0; round < 100; ++round) {
    auto cache = std::make_unique<banyan::lru_cache<std::string, std::string>>(
        banyan::lru_cache<std::string, std::string>::options{.capacity = 10});
    std::atomic<int> left{3};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t, raw = cache.get()] {
        for (int i = 0; i < 50; ++i) {
          raw->put("a key that needs memory of its own " + std::to_string(i % 20), std::to_string(t));
          static_cast<void>(raw->get("a key that needs memory of its own 3"));
        }
        left.fetch_sub(1);  // the last access; the thread itself lives on a little
      });
    }
    while (left.load() != 0) std::this_thread::yield();
    cache.reset();
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(leaks.leaked() < 10);  // hazard records of more threads at once than before; a leak would show in each round
}

TEST_CASE("use at the exit of a thread") {
  banyan::lru_cache<std::string, int> cache{{.capacity = 10}};
  struct last_words {
    banyan::lru_cache<std::string, int>* to = nullptr;
    ~last_words() {
      if (to == nullptr) return;
      to->put("farewell", 1);
      to->compute("count", [](const int* n) { return std::optional<int>{n != nullptr ? *n + 1 : 1}; });
    }
  };
  for (int i = 0; i < 10; ++i) {
    std::thread{[&] {
      static thread_local last_words early;
      early.to = &cache;
      cache.put("hello", 1);
      static thread_local last_words late;
      late.to = &cache;
    }}.join();
  }
  CHECK(cache.get("count") == 20);
  CHECK(cache.get("farewell") == 1);
}

namespace {

// Destroyed after everything that this program's main() has made, and after the thread-locals of its thread.
struct at_the_very_end {
  banyan::lru_cache<std::string, int>* cache = nullptr;
  ~at_the_very_end() {
    if (cache == nullptr) return;
    cache->put("at the end", 1);
    if (cache->get("at the end") != 1 || cache->get("before") != 2) std::abort();
  }
};
at_the_very_end user_of_a_static;

}  // namespace

TEST_CASE("use from static destructors") {
  // Never destroyed itself; the destructor of another static uses it after the end of main(), and aborts if it fails.
  static auto& cache = *new banyan::lru_cache<std::string, int>{{.capacity = 10}};
  cache.put("before", 2);
  user_of_a_static.cache = &cache;
  static banyan::lru_cache<std::string, std::string> destroyed_at_exit{{.capacity = 10}};
  destroyed_at_exit.put("a key that needs memory of its own", "and a value that does");
  CHECK(destroyed_at_exit.size() == 1);
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("a forked child goes on with its copy") {
  banyan::s3fifo_cache<std::string, int> cache{{.capacity = 10}};
  for (int i = 0; i < 10; ++i) cache.put(std::to_string(i), i);
  std::atomic<bool> end{false};
  std::thread busy{[&] {
    for (int i = 0; !end.load(); ++i) {
      cache.put(std::to_string(i % 20), i % 20);
      std::this_thread::yield();
    }
  }};
  for (int round = 0; round < 5; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      // Only this thread is left; the other one may have been anywhere. No assertions: they would speak twice.
      bool fine = true;
      for (int i = 0; i < 5000; ++i) fine = fine && cache.put("child " + std::to_string(i % 30), i);
      fine = fine && cache.get("child " + std::to_string(4999 % 30)) == 4999 && cache.size() <= 12;
      ::_exit(fine ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  end.store(true);
  busy.join();
  CHECK(sound(cache));
}
#endif

TEST_CASE("two caches whose loaders and listeners use each other") {
  banyan::lru_cache<int, int> near{{.capacity = 4}};
  banyan::lru_cache<int, int> far{
      {.capacity = 8, .removal_listener = [&](int key, int, removal_cause) { near.erase(key); }}};
  for (int i = 0; i < 200; ++i) {
    const int value =
        near.get_or_load(i % 17, [&](int key) { return far.get_or_load(key, [](int k) { return k * k; }); });
    REQUIRE(value == (i % 17) * (i % 17));
  }
  CHECK(sound(near));
  CHECK(sound(far));
}
