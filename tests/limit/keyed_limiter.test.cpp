#include <banyan/core/detail/wide_product.hpp>
#include <banyan/limit/ipv6_prefix.hpp>
#include <banyan/limit/keyed_limiter.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "at_once.hpp"
#include "given_time.hpp"
#include "promise.hpp"
#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::testing::refused_field;

using numbered = banyan::keyed_limiter<std::uint64_t, banyan::token_bucket<given_clock>>;

const banyan::seeded_hash fixed_hash{12345};

TEST_CASE("each key has its bucket", "[limit][keyed_limiter]") {
  banyan::keyed_limiter<std::string, banyan::token_bucket<>> per_client{{.rate = 10, .burst = 10},
                                                                        {.max_keys = 1'000'000}};
  const auto now = banyan::steady_clock::now();
  for (std::uint64_t i = 0; i < 10; ++i) {
    CHECK(per_client.try_acquire("10.0.0.1", 1, now).remaining() == 9 - i);
    CHECK(per_client.try_acquire(std::string_view{"10.0.0.2"}, 1, now));
  }
  CHECK(!per_client.try_acquire(std::string{"10.0.0.1"}, 1, now));
  CHECK(per_client.try_acquire("10.0.0.3"));
  CHECK(per_client.busy() == 3);
  CHECK(per_client.memory() < 12'000'000);
  CHECK(per_client.try_acquire("10.0.0.1", 11, now).never());
  CHECK(per_client.try_acquire("10.0.0.3", 0, now));
}

TEST_CASE("a key's bucket is a token bucket, and idle keys vanish", "[limit][keyed_limiter]") {
  for (const double rate : {1e-4, 0.3, 10.0, 977.0, 1e6}) {
    CAPTURE(rate);
    numbered limiter{{.rate = rate, .burst = 5}, {.max_keys = 100}, start, fixed_hash};
    CHECK(limiter.try_acquire(7, 5, start));
    const auto refused = limiter.try_acquire(7, 2, start);
    CHECK(!refused);
    const double exact = 2e9 / rate;
    CHECK(static_cast<double>(refused.retry_after().count()) >= exact);
    CHECK(static_cast<double>(refused.retry_after().count()) <= exact + 2001);
    CHECK(!limiter.try_acquire(7, 2, after(nanoseconds{static_cast<std::int64_t>(exact) - 2000})));
    CHECK(!limiter.try_acquire(7, 1, start - 100h));
    CHECK(!limiter.try_acquire(7, 1, time_point::min()));
    CHECK(limiter.look(7, 2, after(refused.retry_after())));
    CHECK(limiter.try_acquire(7, 2, after(refused.retry_after())));
    CHECK(limiter.busy(after(refused.retry_after())) == 1);
    const auto idle = after(nanoseconds{static_cast<std::int64_t>(7.01e9 / rate) + 2});
    CHECK(limiter.busy(idle) == 0);
    CHECK(limiter.look(7, 0, idle).remaining() == 5);
    CHECK(limiter.try_acquire(7, 5, time_point::max()));
    CHECK(!limiter.try_acquire(7, 1, time_point::max()));
  }
}

TEST_CASE("keys' buckets against token buckets, by the same calls", "[limit][keyed_limiter]") {
  const std::uint64_t seed = banyan::testing::derived_seed("keyed limiter");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  // A rate and steps of whole units: both are exact.
  const double rate = 512;
  numbered limiter{{.rate = rate, .burst = 6}, {.max_keys = 1000}, start, fixed_hash};
  std::vector<std::unique_ptr<banyan::token_bucket<given_clock>>> model;
  for (int i = 0; i < 50; ++i) {
    model.push_back(std::make_unique<banyan::token_bucket<given_clock>>(
        banyan::token_bucket_options{.rate = rate, .burst = 6}, start));
  }
  const nanoseconds unit{1'953'125};  // one token
  std::int64_t units = 0;
  for (int i = 0; i < 30'000; ++i) {
    units += static_cast<std::int64_t>(random.below(2));
    const std::uint64_t key = random.below(50);
    const std::uint64_t n = random.below(8);
    const auto mine = limiter.try_acquire(key, n, after(unit * units));
    const auto theirs = model[key]->try_acquire(n, after(unit * units));
    REQUIRE(mine.allowed() == theirs.allowed());
    REQUIRE(mine.never() == theirs.never());
    REQUIRE(mine.remaining() == theirs.remaining());
  }
  CHECK(limiter.overflows() == 0);
}

