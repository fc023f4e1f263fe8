#include "support/catch.hpp"

#if !defined(BANYAN_TEST_HIREDIS)

TEST_CASE("redis_token_bucket: skipped, this build has no hiredis") { SUCCEED(); }

#else

#include <banyan/adapters/redis_token_bucket.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "adapters/redis_server.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

using banyan::circuit_state;
using banyan::rate_decision;
using banyan::redis_connection;
using banyan::redis_error;
using banyan::redis_fallback;
using banyan::redis_token_bucket;
using banyan::redis_token_bucket_options;
using banyan::detail::redis_gcra;
using banyan::testing::connected;
using banyan::testing::joining_thread;
using banyan::testing::machine_connections;
using banyan::testing::refused_field;
using banyan::testing::server;
using pool_type = redis_token_bucket::pool;

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

struct machine {
  pool_type pool{connected, machine_connections()};
};

// Times that no machine is too slow for, where nothing is to time out.
redis_token_bucket_options patient(redis_token_bucket_options options) {
  options.timeout = 60s;
  return options;
}

double seconds_at(redis_connection& c) {
  const auto time = c.command("TIME");
  return std::stod(std::string{time[0].text().value()}) + std::stod(std::string{time[1].text().value()}) / 1e6;
}

// The script at a time of the test's choice, in microseconds. Kept from expiring, which would go by the real time.
banyan::detail::gcra_outcome run(redis_connection& c, std::string_view key, banyan::detail::gcra_terms terms,
                                 std::uint64_t n, std::int64_t now) {
  const auto cost = redis_gcra::split(terms.cost(n));
  const auto full = redis_gcra::split(terms.tolerance());
  c.command("MULTI");
  c.command("EVAL", redis_gcra::script, "1", key, cost[0], cost[1], full[0], full[1], std::to_string(now / 1'000'000),
            std::to_string(now % 1'000'000));
  c.command("PERSIST", key);
  const auto both = c.command("EXEC");
  REQUIRE(both.size() == 2);
  INFO(both[0].text().value_or("no error"));
  const auto outcome = redis_gcra::outcome(both[0]);
  REQUIRE(outcome);
  return *outcome;
}

}  // namespace

