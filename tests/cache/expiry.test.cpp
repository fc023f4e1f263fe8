#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <banyan/cache.hpp>

#include "cache/every_policy.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::removal_cause;

// A clock for this file alone.
struct expiry_test;
using test_clock = banyan::basic_manual_clock<expiry_test>;
using duration = test_clock::duration;
using time_point = test_clock::time_point;

template <class Policy>
using timed_cache = banyan::basic_cache<std::string, int, Policy, banyan::seeded_hash, std::equal_to<>, test_clock>;
using cache_type = timed_cache<banyan::lru_policy>;

constexpr time_point start{std::chrono::hours{1000}};

struct fixture {
  fixture() { test_clock::set(start); }

  cache_type::options observed(cache_type::options options) {
    options.removal_listener = [this](const std::string& key, int, removal_cause cause) {
      left.emplace_back(key, cause);
    };
    return options;
  }

  using departures = std::vector<std::pair<std::string, removal_cause>>;
  departures left;
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("an entry expires when its time to live has passed, not before", "",
                        banyan::testing::one_policy_of_each_kind) {
  test_clock::set(start);
  timed_cache<TestType> cache{{.capacity = 4, .ttl = 10ns}};
  cache.put("a", 1);
  test_clock::advance(9ns);
  CHECK(cache.get("a") == 1);
  CHECK(cache.expires_in("a") == 1ns);
  test_clock::advance(1ns);
  CHECK(cache.expires_in("a") == std::nullopt);
  CHECK_FALSE(cache.contains("a"));
  CHECK(cache.size() == 1);  // nobody has removed it yet
  CHECK(cache.get("a") == std::nullopt);
  CHECK(cache.size() == 0);
  CHECK(cache.stats().expirations == 1);
  CHECK(cache.stats().hits == 1);
  CHECK(cache.stats().misses == 1);
  CHECK(cache.stats().weight == 0);
}

TEST_CASE_METHOD(fixture, "reading does not prolong a time to live, writing does") {
  cache_type cache{observed({.capacity = 4, .ttl = 10ns})};
  cache.put("a", 1);
  test_clock::advance(8ns);
  CHECK(cache.get("a") == 1);
  cache.put("a", 2);
  test_clock::advance(8ns);
  CHECK(cache.get("a") == 2);
  test_clock::advance(2ns);
  CHECK(cache.get("a") == std::nullopt);
  CHECK(left == departures{{"a", removal_cause::replaced}, {"a", removal_cause::expired}});
}

TEST_CASE_METHOD(fixture, "reading prolongs an idle time") {
  cache_type cache{observed({.capacity = 4, .idle_ttl = 160ns})};
  cache.put("a", 1);
  for (int i = 0; i < 10; ++i) {
    test_clock::advance(150ns);
    CHECK(cache.get("a") == 1);
    CHECK(cache.expires_in("a") == 160ns);
  }
  CHECK(cache.contains("a"));  // looks without touching
  test_clock::advance(100ns);
  CHECK(cache.contains("a"));
  CHECK(cache.expires_in("a") == 60ns);
  test_clock::advance(60ns);
  CHECK(cache.get("a") == std::nullopt);
  CHECK(left == departures{{"a", removal_cause::expired}});
}

TEST_CASE_METHOD(fixture, "the sooner of both times counts") {
  cache_type cache{observed({.capacity = 4, .ttl = 100ns, .idle_ttl = 64ns})};
  cache.put("a", 1);
  test_clock::advance(60ns);
  CHECK(cache.get("a") == 1);
  CHECK(cache.expires_in("a") == 40ns);
  test_clock::advance(40ns);
  CHECK(cache.get("a") == std::nullopt);
}

TEST_CASE_METHOD(fixture, "an entry's own time to live takes the place of the cache's") {
  cache_type cache{observed({.capacity = 4, .ttl = 10ns})};
  cache.put("short", 1, {.ttl = 3ns});
  cache.put("long", 2, {.ttl = 30ns});
  cache.put("usual", 3);
  CHECK(cache.expires_in("short") == 3ns);
  CHECK(cache.expires_in("long") == 30ns);
  CHECK(cache.expires_in("usual") == 10ns);
  test_clock::advance(3ns);
  CHECK(cache.get("short") == std::nullopt);
  test_clock::advance(7ns);
  CHECK(cache.get("usual") == std::nullopt);
  CHECK(cache.get("long") == 2);
  test_clock::advance(20ns);
  CHECK(cache.get("long") == std::nullopt);
}

TEST_CASE_METHOD(fixture, "a time to live of one entry only") {
  cache_type cache{observed({.capacity = 4})};
  cache.put("for ever", 1);
  CHECK(cache.expires_in("for ever") == duration::max());
  cache.put("timed", 2, {.ttl = 5ns});
  CHECK(cache.expires_in("timed") == 5ns);
  CHECK(cache.expires_in("absent") == std::nullopt);
  test_clock::advance(5ns);
  CHECK(cache.purge_expired() == 1);
  CHECK(cache.get("for ever") == 1);
}

TEST_CASE_METHOD(fixture, "a time to live of zero or less: expired at once") {
  cache_type cache{observed({.capacity = 4, .ttl = 10ns})};
  cache.put("a", 1);
  CHECK_FALSE(cache.put("a", 2, {.ttl = 0ns}));
  CHECK_FALSE(cache.contains("a"));
  CHECK(left == departures{{"a", removal_cause::replaced}, {"a", removal_cause::expired}});
  left.clear();
  CHECK_FALSE(cache.put("b", 3, {.ttl = -5ns}));
  CHECK_FALSE(cache.put_if_absent("b", 3, {.ttl = duration::min()}));
  CHECK(cache.compute("b", [](const int*) { return std::optional<int>{4}; }, {.ttl = -1ns}) == 4);
  CHECK_FALSE(cache.contains("b"));
  CHECK(cache.get_or_load("b", [](const std::string&) { return 5; }, {.ttl = 0ns}) == 5);
  CHECK_FALSE(cache.contains("b"));
  CHECK(left == departures(4, {"b", removal_cause::expired}));
  CHECK(cache.size() == 0);
  CHECK(cache.stats().expirations == 5);
  CHECK(cache.stats().weight == 0);
}

TEST_CASE_METHOD(fixture, "a time to live that overflows never ends") {
  SECTION("of the cache") {
    cache_type cache{{.capacity = 4, .ttl = duration::max(), .idle_ttl = duration::max()}};
    cache.put("a", 1);
    test_clock::set(time_point::max());
    CHECK(cache.get("a") == 1);
  }
  SECTION("of an entry") {
    cache_type cache{{.capacity = 4, .ttl = 10ns}};
    cache.put("a", 1, {.ttl = duration::max()});
    cache.put("b", 1, {.ttl = duration::max() - 1h});
    CHECK(cache.expires_in("a") == duration::max());
    CHECK(cache.expires_in("b") == duration::max());
    test_clock::set(time_point::max());
    CHECK(cache.get("a") == 1);
    CHECK(cache.get("b") == 1);
  }
  SECTION("near the beginning of time") {
    test_clock::set(time_point::min());
    cache_type cache{{.capacity = 4, .ttl = duration::max()}};
    cache.put("a", 1);
    cache.put("b", 1, {.ttl = 5ns});
    CHECK_FALSE(cache.put("c", 1, {.ttl = duration::min()}));
    CHECK(cache.expires_in("b") == 5ns);
    test_clock::advance(5ns);
    CHECK(cache.get("b") == std::nullopt);
    CHECK(cache.get("a") == 1);
  }
  SECTION("with a jitter") {
    cache_type cache{{.capacity = 4, .ttl = duration::max() - 1ns, .ttl_jitter = 1}};
    cache.put("a", 1);
    cache.put("b", 1, {.ttl = duration::max()});
    CHECK(cache.contains("b"));
  }
}

TEST_CASE_METHOD(fixture, "a clock that stands still expires nothing") {
  cache_type cache{{.capacity = 4, .ttl = 1ns, .idle_ttl = 1ns}};
  for (int i = 0; i < 1000; ++i) {
    cache.put("a", i);
    REQUIRE(cache.get("a") == i);
    REQUIRE(cache.expires_in("a") == 1ns);
  }
  CHECK(cache.purge_expired() == 0);
  CHECK(cache.stats().expirations == 0);
}

TEST_CASE_METHOD(fixture, "a clock that goes back expires nothing early and prolongs nothing written") {
  cache_type cache{{.capacity = 4, .ttl = 10ns}};
  cache.put("a", 1);
  test_clock::advance(-500h);
  CHECK(cache.get("a") == 1);
  CHECK(cache.expires_in("a") == 10ns);
  cache.put("b", 2);  // at the latest time known, not before
  CHECK(cache.expires_in("b") == 10ns);
  test_clock::set(start + 9ns);
  CHECK(cache.get("a") == 1);
  CHECK(cache.get("b") == 2);
  test_clock::set(start + 10ns);
  CHECK(cache.get("a") == std::nullopt);
  CHECK(cache.get("b") == std::nullopt);
}

TEST_CASE_METHOD(fixture, "the caller's own time, also an older one") {
  cache_type cache{{.capacity = 4, .ttl = 10ns}};
  cache.put("a", 1, {}, start + 100ns);
  CHECK(cache.get("a", start + 109ns) == 1);
  CHECK(cache.get("a", start) == 1);
  CHECK(cache.contains("a", start + 109ns));
  CHECK_FALSE(cache.contains("a", start + 110ns));
  CHECK(cache.get_many(std::vector<std::string>{"a"}, start + 109ns).front() == 1);
  cache.put("late", 2, {}, start);  // an older time counts as the latest known
  CHECK(cache.expires_in("late", start) == 10ns);
  CHECK_FALSE(cache.erase("a", start + 110ns));  // it had expired
  CHECK(cache.stats().expirations == 1);
  CHECK(cache.put_if_absent("late", 3, {}, start + 110ns));
  CHECK(cache.get("late", start + 110ns) == 3);
}

TEMPLATE_LIST_TEST_CASE("expired entries leave although nobody asks for them", "",
                        banyan::testing::one_policy_of_each_kind) {
  test_clock::set(start);
  std::size_t told = 0;
  timed_cache<TestType> cache{
      {.capacity = 200, .ttl = 10ns, .removal_listener = [&](const std::string&, int, removal_cause cause) {
         if (cause == removal_cause::expired) ++told;
       }}};
  for (int i = 0; i < 100; ++i) cache.put(std::to_string(i), i);
  test_clock::advance(10ns);
  for (int i = 0; i < 200; ++i) cache.put("only one key", i);
  CHECK(told == 100);
  CHECK(cache.size() == 1);
  CHECK(cache.stats().expirations == 100);
  CHECK(cache.stats().evictions == 0);
}

TEST_CASE_METHOD(fixture, "purge_expired keeps to its limit and goes on where it stopped") {
  cache_type cache{observed({.capacity = 100, .ttl = 10ns})};
  CHECK(cache.purge_expired() == 0);
  for (int i = 0; i < 50; ++i) cache.put(std::to_string(i), i);
  cache.put("stays", 0, {.ttl = 1h});
  test_clock::advance(10ns);
  CHECK(cache.purge_expired(0) == 0);
  CHECK(cache.purge_expired(7) == 7);
  CHECK(cache.size() == 44);
  CHECK(cache.purge_expired(7) == 7);
  CHECK(cache.purge_expired() == 36);
  CHECK(cache.purge_expired() == 0);
  CHECK(cache.size() == 1);
  std::set<std::string> keys;
  for (const auto& [key, cause] : left) {
    CHECK(cause == removal_cause::expired);
    CHECK(keys.insert(key).second);
  }
  CHECK(keys.size() == 50);
  CHECK(cache.contains("stays"));
}

TEST_CASE_METHOD(fixture, "iteration, erase_if and clear do not take expired entries for living ones") {
  cache_type cache{observed({.capacity = 10, .ttl = 10ns})};
  cache.put("old", 1);
  test_clock::advance(10ns);
  std::size_t met = 0;
  SECTION("for_each") {
    cache.for_each([&](const std::string&, int) { ++met; });
    CHECK(met == 0);
  }
  SECTION("erase_if") {
    CHECK(cache.erase_if([](const std::string&, int) { return true; }) == 0);
    CHECK(left == departures{{"old", removal_cause::expired}});
  }
  SECTION("clear leaves nothing behind") {
    cache.clear();
    CHECK(cache.size() == 0);
    CHECK(left == departures{{"old", removal_cause::expired}});
  }
  SECTION("erase") {
    CHECK_FALSE(cache.erase("old"));
    CHECK(left == departures{{"old", removal_cause::expired}});
  }
  SECTION("compute") {
    CHECK(cache.compute("old", [](const int* value) { return std::optional<int>{value != nullptr ? -1 : 2}; }) == 2);
    CHECK(left == departures{{"old", removal_cause::expired}});
    CHECK(cache.expires_in("old") == 10ns);
  }
  SECTION("put") {
    cache.put("old", 2);
    CHECK(left == departures{{"old", removal_cause::expired}});
  }
  SECTION("get_or_load loads again") {
    CHECK(cache.get_or_load("old", [](const std::string&) { return 7; }) == 7);
    CHECK(cache.get("old") == 7);
    CHECK(cache.expires_in("old") == 10ns);
  }
}

TEST_CASE_METHOD(fixture, "a jitter shortens times to live at random, within its part") {
  const std::uint64_t seed = banyan::testing::derived_seed("jitter");
  CAPTURE(seed);
  cache_type cache{{.capacity = 1000, .ttl = 1000ns, .ttl_jitter = 0.2, .seed = seed}};
  std::set<duration> different;
  duration sum{0};
  for (int i = 0; i < 1000; ++i) {
    cache.put(std::to_string(i), i);
    const auto left_over = cache.expires_in(std::to_string(i));
    REQUIRE(left_over);
    REQUIRE(*left_over > 799ns);
    REQUIRE(*left_over <= 1000ns);
    different.insert(*left_over);
    sum += *left_over;
  }
  CHECK(different.size() > 100);
  CHECK(sum / 1000 > 880ns);
  CHECK(sum / 1000 < 920ns);
  // All of it: from nothing to the whole.
  cache_type all{{.capacity = 1000, .ttl = 1000ns, .ttl_jitter = 1, .seed = seed}};
  for (int i = 0; i < 1000; ++i) static_cast<void>(all.put(std::to_string(i), i));
  test_clock::advance(500ns);
  all.purge_expired();
  CHECK(all.size() > 400);
  CHECK(all.size() < 600);
}

TEST_CASE("clocks of other grains") {
  using coarse =
      banyan::basic_cache<int, int, banyan::lru_policy, banyan::seeded_hash, std::equal_to<>, banyan::coarse_clock>;
  coarse cache{{.capacity = 4, .ttl = 1h}};
  cache.put(1, 1);
  CHECK(cache.get(1) == 1);
  using system = banyan::basic_cache<int, int, banyan::lru_policy, banyan::seeded_hash, std::equal_to<>,
                                     std::chrono::system_clock>;
  system calendar{{.capacity = 4, .ttl = 1h}};
  calendar.put(1, 1);
  CHECK(calendar.get(1) == 1);
  CHECK(calendar.expires_in(1, std::chrono::system_clock::now() + 2h) == std::nullopt);
}