TEST_CASE("a table that is full does as it was told", "[limit][keyed_limiter]") {
  using banyan::keyed_limiter_full;
  for (const auto when_full : {keyed_limiter_full::forget, keyed_limiter_full::refuse, keyed_limiter_full::admit}) {
    numbered limiter{{.rate = 1, .burst = 10}, {.max_keys = 1, .when_full = when_full}, start, fixed_hash};
    REQUIRE(limiter.memory() == 128);  // one set of fifteen
    for (std::uint64_t key = 0; key < 15; ++key) REQUIRE(limiter.try_acquire(key, key == 5 ? 3 : 4, start));
    CHECK(limiter.overflows() == 0);
    const auto d = limiter.try_acquire(99, 7, start);
    CHECK(limiter.overflows() == 1);
    CHECK(limiter.busy(start) == 15);
    if (when_full == keyed_limiter_full::forget) {
      CHECK(d.remaining() == 3);
      CHECK(limiter.look(5, 10, start));  // it had the least to remember
      CHECK(!limiter.look(4, 7, start));
      CHECK(!limiter.try_acquire(99, 4, start));
    } else if (when_full == keyed_limiter_full::refuse) {
      CHECK(!d);
      CHECK(d.retry_after() >= 3s);
      CHECK(d.retry_after() <= 3s + 2us);
      CHECK(limiter.try_acquire(99, 7, after(d.retry_after())));
    } else {
      CHECK(d);
      CHECK(limiter.try_acquire(99, 10, start));
      CHECK(!limiter.look(5, 8, start));
    }
  }
}