TEST_CASE("redis_token_bucket: options that make no sense are refused") {
  pool_type pool{[]() -> redis_connection { return redis_connection{nullptr}; },
                 {.min = 0, .max = 1, .maintenance = banyan::pool_maintenance::caller}};
  const auto refused = [&](redis_token_bucket_options options) {
    return refused_field([&] {
      const redis_token_bucket bucket{pool, options};
      return 0;
    });
  };
  for (const double rate : {0.0, -1.0, banyan::testing::not_a_number, banyan::testing::infinity, 2e15}) {
    CHECK(refused({.rate = rate}) == "redis_token_bucket_options.rate");
  }
  CHECK(refused({.rate = 1, .burst = 0}) == "redis_token_bucket_options.burst");
  CHECK(refused({.rate = 1, .burst = (std::uint64_t{1} << 51) + 1}) == "redis_token_bucket_options.burst");
  CHECK(refused({.rate = 1, .burst = 1'000'000'000}) == "redis_token_bucket_options.rate");
  CHECK(refused({.rate = 1, .timeout = 0ns}) == "redis_token_bucket_options.timeout");
  CHECK(refused({.rate = 1, .timeout = std::chrono::nanoseconds::max()}) == "redis_token_bucket_options.timeout");
  CHECK(refused({.rate = 1, .fallback = redis_fallback{7}}) == "redis_token_bucket_options.fallback");
  CHECK(refused({.rate = 1, .local = {.rate = -1}}) == "token_bucket_options.rate");
  CHECK(refused({.rate = 1, .local_keys = 0}) == "keyed_limiter_options.max_keys");
  CHECK(refused({.rate = 1, .breaker = {.probes = 0}}) == "circuit_breaker_options.probes");
  CHECK(refused({.rate = 1e15, .burst = 1, .fallback = redis_fallback::refuse}).empty());
  CHECK(refused({.rate = 1}).empty());
}

TEST_CASE("redis_token_bucket: the server knows the script by the name it is asked for") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  CHECK(c.command("SCRIPT", "LOAD", redis_gcra::script).text() == redis_gcra::sha1);
}

TEST_CASE("redis_token_bucket: the script decides as token_bucket does, tick by tick") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  const std::uint64_t seed = banyan::testing::derived_seed("redis_token_bucket against token_bucket");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  const auto below = [&](std::uint64_t end) { return random.below(end); };
  struct setting {
    double rate;
    std::uint64_t burst;
  };
  int kept_going = 0;
  for (const auto [rate, burst] : {setting{1e-7, 3},
                                   {0.3, 1},
                                   {3.7, 10},
                                   {100, 20},
                                   {1e6 / 7, 1'000},
                                   {1e9 / 3, 4'000},
                                   {1e6, std::uint64_t{1} << 45},
                                   {1e15, std::uint64_t{1} << 51}}) {
    const banyan::detail::gcra_terms terms{rate, burst};
    const std::string key = "figures:" + std::to_string(kept_going++);
    constexpr std::int64_t begin = 1'795'000'000'000'000;
    std::int64_t now = begin;
    const auto at = [&] { return std::chrono::steady_clock::time_point{std::chrono::microseconds{now}}; };
    banyan::token_bucket<> twin{{.rate = rate, .burst = burst}, at()};
    const std::uint64_t most = terms.burst();
    constexpr std::int64_t years = 12 * 365 * 86'400'000'000;  // a token_bucket's time ends after thirteen
    for (int i = 0; i < 150 && now < begin + years; ++i) {
      const std::uint64_t n = below(4) == 0 ? below(most + 1) : below(4) == 0 ? 0 : 1 + below(most / 8 + 1);
      const rate_decision theirs{run(c, key, terms, n, now), terms};
      const rate_decision ours = twin.try_acquire(n, at());
      INFO("rate " << rate << ", burst " << burst << ", step " << i << ", n " << n);
      REQUIRE(theirs.allowed() == ours.allowed());
      REQUIRE(theirs.retry_after() == ours.retry_after());
      REQUIRE(theirs.remaining() == ours.remaining());
      // Mostly by some tokens' time, sometimes not at all, back a little, or for much longer than the burst takes.
      const double fill = static_cast<double>(most) / rate * 1e6;
      switch (below(8)) {
        case 0:
          break;
        case 1:
          now -= static_cast<std::int64_t>(fill * 0.01 * static_cast<double>(below(100)) / 100);
          break;
        case 2:
          now += static_cast<std::int64_t>(fill * static_cast<double>(below(300)) / 100);
          break;
        default:
          now += static_cast<std::int64_t>(fill * static_cast<double>(below(100)) / 800);
      }
    }
  }
}

TEST_CASE("redis_token_bucket: a server's clock that goes far back shuts a key for a burst's time at most") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  const banyan::detail::gcra_terms terms{10, 5};
  constexpr std::int64_t now = 1'795'000'000'000'000;
  REQUIRE(run(c, "back", terms, 5, now).what == banyan::detail::gcra_outcome::verdict::admitted);

  // By less: it has to be caught up with.
  const rate_decision less{run(c, "back", terms, 1, now - 300'000), terms};
  CHECK(!less.allowed());
  CHECK(less.remaining() == 0);
  CHECK(less.retry_after() == 400ms);

  // By a day: empty from then on.
  constexpr std::int64_t day_before = now - 86'400'000'000;
  const rate_decision more{run(c, "back", terms, 1, day_before), terms};
  CHECK(!more.allowed());
  CHECK(more.retry_after() == 100ms);
  CHECK(!rate_decision{run(c, "back", terms, 1, day_before + 99'999), terms}.allowed());
  CHECK(rate_decision{run(c, "back", terms, 1, day_before + 100'000), terms}.allowed());
  CHECK(!rate_decision{run(c, "back", terms, 1, day_before + 100'000), terms}.allowed());
}

TEST_CASE("redis_token_bucket: one key, many threads of two machines: not more than promised, and not less") {
  if (server() == nullptr) return;
  constexpr double rate = 50;
  constexpr std::uint64_t burst = 250;  // a machine that stands still for less than five seconds loses nothing
  machine first, second;
  redis_token_bucket at_first{first.pool, patient({.rate = rate, .burst = burst, .prefix = "two machines:"})};
  redis_token_bucket at_second{second.pool, patient({.rate = rate, .burst = burst, .prefix = "two machines:"})};
  redis_connection c = connected();
  c.command("FLUSHALL");
  std::atomic<std::uint64_t> admitted{0}, fallen_back{0};
  const double begin = seconds_at(c);
  REQUIRE(at_first.try_acquire("one").allowed());
  const double decided = seconds_at(c);
  admitted.store(1);
  {
    std::vector<joining_thread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        redis_token_bucket& bucket = i % 2 == 0 ? at_first : at_second;
        while (admitted.load() < burst + 50) {
          const auto d = bucket.try_acquire("one");
          if (d.fallen_back()) fallen_back.fetch_add(1);
          if (d) admitted.fetch_add(1);
        }
      });
    }
  }
  const double end = seconds_at(c);
  const std::uint64_t left = at_second.try_acquire("one", 0).remaining();
  const double looked = seconds_at(c);
  CHECK(fallen_back.load() == 0);
  const auto total = static_cast<double>(admitted.load());
  CHECK(total <= burst + rate * (end - begin));
  CHECK(total + static_cast<double>(left) <= burst + rate * (looked - begin));
  CHECK(total + static_cast<double>(left) >= 0.99 * (burst + rate * (end - decided)) - 1);
  CHECK(at_first.counted().by_redis + at_second.counted().by_redis >= admitted.load());
}

TEST_CASE("redis_token_bucket: keys are any bytes, apart from each other, and expire") {
  if (server() == nullptr) return;
  machine one;
  redis_connection c = connected();
  c.command("FLUSHALL");
  redis_token_bucket bucket{one.pool, patient({.rate = 0.01, .burst = 2, .prefix = "p:", .max_key = 1'000})};
  const std::string hostile[] = {"",
                                 "\0"s,
                                 "\0\0"s,
                                 "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
                                 "{a}",
                                 "%s%n \"'",
                                 "\xff\xfe",
                                 std::string(1'000, 'k'),
                                 std::string(999, 'k') + '\0'};
  for (const std::string& key : hostile) {
    const auto d = bucket.try_acquire(key, 2);
    CHECK(d.allowed());
    CHECK(!d.fallen_back());
    CHECK(d.remaining() == 0);
  }
  for (const std::string& key : hostile) CHECK(!bucket.try_acquire(key).allowed());
  CHECK(c.command("DBSIZE").integer() == static_cast<std::int64_t>(std::size(hostile)));

  const auto too_long = bucket.try_acquire(std::string(1'001, 'k'));
  CHECK(too_long.never());
  CHECK(!too_long.fallen_back());
  CHECK(bucket.try_acquire(std::string(50'000'000, 'k')).never());
  CHECK(bucket.try_acquire("n", 3).never());
  CHECK(bucket.try_acquire("n", ~std::uint64_t{0}).never());
  CHECK(c.command("EXISTS", "p:n").integer() == 0);

  // Looking, and refusals, write nothing.
  CHECK(bucket.try_acquire("n", 0).remaining() == 2);
  CHECK(c.command("EXISTS", "p:n").integer() == 0);
  CHECK(bucket.try_acquire("n").remaining() == 1);
  const std::string kept{c.command("GET", "p:n").text().value()};
  c.command("WATCH", "p:n");
  const auto refused = bucket.try_acquire("n", 2);
  c.command("MULTI");
  CHECK(!c.command("EXEC").is_nil());  // as it would be if the key had been written
  CHECK(!refused.allowed());
  CHECK(!refused.never());
  CHECK(refused.remaining() == 1);
  CHECK(refused.retry_after() > 0s);
  CHECK(refused.retry_after() <= 100s);
  CHECK(c.command("GET", "p:n").text() == kept);

  // A key lives until its bucket is full, 200 s after it was empty, and hardly longer.
  for (const std::string_view key : {"p:n", "p:{a}"}) {
    const std::string empty_at{c.command("GET", key).text().value()};
    const std::int64_t full_at =
        (std::stoll(empty_at) + 200) * 1'000 + std::stoll(empty_at.substr(empty_at.find(':') + 1)) / 32'000'000;
    const std::int64_t expires_at = c.command("PEXPIRETIME", key).integer().value();
    CHECK(expires_at > full_at);
    CHECK(expires_at <= full_at + 3);
  }
  redis_token_bucket quick{one.pool, patient({.rate = 1e6, .burst = 1, .prefix = "q:"})};
  CHECK(quick.try_acquire("soon full").allowed());
  while (c.command("EXISTS", "q:soon full").integer() != 0) std::this_thread::sleep_for(1ms);
}

TEST_CASE("redis_token_bucket: a server that has lost the script gets it again") {
  if (server() == nullptr) return;
  machine one;
  redis_connection c = connected();
  c.command("FLUSHALL");
  redis_token_bucket bucket{one.pool, patient({.rate = 0.01, .burst = 6})};
  for (int i = 0; i < 3; ++i) {
    c.command("SCRIPT", "FLUSH");
    CHECK(bucket.try_acquire("k").remaining() == 5U - 2U * static_cast<unsigned>(i));
    CHECK(bucket.try_acquire("k").remaining() == 4U - 2U * static_cast<unsigned>(i));
    CHECK(c.command("SCRIPT", "EXISTS", redis_gcra::sha1)[0].integer() == 1);
  }
  CHECK(!bucket.try_acquire("k").allowed());
  CHECK(bucket.counted().failures == 0);
  CHECK(bucket.counted().by_fallback == 0);
  CHECK(bucket.counted().by_redis == 7);
}

TEST_CASE("redis_token_bucket: keys that hold something else are left to the fallback, and only they") {
  if (server() == nullptr) return;
  machine one;
  redis_connection c = connected();
  c.command("FLUSHALL");
  std::vector<std::string> codes;
  redis_token_bucket bucket{one.pool, patient({.rate = 0.01,
                                               .burst = 1,
                                               .prefix = "",
                                               .fallback = redis_fallback::local,
                                               .local = {.rate = 0.01, .burst = 3},
                                               .on_failure = [&](const redis_error& e) {
                                                 codes.push_back(e.code());
                                                 throw 1;
                                               }})};
  c.command("RPUSH", "list", "a");
  c.command("SET", "text", "12:");
  c.command("SET", "empty", "");
  for (const std::string_view key : {"list", "text", "empty"}) {
    for (int i = 0; i < 20; ++i) {
      const auto d = bucket.try_acquire(key);
      CHECK(d.fallen_back());
      CHECK(d.allowed() == (i < 3));
    }
  }
  CHECK(codes == std::vector<std::string>(60, "WRONGTYPE"));
  CHECK(bucket.state() == circuit_state::closed);
  CHECK(!bucket.try_acquire("own").fallen_back());
  CHECK(c.command("GET", "text").text() == "12:");
  CHECK(c.command("LLEN", "list").integer() == 1);
}

TEST_CASE("redis_token_bucket: without a connection the fallback decides") {
  if (server() == nullptr) return;
  pool_type pool{[] { return connected(); }, {.min = 1, .max = 1}};
  std::string why;
  redis_token_bucket bucket{pool,
                            {.rate = 1,
                             .burst = 1,
                             .timeout = 1ms,
                             .fallback = redis_fallback::admit,
                             .on_failure = [&](const redis_error& e) { why = e.what(); }}};
  auto lent = pool.acquire({.timeout = 60s});
  REQUIRE(lent);
  CHECK(bucket.try_acquire("k").fallen_back());
  CHECK(contains(why, "no connection"));
  CHECK((*lent)->is_alive());
  pool.close();
  why.clear();
  CHECK(bucket.try_acquire("k").fallen_back());
  CHECK(contains(why, "no connection"));
  CHECK(bucket.counted().failures == 2);
  CHECK(bucket.counted().by_fallback == 2);
}

TEST_CASE("redis_token_bucket: what is no answer of the script is not taken for one") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  const auto outcome = [&](std::string_view script) {
    return redis_gcra::outcome(c.command("EVAL", script, "0").value());
  };
  CHECK(outcome("return {1, 0, 0, 2, 3}").value().credit == 64'000'000'003);
  CHECK(outcome("return {0, 1, 2, 0, 0}").value().wait == 32'000'000'002);
  for (const std::string_view wrong :
       {"return {}", "return 1", "return nil", "return {1, 0, 0, 0}", "return {1, 0, 0, 0, 0, 0}",
        "return {1, 0, 0, -1, 0}", "return {1, 0, 0, '0', 0}", "return {1, 0, 0, {0}, 0}"}) {
    CHECK(!outcome(wrong));
  }
}

TEST_CASE("redis_token_bucket: a server without memory") {
  if (server() == nullptr) return;
  machine one;
  redis_connection c = connected();
  c.command("FLUSHALL");
  std::string code;
  redis_token_bucket bucket{
      one.pool,
      patient({.rate = 1, .burst = 1, .fallback = redis_fallback::refuse, .on_failure = [&](const redis_error& e) {
                 code = e.code();
               }})};
  c.command("CONFIG", "SET", "maxmemory", "1");
  const auto d = bucket.try_acquire("k");
  c.command("CONFIG", "SET", "maxmemory", "0");
  CHECK(d.fallen_back());
  CHECK(!d.allowed());
  CHECK(code == "OOM");
  CHECK(bucket.try_acquire("k").allowed());
}

TEST_CASE("redis_token_bucket: a server that is killed, and comes back") {
  if (server() == nullptr) return;
  machine one;
  const auto options = [](redis_fallback fallback) {
    return redis_token_bucket_options{.rate = 0.01,
                                      .burst = 4,
                                      .timeout = 100ms,
                                      .fallback = fallback,
                                      .local = {.rate = 0.01, .burst = 2},
                                      .breaker = {.window = 10, .min_calls = 3, .open_for = 24h, .probes = 1}};
  };
  redis_token_bucket refuses{one.pool, options(redis_fallback::refuse)};
  redis_token_bucket admits{one.pool, options(redis_fallback::admit)};
  redis_token_bucket local{one.pool, options(redis_fallback::local)};
  redis_token_bucket* const all[] = {&refuses, &admits, &local};
  // Its timeout is short, so a slow machine may need several tries; each comes after the breaker has waited enough.
  auto later = std::chrono::steady_clock::now();
  const auto by_redis = [&](redis_token_bucket& bucket) {
    do {
      later += 25h;
    } while (bucket.try_acquire("k", 0, later).fallen_back());
  };
  for (redis_token_bucket* const each : all) by_redis(*each);

  server()->kill();
  while (refuses.state() == circuit_state::closed) {
    const auto d = refuses.try_acquire("k");
    CHECK(d.fallen_back());
    CHECK(!d.allowed());
    CHECK(!d.never());
    CHECK(d.retry_after() == 24h);
  }
  while (admits.state() == circuit_state::closed) CHECK(admits.try_acquire("k", 4).allowed());
  int admitted = 0;
  for (int i = 0; i < 10; ++i) admitted += local.try_acquire("k").allowed() ? 1 : 0;
  CHECK(admitted == 2);
  CHECK(local.state() == circuit_state::open);
  const auto more_than_local = local.try_acquire("k", 3);  // Redis may have it
  CHECK(!more_than_local.never());
  CHECK(more_than_local.retry_after() == 24h);
  CHECK(local.try_acquire("k", 5).never());

  // Once it is open, nobody asks.
  for (redis_token_bucket* const each : all) {
    const auto before = each->counted();
    for (int i = 0; i < 1'000; ++i) CHECK(each->try_acquire("other").fallen_back());
    CHECK(each->counted().failures == before.failures);
    CHECK(each->counted().by_fallback == before.by_fallback + 1'000);
  }

  server()->start();
  for (redis_token_bucket* const each : all) {
    by_redis(*each);
    CHECK(each->state() == circuit_state::closed);
  }
}

TEST_CASE("redis_token_bucket: a server that says nothing is waited for no longer than the time limit") {
  if (server() == nullptr) return;
  machine one;
  std::atomic<int> late{0};
  redis_token_bucket bucket{one.pool,
                            {.rate = 1e3,
                             .burst = 1'000,
                             .timeout = 20ms,
                             .fallback = redis_fallback::admit,
                             .breaker = {.window = 10, .min_calls = 3, .open_for = 1ms, .probes = 1},
                             .on_failure = [&](const redis_error& e) {
                               if (contains(e.what(), "time limit")) late.fetch_add(1);
                             }}};
  while (bucket.try_acquire("k").fallen_back()) {
  }
  server()->pause();
  {
    std::vector<joining_thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 30; ++j) (void)bucket.try_acquire("k");
      });
    }
  }
  const auto d = bucket.try_acquire("k");
  server()->resume();
  CHECK(d.fallen_back());
  CHECK(d.allowed());
  CHECK(late.load() > 0);
  while (bucket.try_acquire("k").fallen_back()) {
  }
}

TEST_CASE("redis_token_bucket: machines may change to another rate one after the other") {
  if (server() == nullptr) return;
  redis_connection c = connected();
  c.command("DEL", "changing");
  const banyan::detail::gcra_terms before{1, 10}, after{100, 50};
  constexpr std::int64_t now = 1'795'000'000'000'000;
  CHECK(rate_decision{run(c, "changing", before, 10, now), before}.allowed());
  const rate_decision empty{run(c, "changing", after, 1, now), after};
  CHECK(!empty.allowed());
  CHECK(empty.retry_after() == 10ms);
  CHECK(rate_decision{run(c, "changing", after, 50, now + 500'000), after}.allowed());
  CHECK(!rate_decision{run(c, "changing", before, 1, now + 500'000), before}.allowed());
}

#endif
