#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/cache.hpp>

#include "cache/every_policy.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"

namespace {

using banyan::removal_cause;
using namespace std::string_literals;
using namespace std::string_view_literals;

struct departure {
  std::string key;
  int value = 0;
  removal_cause cause{};
  friend bool operator==(const departure&, const departure&) = default;
  friend std::ostream& operator<<(std::ostream& out, const departure& d) {
    return out << d.key << "=" << d.value << " " << to_string(d.cause);
  }
};

// A cache of strings and ints that writes down who leaves.
template <class Policy>
struct observed_cache {
  using cache_type = banyan::basic_cache<std::string, int, Policy>;
  using options = typename cache_type::options;

  explicit observed_cache(options wanted) : cache{observed(std::move(wanted))} {}

  options observed(options wanted) {
    wanted.removal_listener = [this](const std::string& key, int value, removal_cause cause) {
      departures.push_back({key, value, cause});
    };
    return wanted;
  }

  std::vector<departure> take() { return std::exchange(departures, {}); }

  std::vector<departure> departures;
  cache_type cache;
};

template <class Cache>
std::map<std::string, int> contents(Cache& cache) {
  std::map<std::string, int> all;
  cache.for_each([&](const std::string& key, int value) {
    CHECK(all.emplace(key, value).second);  // exactly once
  });
  return all;
}

template <class Options>
std::string refusal(Options options) {
  try {
    banyan::lru_cache<std::string, int> cache{options};
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("the example of the first page, exactly as it is written") {
  banyan::lru_cache<std::string, int> cache{{.capacity = 2}};
  cache.put("a", 1);
  cache.put("b", 2);
  std::optional<int> a = cache.get("a");  // 1, and "a" is now the most recent
  CHECK(a == 1);
  cache.put("c", 3);  // evicts "b"
  CHECK_FALSE(cache.contains("b"));
  CHECK(cache.contains("a"));
  CHECK(cache.contains("c"));
  bool seen = cache.visit("a", [](const int& v) { CHECK(v == 1); });  // no copy; the value stays alive meanwhile
  CHECK(seen);
  int loads = 0;
  int d = cache.get_or_load("d", [&](const std::string& key) {  // one load per key, others wait
    CHECK(key == "d");
    ++loads;
    return 4;
  });
  CHECK(d == 4);
  CHECK(cache.get_or_load("d", [](const std::string&) { return 5; }) == 4);
  CHECK(loads == 1);
  CHECK(cache.put("s", 5, {.ttl = std::chrono::seconds{5}, .weight = 1}));
  CHECK(cache.get("s") == 5);
  cache.erase("a");
  CHECK(cache.erase_if([](const std::string&, int v) { return v > 3; }) == 2);
  CHECK(cache.size() == 0);
  CHECK(cache.capacity() == 2);
  cache.clear();
  banyan::cache_stats s = cache.stats();
  CHECK(s.hits == 4);    // a, a, d, s
  CHECK(s.misses == 1);  // d: contains does not count
  CHECK(s.loads == 1);
  CHECK(s.load_failures == 0);
  CHECK(s.evictions == 3);  // b for c, then two of a, c and d
  CHECK(s.expirations == 0);
  CHECK(s.rejections == 0);
  CHECK(s.weight == 0);
}

TEMPLATE_LIST_TEST_CASE("put, get, replace and erase one by one", "", banyan::testing::one_policy_of_each_kind) {
  observed_cache<TestType> observed{{.capacity = 8}};
  auto& cache = observed.cache;
  CHECK(cache.empty());
  CHECK(cache.get("a") == std::nullopt);
  CHECK(cache.put("a", 1));
  CHECK(cache.get("a") == 1);
  CHECK(cache.put("a", 2));
  CHECK(cache.get("a") == 2);
  CHECK(cache.size() == 1);
  CHECK(observed.take() == std::vector<departure>{{"a", 1, removal_cause::replaced}});
  CHECK(cache.erase("a"));
  CHECK_FALSE(cache.erase("a"));
  CHECK(cache.get("a") == std::nullopt);
  CHECK(observed.take() == std::vector<departure>{{"a", 2, removal_cause::erased}});
  CHECK(cache.empty());
  CHECK(cache.stats().hits == 2);
  CHECK(cache.stats().misses == 2);
}

TEMPLATE_LIST_TEST_CASE("put_if_absent leaves alone what is there", "", banyan::testing::one_policy_of_each_kind) {
  observed_cache<TestType> observed{{.capacity = 4}};
  auto& cache = observed.cache;
  CHECK(cache.put_if_absent("a", 1));
  CHECK_FALSE(cache.put_if_absent("a", 2));
  CHECK(cache.get("a") == 1);
  CHECK(observed.take().empty());  // what did not come in did not leave
  CHECK_FALSE(cache.put_if_absent("heavy", 3, {.weight = 5}));
  CHECK(observed.take() == std::vector<departure>{{"heavy", 3, removal_cause::rejected}});
  CHECK(cache.stats().weight == 1);
}

TEMPLATE_LIST_TEST_CASE("compute inserts, replaces, removes and leaves absent", "",
                        banyan::testing::one_policy_of_each_kind) {
  observed_cache<TestType> observed{{.capacity = 4}};
  auto& cache = observed.cache;
  const auto add_one = [](const int* value) { return std::optional<int>{value != nullptr ? *value + 1 : 1}; };
  CHECK(cache.compute("n", add_one) == 1);
  CHECK(cache.compute("n"s, add_one) == 2);
  CHECK(cache.compute("n"sv, add_one) == 3);
  CHECK(cache.get("n") == 3);
  CHECK(cache.compute("n", [](const int*) { return std::optional<int>{}; }) == std::nullopt);
  CHECK_FALSE(cache.contains("n"));
  bool asked = false;
  CHECK(cache.compute("absent", [&](const int* value) {
    asked = value == nullptr;
    return std::optional<int>{};
  }) == std::nullopt);
  CHECK(asked);
  CHECK(cache.empty());
  CHECK(observed.take() == std::vector<departure>{{"n", 1, removal_cause::replaced},
                                                  {"n", 2, removal_cause::replaced},
                                                  {"n", 3, removal_cause::erased}});
  // Too heavy a result: returned, not kept, and what was there is gone.
  cache.put("n", 7);
  CHECK(cache.compute("n", add_one, {.weight = 5}) == 8);
  CHECK_FALSE(cache.contains("n"));
  CHECK(observed.take() ==
        std::vector<departure>{{"n", 7, removal_cause::replaced}, {"n", 8, removal_cause::rejected}});
  CHECK(cache.stats().weight == 0);
  CHECK(cache.stats().hits == 1);
  CHECK(cache.stats().misses == 0);
}

TEST_CASE("get_many answers in the order of the keys and counts each") {
  banyan::lru_cache<std::string, int> cache{{.capacity = 4}};
  cache.put("a", 1);
  cache.put("b", 2);
  const std::array<std::string_view, 4> keys{"b", "x", "a", "b"};
  CHECK(cache.get_many(keys) == std::vector<std::optional<int>>{2, std::nullopt, 1, 2});
  CHECK(cache.get_many(std::vector<std::string>{}).empty());
  CHECK(cache.get_many(std::list<std::string>{"a"}) == std::vector<std::optional<int>>{1});
  CHECK(cache.stats().hits == 4);
  CHECK(cache.stats().misses == 1);
}

TEMPLATE_LIST_TEST_CASE("for_each meets every entry once, and may use the cache", "",
                        banyan::testing::one_policy_of_each_kind) {
  banyan::basic_cache<std::string, int, TestType> cache{{.capacity = 64}};
  std::map<std::string, int> model;
  for (int i = 0; i < 40; ++i) model[std::to_string(i)] = i;
  for (const auto& [key, value] : model) cache.put(key, value);
  for (int i = 0; i < 40; i += 3) {
    cache.erase(std::to_string(i));
    model.erase(std::to_string(i));
  }
  for (int i = 1; i < 40; i += 3) cache.put(std::to_string(i), model[std::to_string(i)] = -i);
  CHECK(contents(cache) == model);
  std::size_t met = 0;
  cache.for_each([&](const std::string& key, int) {
    ++met;
    cache.put(key, 0);
    CHECK(cache.get(key) == 0);
    cache.erase(key);
  });
  CHECK(met == model.size());
  CHECK(cache.empty());
}

TEMPLATE_LIST_TEST_CASE("erase_if and clear remove, report and count", "", banyan::testing::one_policy_of_each_kind) {
  observed_cache<TestType> observed{{.capacity = 16}};
  auto& cache = observed.cache;
  for (int i = 0; i < 10; ++i) cache.put(std::to_string(i), i);
  CHECK(cache.erase_if([](const std::string& key, int value) { return key == "3" || value >= 8; }) == 3);
  const auto erased = observed.take();
  CHECK(std::all_of(erased.begin(), erased.end(), [](auto& d) { return d.cause == removal_cause::erased; }));
  CHECK(erased.size() == 3);
  CHECK(cache.size() == 7);
  cache.clear();
  const auto cleared = observed.take();
  CHECK(std::all_of(cleared.begin(), cleared.end(), [](auto& d) { return d.cause == removal_cause::cleared; }));
  CHECK(cleared.size() == 7);
  CHECK(cache.empty());
  CHECK(contents(cache).empty());
  CHECK(cache.stats().weight == 0);
  CHECK(cache.stats().evictions == 0);
  cache.put("again", 1);
  CHECK(cache.get("again") == 1);
}

TEMPLATE_LIST_TEST_CASE("weights are kept within the capacity", "", banyan::testing::one_policy_of_each_kind) {
  std::map<std::string, int> there;
  std::uint64_t weight = 0;
  banyan::basic_cache<std::string, int, TestType> cache{
      {.capacity = 100,
       .weigher = [](const std::string&, const int& value) { return static_cast<std::uint64_t>(value); },
       .removal_listener =
           [&](const std::string& key, int value, removal_cause) {
             weight -= static_cast<std::uint64_t>(std::max(value, 1));
             there.erase(key);
           }}};
  for (int i = 0; i < 2000; ++i) {
    const int value = i * 37 % 41;
    const std::string key = std::to_string(i * 7 % 50);
    const bool kept = cache.put(key, value);
    CHECK(kept);
    weight += static_cast<std::uint64_t>(std::max(value, 1));
    there[key] = value;
    REQUIRE(cache.stats().weight == weight);
    REQUIRE(weight <= 100);
  }
  // A policy may have refused the newest, which the model above put back after the listener had taken it out.
  std::uint64_t total = 0;
  cache.for_each([&](const std::string&, int value) { total += static_cast<std::uint64_t>(std::max(value, 1)); });
  CHECK(total == weight);
  CHECK(cache.size() == contents(cache).size());
  CHECK(cache.stats().hits == 0);
}

TEMPLATE_LIST_TEST_CASE("a weight larger than the capacity is refused and reported", "",
                        banyan::testing::one_policy_of_each_kind) {
  observed_cache<TestType> observed{{.capacity = 3}};
  auto& cache = observed.cache;
  cache.put("a", 1);
  cache.put("b", 2);
  CHECK_FALSE(cache.put("a", 10, {.weight = 4}));
  CHECK_FALSE(cache.contains("a"));
  CHECK(cache.contains("b"));
  CHECK(observed.take() ==
        std::vector<departure>{{"a", 1, removal_cause::replaced}, {"a", 10, removal_cause::rejected}});
  CHECK(cache.stats().rejections == 1);
  CHECK(cache.size() == 1);
  CHECK(cache.stats().weight == 1);
  CHECK_FALSE(cache.put("c", 11, {.weight = std::numeric_limits<std::uint64_t>::max()}));
  CHECK(observed.take() == std::vector<departure>{{"c", 11, removal_cause::rejected}});
  // Exactly the capacity: everything else leaves, and it stays.
  CHECK(cache.put("c", 12, {.weight = 3}));
  CHECK(observed.take() == std::vector<departure>{{"b", 2, removal_cause::evicted}});
  CHECK(cache.get("c") == 12);
  CHECK(cache.stats().weight == 3);
  // 0 counts as 1.
  cache.clear();
  CHECK(cache.put("z", 1, {.weight = 0}));
  CHECK(cache.stats().weight == 1);
}

TEMPLATE_LIST_TEST_CASE("refused and replaced entries give back their places", "",
                        banyan::testing::one_policy_of_each_kind) {
  // More often than there are slots and nodes for so small a cache.
  banyan::basic_cache<int, int, TestType> cache{{.capacity = 2}};
  for (int i = 0; i < 10'000; ++i) {
    REQUIRE(cache.put(1, i));
    REQUIRE_FALSE(cache.put(1, i, {.weight = 3}));
    REQUIRE_FALSE(cache.contains(1));
  }
  for (int i = 0; i < 10'000; ++i) {
    REQUIRE(cache.put(1, i));
    REQUIRE(cache.compute(1, [](const int*) { return std::optional<int>{0}; }, {.weight = 3}) == 0);
  }
  for (int i = 0; i < 10'000; ++i) {
    REQUIRE(cache.put(2, i));
    REQUIRE_FALSE(cache.put_if_absent(2, i));
    REQUIRE(cache.erase(2));
  }
  for (int i = 0; i < 10'000; ++i) REQUIRE(cache.put(3, i));
  CHECK(cache.get(3) == 9999);
  CHECK(cache.size() == 1);
  CHECK(cache.stats().weight == 1);
}

TEST_CASE("replacing by a heavier value evicts others, not the new value") {
  observed_cache<banyan::lru_policy> observed{{.capacity = 5}};
  auto& cache = observed.cache;
  for (const char* key : {"a", "b", "c", "d", "e"}) cache.put(key, 1);
  CHECK(cache.put("a", 2, {.weight = 3}));
  CHECK(cache.get("a") == 2);
  CHECK(cache.stats().weight == 5);
  CHECK(observed.take() == std::vector<departure>{{"a", 1, removal_cause::replaced},
                                                  {"b", 1, removal_cause::evicted},
                                                  {"c", 1, removal_cause::evicted}});
  CHECK(cache.put("a", 3, {.weight = 1}));
  CHECK(cache.stats().weight == 3);
  CHECK(cache.put("f", 1));
  CHECK(cache.put("g", 1));
  CHECK(cache.size() == 5);
}

TEST_CASE("options that make no sense are refused by name and value") {
  using cache = banyan::lru_cache<std::string, int>;
  using seconds = std::chrono::seconds;
  const auto refused = [](cache::options options, const char* field, const char* value) {
    const std::string why = refusal(options);
    INFO(why);
    CHECK(why.find(field) != std::string::npos);
    CHECK(why.find(value) != std::string::npos);
  };
  refused({}, "capacity", "0");
  refused({.capacity = 0}, "capacity", "0");
  refused({.capacity = 1, .ttl = seconds{0}}, "ttl", "0");
  refused({.capacity = 1, .ttl = seconds{-3}}, "ttl", "-3000000000");
  refused({.capacity = 1, .idle_ttl = seconds{-1}}, "idle_ttl", "-1000000000");
  refused({.capacity = 1, .ttl_jitter = 1.5}, "ttl_jitter", "1.5");
  refused({.capacity = 1, .ttl_jitter = -0.25}, "ttl_jitter", "-0.25");
  refused({.capacity = 1, .ttl_jitter = std::numeric_limits<double>::quiet_NaN()}, "ttl_jitter", "nan");
  refused({.capacity = std::numeric_limits<std::uint64_t>::max()}, "capacity", "18446744073709551615");
  refused({.capacity = std::numeric_limits<std::uint64_t>::max(), .expected_entries = (std::uint64_t{1} << 27) + 1},
          "expected_entries", "134217729");
}

TEMPLATE_LIST_TEST_CASE("capacities 1, odd and huge", "", banyan::testing::one_policy_of_each_kind) {
  using cache_type = banyan::basic_cache<std::uint64_t, std::uint64_t, TestType>;
  SECTION("1 and odd") {
    for (const std::uint64_t capacity : {1U, 2U, 3U, 7U, 63U, 65U, 511U, 513U, 1009U}) {
      CAPTURE(capacity);
      cache_type cache{{.capacity = capacity}};
      CHECK(cache.capacity() == capacity);
      for (std::uint64_t i = 0; i < 3 * capacity + 20; ++i) {
        REQUIRE(cache.put(i, ~i));
        REQUIRE(cache.size() == std::min(i + 1, capacity));
        REQUIRE(cache.stats().weight == cache.size());
      }
      std::size_t found = 0;
      for (std::uint64_t i = 0; i < 3 * capacity + 20; ++i) {
        const auto value = cache.get(i);
        if (!value) continue;
        ++found;
        REQUIRE(*value == ~i);
      }
      CHECK(found == capacity);
    }
  }
  SECTION("as many entries as there may be") {
    cache_type cache{{.capacity = std::uint64_t{1} << 27}};
    CHECK(cache.put(1, 2));
    CHECK(cache.get(1) == 2);
  }
  SECTION("the largest number, with weights") {
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    cache_type cache{{.capacity = most, .weigher = [](const auto&, const auto& value) { return value; }}};
    CHECK(cache.capacity() == most);
    CHECK(cache.put(1, 2));
    for (std::uint64_t i = 0; i < 100; ++i) CHECK(cache.put(i, std::uint64_t{1} << 59));
    CHECK(cache.stats().weight <= std::uint64_t{1} << 60);
    CHECK(cache.size() == 2);
    CHECK_FALSE(cache.put(7, most));
    CHECK(cache.stats().rejections == 1);
  }
  SECTION("the largest number, and few entries expected") {
    cache_type cache{{.capacity = std::numeric_limits<std::uint64_t>::max(), .expected_entries = 10}};
    for (std::uint64_t i = 0; i < 1000; ++i) {
      REQUIRE(cache.put(i, i));
      REQUIRE(cache.size() <= 10);
    }
    CHECK(cache.size() == 10);
    for (std::uint64_t i = 0; i < 1000; ++i) cache.erase(i);
    CHECK(cache.empty());
    for (std::uint64_t i = 0; i < 1000; ++i) cache.put(i, i);
    CHECK(cache.size() == 10);
  }
}

TEST_CASE("lookups by string_view need no memory") {
  banyan::lru_cache<std::string, int> cache{{.capacity = 4}};
  const std::string key(100, 'k');
  cache.put(key, 1);
  const std::string_view view = key;
  std::optional<int> found;
  const std::uint64_t before = banyan::testing::allocations_by_this_thread();
  found = cache.get(view);
  bool there = cache.contains(view) && cache.visit(view, [](const int&) {}) && cache.expires_in(view).has_value();
  there = cache.erase(view) && there;
  const std::uint64_t after = banyan::testing::allocations_by_this_thread();
  CHECK(after == before);
  CHECK(found == 1);
  CHECK(there);
}

TEST_CASE("operations on numbers need no memory once the cache is there") {
  banyan::s3fifo_cache<std::uint64_t, std::uint64_t> cache{{.capacity = 64, .ttl = std::chrono::hours{1}}};
  cache.put(1, 1);
  const std::uint64_t before = banyan::testing::allocations_by_this_thread();
  for (std::uint64_t i = 0; i < 5000; ++i) {
    cache.put(i % 100, i);
    static_cast<void>(cache.get(i % 77));
    cache.compute(i % 50, [](const std::uint64_t* v) { return std::optional<std::uint64_t>{v ? *v : 0}; });
    cache.erase(i % 31);
  }
  CHECK(banyan::testing::allocations_by_this_thread() == before);
}

namespace {

struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

struct account {
  int number;
  account(int n) : number(n) {}  // NOLINT(google-explicit-constructor): so that lookups by int compile
  friend bool operator==(const account& a, const account& b) { return a.number == b.number; }
};

}  // namespace

template <>
struct std::hash<account> {
  std::size_t operator()(const account& a) const noexcept { return static_cast<std::size_t>(a.number) * 31; }
};

TEST_CASE("a key given as another type is found under its own") {
  SECTION("floating point keys, whole numbers") {
    banyan::lru_cache<double, int> cache{{.capacity = 4}};
    cache.put(1, 10);
    CHECK(cache.get(1.0) == 10);
    CHECK(cache.get(1) == 10);
    CHECK(cache.erase(1.0));
  }
  SECTION("unsigned keys, negative numbers") {
    banyan::lru_cache<std::uint32_t, int> cache{{.capacity = 4}};
    cache.put(-1, 10);
    CHECK(cache.get(0xffffffffU) == 10);
  }
  SECTION("a key that numbers turn into") {
    banyan::lru_cache<account, int> cache{{.capacity = 4}};
    cache.put(5, 10);
    CHECK(cache.get(account{5}) == 10);
    CHECK(cache.get_or_load(5, [](const account&) { return 0; }) == 10);
    CHECK(cache.erase(account{5}));
  }
  SECTION("characters of all kinds") {
    banyan::lru_cache<std::string, int> cache{{.capacity = 4}};
    const char array[] = "key";
    cache.put(array, 1);
    CHECK(cache.get("key") == 1);
    CHECK(cache.get("key"s) == 1);
    CHECK(cache.get("key"sv) == 1);
    CHECK(cache.get(static_cast<const char*>(array)) == 1);
    CHECK(cache.put("key"sv, 2));
    CHECK(cache.size() == 1);
  }
}

TEST_CASE("a hash and an equality of one's own that know only the key") {
  struct length_hash {
    std::size_t operator()(const std::string& key) const { return key.size(); }
  };
  struct same {
    bool operator()(const std::string& a, const std::string& b) const { return a == b; }
  };
  banyan::basic_cache<std::string, int, banyan::lru_policy, length_hash, same> cache{{.capacity = 100}};
  for (int i = 100; i < 200; ++i) cache.put(std::to_string(i), i);
  for (int i = 100; i < 200; ++i) REQUIRE(cache.get(std::to_string(i).c_str()) == i);
  CHECK(cache.size() == 100);
}

TEST_CASE("values that can only be moved") {
  banyan::lru_cache<std::string, std::unique_ptr<int>> cache{{.capacity = 2}};
  CHECK(cache.put("a", std::make_unique<int>(1)));
  CHECK(cache.put("a", std::make_unique<int>(2)));
  CHECK_FALSE(cache.put_if_absent("a", std::make_unique<int>(3)));
  auto kept = std::make_unique<int>(4);
  std::string a = "a";
  CHECK_FALSE(cache.put_if_absent(std::move(a), std::move(kept)));
  CHECK(kept != nullptr);  // what is refused because the key is there is not used up
  CHECK(a == "a");
  int seen = 0;
  CHECK(cache.visit("a", [&](const std::unique_ptr<int>& p) { seen = *p; }));
  CHECK(seen == 2);
  CHECK(cache.contains("a"));
  CHECK(cache.expires_in("a") == std::chrono::steady_clock::duration::max());
  for (int i = 0; i < 10; ++i) cache.put(std::to_string(i), std::make_unique<int>(i));
  CHECK(cache.size() == 2);
  cache.for_each([](const std::string& key, const std::unique_ptr<int>& p) { CHECK(std::to_string(*p) == key); });
  CHECK(cache.erase_if([](const std::string&, const std::unique_ptr<int>& p) { return *p == 9; }) == 1);
  cache.clear();
  CHECK(cache.purge_expired() == 0);
  CHECK(cache.empty());
  using cache_type = decltype(cache);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<cache_type>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<cache_type>);
}

TEST_CASE("keys that can only be moved") {
  struct address_hash {
    std::size_t operator()(const std::unique_ptr<int>& key) const { return static_cast<std::size_t>(*key); }
  };
  struct same_number {
    bool operator()(const std::unique_ptr<int>& a, const std::unique_ptr<int>& b) const { return *a == *b; }
  };
  using policy = banyan::sieve_policy;
  banyan::basic_cache<std::unique_ptr<int>, std::unique_ptr<int>, policy, address_hash, same_number> cache{
      {.capacity = 2}};
  for (int i = 0; i < 5; ++i) CHECK(cache.put(std::make_unique<int>(i), std::make_unique<int>(-i)));
  CHECK(cache.contains(std::make_unique<int>(4)));
  CHECK(cache.erase(std::make_unique<int>(4)));
}

TEST_CASE("a transparent hash of one's own is taken at its word") {
  banyan::basic_cache<std::string, int, banyan::fifo_policy, text_hash> cache{{.capacity = 2}};
  cache.put("a", 1);
  CHECK(cache.get("a"sv) == 1);
  CHECK(cache.get("a") == 1);
}

TEST_CASE("the hit ratio of the statistics") {
  CHECK(banyan::cache_stats{}.hit_ratio() == 0.0);
  CHECK(banyan::cache_stats{.hits = 3, .misses = 1}.hit_ratio() == 0.75);
}