TEST_CASE("keys by the million: memory stays, busy keys keep their limits", "[limit][keyed_limiter]") {
  numbered limiter{{.rate = 1, .burst = 4}, {.max_keys = 30'000}, start, fixed_hash};
  std::uint64_t wrong = 0;
  for (std::uint64_t key = 0; key < 30'000; ++key) {
    if (!limiter.try_acquire(key, 3, start)) ++wrong;  // shares a bucket
  }
  CHECK(wrong <= 30);
  CHECK(limiter.overflows() <= 30'000 * 3 / 100);
  std::uint64_t remembered = 0;
  for (std::uint64_t key = 0; key < 30'000; ++key) remembered += limiter.look(key, 2, start) ? 0 : 1;
  CHECK(remembered >= 30'000 * 96 / 100);
  // A flood of new keys that ask for one token each does not push out who has used more.
  for (std::uint64_t key = 1'000'000; key < 2'000'000; ++key) limiter.try_acquire(key, 1, start);
  std::uint64_t kept = 0;
  for (std::uint64_t key = 0; key < 30'000; ++key) kept += limiter.look(key, 2, start) ? 0 : 1;
  CHECK(kept >= remembered * 97 / 100);
  CHECK(limiter.busy(after(5s)) == 0);
}

TEST_CASE("hostile keys: what crowds a set by one seed is spread by another", "[limit][keyed_limiter]") {
  const banyan::keyed_limiter_options room{.max_keys = 1000};
  numbered known{{.rate = 1, .burst = 10}, room, start, fixed_hash};
  numbered unknown{{.rate = 1, .burst = 10}, room, start};  // the process's own seed
  const std::uint64_t sets = known.memory() / sizeof(banyan::detail::keyed_table::set);
  int found = 0;
  for (std::uint64_t key = 0; found < 100; ++key) {
    if (banyan::detail::multiply_high(fixed_hash(key), sets) != 7) continue;
    ++found;
    known.try_acquire(key, 5, start);
    unknown.try_acquire(key, 5, start);
  }
  CHECK(known.overflows() == 85);
  CHECK(unknown.overflows() == 0);
}

// Half a minute; by hand.
TEST_CASE("keys by the hundred million: memory stays", "[.][limit][keyed_limiter]") {
  numbered limiter{{.rate = 1, .burst = 4}, {.max_keys = 100'000}, start, fixed_hash};
  const std::size_t memory = limiter.memory();
  for (std::uint64_t key = 0; key < 50'000; ++key) limiter.try_acquire(key, 4, start);
  std::uint64_t admitted = 0;
  for (std::uint64_t key = 1'000'000; key < 101'000'000; ++key) admitted += limiter.try_acquire(key, 1, start) ? 1 : 0;
  CHECK(limiter.memory() == memory);
  CHECK(admitted >= 99'000'000);  // new ones get what each new key gets
  std::uint64_t kept = 0;
  for (std::uint64_t key = 0; key < 50'000; ++key) kept += limiter.look(key, 1, start) ? 0 : 1;
  CHECK(kept >= 45'000);
  CHECK(limiter.busy(after(5s)) == 0);
}

TEST_CASE("options of keyed limiters are refused by name", "[limit][keyed_limiter]") {
  const auto make = [](double rate, std::uint64_t burst, std::uint64_t keys) {
    return refused_field([&] { numbered{{.rate = rate, .burst = burst}, {.max_keys = keys}}; });
  };
  CHECK(make(1, 1, 0) == "keyed_limiter_options.max_keys");
  CHECK(make(1, 1, ~std::uint64_t{0}) == "keyed_limiter_options.max_keys");
  CHECK(make(0, 1, 1) == "token_bucket_options.rate");
  CHECK(make(1e7, 1, 1) == "token_bucket_options.rate");
  CHECK(make(banyan::testing::not_a_number, 1, 1) == "token_bucket_options.rate");
  CHECK(make(1, 0, 1) == "token_bucket_options.burst");
  CHECK(make(1e6, std::uint64_t{1} << 41, 1) == "token_bucket_options.burst");
  CHECK(make(1e6, std::uint64_t{1} << 40, 1) == "");
}

TEST_CASE("keys of threads with crooked clocks never get more than promised", "[limit][keyed_limiter][promise]") {
  for (std::uint64_t round = 0; round < 6; ++round) {
    const std::uint64_t seed = banyan::testing::derived_seed("keyed promise", round);
    CAPTURE(seed);
    const double rate = 100'000;
    const std::uint64_t burst = 4 + round;
    numbered limiter{{.rate = rate, .burst = burst}, {.max_keys = 64}, start, fixed_hash};
    std::atomic<std::uint64_t> turn{0};
    std::vector<std::vector<std::uint64_t>> keys(4);
    // Few keys in one set after another, so that they come, go idle and come again in other words.
    std::vector<std::vector<banyan::testing::admission>> by_key(5);
    std::vector<std::vector<std::vector<banyan::testing::admission>>> lanes(4, by_key);
    static_cast<void>(banyan::testing::recorded_run(4, 5000, 1'500, 2, seed, start,
                                                    [&](std::uint64_t n, time_point now, std::size_t thread) {
                                                      const std::uint64_t key = turn.fetch_add(1) / 3 % 5;
                                                      const bool given = limiter.try_acquire(key, n, now).allowed();
                                                      if (given)
                                                        lanes[thread][key].push_back({(now - start).count(), n});
                                                      return given;
                                                    }));
    for (std::size_t key = 0; key < 5; ++key) {
      std::vector<banyan::testing::admission> all;
      for (const auto& lane : lanes) all.insert(all.end(), lane[key].begin(), lane[key].end());
      CHECK(all.size() > 100);
      CHECK(banyan::testing::excess(all, rate, static_cast<double>(burst)) <= rate * 2e-6);
    }
  }
}

TEST_CASE("threads that bring a new key at once get one bucket for it", "[limit][keyed_limiter][promise]") {
  // One set. A round is a second, and a key is idle after three: for the thread whose clock is a little ahead one word
  // more is free than for the other, so they choose different words.
  constexpr std::uint64_t rounds = 20'000;
  numbered limiter{{.rate = 1, .burst = 3}, {.max_keys = 1}, start, fixed_hash};
  std::vector<std::atomic<int>> given(rounds);
  std::atomic<std::uint64_t> arrived{0};
  {
    std::vector<banyan::testing::joining_thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t key = 0; key < rounds; ++key) {
          const auto now = start + 1s * static_cast<std::int64_t>(key) + (t == 0 ? 0us : 4us);
          arrived.fetch_add(1);
          for (int spins = 0; arrived.load() < 2 * (key + 1); ++spins) {
            if (spins > 2000) std::this_thread::yield();
          }
          for (int i = 0; i < 3; ++i) given[key].fetch_add(limiter.try_acquire(key, 1, now) ? 1 : 0);
        }
      });
    }
  }
  int most = 0;
  int all = 0;
  for (const auto& each : given) {
    most = std::max(most, each.load());
    all += each.load();
  }
  CHECK(most <= 3);
  CHECK(all >= 3 * static_cast<int>(rounds) * 75 / 100);
}

TEST_CASE("no count of a key is lost when all come at once", "[limit][keyed_limiter][promise]") {
  numbered limiter{{.rate = 1, .burst = 1'500'000}, {.max_keys = 100}, start, fixed_hash};
  std::atomic<std::uint64_t> given{0};
  banyan::testing::at_once(3, [&](int) {
    std::uint64_t mine = 0;
    for (int i = 0; i < 1'000'000; ++i) mine += limiter.try_acquire(1, 1, start) ? 1U : 0U;
    given.fetch_add(mine);
  });
  CHECK(given.load() == 1'500'000);
}

TEST_CASE("a tentative word is settled by who finds it, and has no precedence over a settled one",
          "[limit][keyed_limiter]") {
  using table = banyan::detail::keyed_table;
  using verdict = banyan::detail::gcra_outcome::verdict;
  const std::uint64_t hash = 0x1234'0000'0000'beefU;
  const auto settled = [](std::uint64_t time) { return (std::uint64_t{0xbeef} << 48) | time; };
  const auto tentative = [=](std::uint64_t time) { return settled(time) | (std::uint64_t{1} << 47); };
  const table::request ask{hash, 100, 5000, 1000};  // floor 4000
  table::set place{};
  place.words[3].store(tentative(4300));  // as if its thread had stopped
  place.words[9].store(tentative(4500));
  CHECK(table::take(place, ask, table::when_full::forget).outcome.credit == 600);
  CHECK(place.words[3].load() == settled(4400));
  CHECK(place.words[9].load() == 0);
  place.words[1].store(tentative(4950));
  CHECK(table::take(place, ask, table::when_full::forget).outcome.credit == 500);
  CHECK(place.words[1].load() == 0);
  CHECK(place.words[3].load() == settled(4500));
  place.words[3].store(settled(100));  // idle since long: it goes on there
  place.words[1].store(tentative(4950));
  CHECK(table::take(place, ask, table::when_full::forget).outcome.credit == 900);
  CHECK(place.words[1].load() == 0);
  CHECK(place.words[3].load() == settled(4100));
  place.words[1].store(tentative(4950));
  table::give_back(place, hash, 50);
  CHECK(place.words[1].load() == tentative(4950));
  CHECK(place.words[3].load() == settled(4050));
  CHECK(table::take(place, {hash, 950, 5000, 1000}, table::when_full::forget).outcome.what == verdict::admitted);
}

TEST_CASE("a clock that is ahead does not make a key's past forgotten", "[limit][keyed_limiter][promise]") {
  using table = banyan::detail::keyed_table;
  using verdict = banyan::detail::gcra_outcome::verdict;
  table::set place{};
  const std::uint64_t key = 0x1111;
  const auto take = [&](std::uint64_t hash, std::uint64_t cost, std::uint64_t now) {
    return table::take(place, {hash, cost, now, 1000}, table::when_full::forget).outcome.what;
  };
  CHECK(take(key, 1000, 5000) == verdict::admitted);
  CHECK(take(key, 1, 5000) == verdict::refused);
  // For this caller all of them are idle, the first key's too: its word is used again.
  for (std::uint64_t other = 1; other <= table::ways; ++other) CHECK(take(other, 10, 90'000) == verdict::admitted);
  CHECK(take(key, 1, 5000) == verdict::refused);
  CHECK(take(key, 1000, 95'000) == verdict::admitted);
}

TEST_CASE("a stopped thread holds no key up", "[limit][keyed_limiter][stop]") {
  numbered limiter{{.rate = 1e6, .burst = 3}, {.max_keys = 24}, start, fixed_hash};
  std::atomic<std::int64_t> time{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .mode = banyan::testing::stop_mode::several, .at_most = 400ms}, [&](std::size_t, std::uint64_t i) {
        const auto now = after(nanoseconds{time.fetch_add(50)});
        static_cast<void>(limiter.try_acquire(i % 40, 1 + i % 2, now));
        if (i % 3 == 0) limiter.of(i % 40).give_back(1, now, now);
      });
  INFO(result.describe());
  CHECK(result.passed());
}

TEST_CASE("addresses and their networks", "[limit][ipv6_prefix]") {
  using banyan::ipv6_prefix;
  CHECK(ipv6_prefix("2001:db8:1:2:3:4:5:6") == 0x20010db800010002U);
  CHECK(ipv6_prefix("2001:db8:1:2::") == ipv6_prefix("2001:DB8:1:2:ffff::1"));
  CHECK(ipv6_prefix("2001:db8:1:2::1", 48) == ipv6_prefix("2001:db8:1:fffe::1", 48));
  CHECK(ipv6_prefix("2001:db8:1:2::1", 48) != ipv6_prefix("2001:db8:2:2::1", 48));
  CHECK(ipv6_prefix("fe80::1%eth0") == 0xfe80000000000000U);
  CHECK(ipv6_prefix("::") == 0U);
  CHECK(ipv6_prefix("::1") == 0U);
  CHECK(ipv6_prefix("1::") == 0x0001000000000000U);
  CHECK(ipv6_prefix("::2:3:4:5:6:7:8") == 0x0000000200030004U);
  CHECK(ipv6_prefix("192.0.2.1") == 0x0000ffffc0000201U);
  CHECK(ipv6_prefix("::ffff:192.0.2.1") == ipv6_prefix("192.0.2.1"));
  CHECK(ipv6_prefix("::ffff:c000:201", 8) == ipv6_prefix("192.0.2.1"));
  CHECK(ipv6_prefix("64:ff9b::192.0.2.1") == ipv6_prefix("192.0.2.1"));
  CHECK(ipv6_prefix("192.0.2.1") != ipv6_prefix("192.0.2.2"));
  for (const char* bad : {"",
                          ":",
                          ":::",
                          "1",
                          "1:2:3:4:5:6:7",
                          "1:2:3:4:5:6:7:8:9",
                          "1::2::3",
                          "12345::",
                          "g::",
                          "1:2:3:4:5:6:7:",
                          "1.2.3",
                          "1.2.3.4.5",
                          "256.1.1.1",
                          "01.2.3.4",
                          "1.2.3.4 ",
                          "::1.2.3",
                          "1:2:3:4:5:6:7:1.2.3.4",
                          "1:2:3:4:5:6:7::8",
                          "::1:2:3:4:5:6:7:8",
                          ":1::2",
                          "1.2.3.4::"}) {
    INFO(bad);
    CHECK(ipv6_prefix(std::string_view{bad}) == std::nullopt);
  }
  std::array<unsigned char, 16> bytes{0x20, 0x01};
  CHECK(ipv6_prefix(std::span<const unsigned char, 16>{bytes}, 16) == 0x2001000000000000U);
  CHECK(refused_field([&] { static_cast<void>(ipv6_prefix(std::span<const unsigned char, 16>{bytes}, 0)); }) ==
        "ipv6_prefix.bits");
  CHECK(refused_field([&] { static_cast<void>(ipv6_prefix("::1", 65)); }) == "ipv6_prefix.bits");
}

}  // namespace
