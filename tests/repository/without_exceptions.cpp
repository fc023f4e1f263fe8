// Built with -fno-exceptions -fno-rtti and run as the test no_exceptions: the whole library must do without both.
// Catch2 needs exceptions, so this program checks for itself and says what failed.
#include <banyan/banyan.hpp>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this program is meant to be built without exceptions and without run-time type information"
#endif

namespace {

int failures = 0;

void check(bool holds, const char* what, const char* where) {
  if (holds) return;
  std::printf("failed in %s: %s\n", where, what);
  ++failures;
}

template <class Cache>
void use(const char* name) {
  Cache cache{{.capacity = 64}};
  for (int i = 0; i < 1000; ++i) cache.put(std::to_string(i), i);
  check(cache.size() > 0 && cache.size() <= cache.capacity(), "the capacity holds", name);

  cache.clear();
  cache.put("a", 1, {.ttl = std::chrono::hours{1}, .weight = 1});
  check(cache.get(std::string_view{"a"}) == std::optional<int>{1}, "get finds what put stored", name);
  check(cache.visit("a", [](const int&) {}), "visit finds it too", name);
  check(cache.get_or_load("b", [](const std::string&) { return 2; }) == 2, "get_or_load loads", name);
  check(cache.erase("a") && !cache.get("a"), "erase erases", name);
  check(cache.stats().hits > 0 && cache.stats().loads == 1, "statistics count", name);
}

template <class Policy>
void balance(const char* name) {
  banyan::cluster<std::string> web;
  const banyan::endpoint_id a = web.add("a");
  const banyan::endpoint_id b = web.add("b", {.weight = 2});
  banyan::balancer<std::string, Policy> lb{web};
  for (std::uint64_t key = 0; key < 100; ++key) {
    auto pick = lb.pick({.key = banyan::hash_of(key)});
    check(static_cast<bool>(pick), "somebody is picked", name);
    key % 2 == 0 ? pick.succeeded(std::chrono::milliseconds{1}) : pick.failed();
  }
  check(web.in_flight(a) + web.in_flight(b) == 0, "every token gives back", name);
  web.drain_all();
  check(!lb.pick() && web.wait_drained(std::chrono::seconds{1}), "draining drains", name);
}

void lend() {
  int opened = 0;
  banyan::connection_pool<int> pool{[&]() -> std::optional<int> { return ++opened; },  // none: could not be opened
                                    {.min = 0, .max = 2, .maintenance = banyan::pool_maintenance::caller}};
  auto first = pool.acquire();
  check(first && **first == 1, "who waits opens one", "connection_pool");
  auto second = pool.acquire();
  check(second && !pool.try_acquire(), "no more than max", "connection_pool");
  (*second).discard();
  first->release();
  check(static_cast<bool>(pool.try_acquire()), "what comes back is lent again", "connection_pool");
  check(pool.close(), "and closed", "connection_pool");

  banyan::object_pool<std::string> buffers{[] { return std::string(64, ' '); }, {.max = 1}};
  check(static_cast<bool>(buffers.try_acquire()), "an object is made", "object_pool");
}

void route() {
  const banyan::range_router<int> by_number{{10, 20}};
  check(by_number.route(9) == 0 && by_number.route(10) == 1 && by_number.route(20) == 2, "ranges", "range_router");
  banyan::shard_map<banyan::range_router<int>, std::string> map{by_number, {{0, "a"}, {1, "b"}, {2, "c"}}};
  const auto found = map.find(15);
  check(found && *found == "b", "the map finds who serves", "shard_map");
}

void limit() {
  banyan::token_bucket bucket{{.rate = 1.0, .burst = 2}};
  check(bucket.try_acquire() && bucket.try_acquire() && !bucket.try_acquire(), "the burst is all", "token_bucket");
  banyan::circuit_breaker breaker{{}};
  auto call = breaker.try_acquire();
  check(static_cast<bool>(call), "closed at first", "circuit_breaker");
}

}  // namespace

int main() {
  lend();
  route();
  limit();
  balance<banyan::round_robin>("round_robin");
  balance<banyan::smooth_weighted_round_robin>("smooth_weighted_round_robin");
  balance<banyan::power_of_two>("power_of_two");
  balance<banyan::peak_ewma>("peak_ewma");
  balance<banyan::sticky<banyan::ring_affinity>>("sticky");
  use<banyan::lru_cache<std::string, int>>("lru_cache");
  use<banyan::lfu_cache<std::string, int>>("lfu_cache");
  use<banyan::fifo_cache<std::string, int>>("fifo_cache");
  use<banyan::sieve_cache<std::string, int>>("sieve_cache");
  use<banyan::s3fifo_cache<std::string, int>>("s3fifo_cache");
  use<banyan::tinylfu_cache<std::string, int>>("tinylfu_cache");
  use<banyan::adaptive_cache<std::string, int>>("adaptive_cache");
  return failures == 0 ? 0 : 1;
}
