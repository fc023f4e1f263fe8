#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/balance/round_robin.hpp>
#include <banyan/replica/hedged_read.hpp>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::consistency_token;
using banyan::endpoint_id;
using banyan::hedge;
using banyan::hedge_attempt;
using banyan::hedge_end;
using banyan::read_fallback;
using banyan::read_outcome;
using banyan::testing::joining_thread;

using set = banyan::replica_set<int, banyan::round_robin>;

/// A primary, 0, and replicas from 1 on.
struct replicas {
  explicit replicas(int count) {
    for (int i = 0; i <= count; ++i) ids.push_back(i == 0 ? users.add_primary(i) : users.add_replica(i));
  }
  [[nodiscard]] banyan::endpoint_stats stats(int i) const {
    return *users.members().stats(ids[static_cast<std::size_t>(i)]);
  }
  [[nodiscard]] std::int64_t in_flight() const {
    std::int64_t sum = 0;
    for (const endpoint_id id : ids) sum += users.members().in_flight(id);
    return sum;
  }
  set users{{.balance = {.seed = 3}}};
  std::vector<endpoint_id> ids{};
};

/// Knows latencies of a microsecond, so the second attempt comes as soon as it may.
std::unique_ptr<hedge> eager(double max_extra = 1) {
  auto h = std::make_unique<hedge>(
      banyan::hedge_options{.max_extra = max_extra, .min_samples = 100, .window = 60s, .min_delay = 0ns},
      banyan::steady_clock::now() - 10s);
  for (int i = 0; i < 200; ++i) h->succeeded(1us);
  for (int i = 0; i < 200; ++i) h->request();
  return h;
}

/// Threads that are waited for at the end.
struct joined_threads {
  template <class F>
  void execute(F&& work) {
    threads.emplace_back([w = std::forward<F>(work)]() mutable { w(); });
  }
  void join() { threads.clear(); }
  std::vector<joining_thread> threads{};
};

struct dropping {
  template <class F>
  void execute(F&&) {}
};

void until_cancelled(const hedge_attempt& attempt) {
  while (!attempt.cancelled()) std::this_thread::yield();
}

consistency_token at_position(std::uint64_t position) {
  consistency_token session;
  session.read_at(position);
  return session;
}

const banyan::read_options own_writes{.consistency = banyan::read_your_writes};

}  // namespace

TEST_CASE("hedged_read: a fast read is a read", "[replica][hedge]") {
  replicas s{2};
  const auto policy = eager();
  banyan::inline_executor here;
  consistency_token session;
  int calls = 0;
  const auto got = hedged_read(s.users, session, *policy, here,
                               [&](const set::pick& r, consistency_token& seen, const hedge_attempt& attempt) {
                                 ++calls;
                                 CHECK(r.outcome() == read_outcome::replica);
                                 CHECK(s.in_flight() == 1);
                                 CHECK_FALSE(attempt.cancelled());
                                 r.observed(seen, 7);
                                 CHECK(session.empty());  // not before it has won
                                 return *r;
                               });
  REQUIRE(got);
  CHECK(calls == 1);
  CHECK(session.position() == 7);
  CHECK(s.in_flight() == 0);
  CHECK(s.stats(*got).succeeded == 1);
  CHECK(policy->stats().sent == 0);
}

TEST_CASE("hedged_read: the second attempt goes to another replica, and its token is the session's",
          "[replica][hedge]") {
  replicas s{2};
  joined_threads threads;
  const auto policy = eager();
  for (int round = 0; round < 20; ++round) {
    consistency_token session;
    std::atomic<int> first{0};
    const auto got = hedged_read(s.users, session, *policy, threads,
                                 [&](const set::pick& r, consistency_token& seen, const hedge_attempt& attempt) {
                                   r.observed(seen, attempt.number == 0 ? 1'000'000 : 7);
                                   if (attempt.number == 0) {
                                     first = *r;
                                     until_cancelled(attempt);
                                   }
                                   return *r;
                                 });
    REQUIRE(got);
    CHECK(session.position() == 7);  // not what the other has seen
    threads.join();
    CHECK(*got == 3 - first);
    CHECK(session.position() == 7);
    CHECK(s.in_flight() == 0);
  }
  // The overtaken have said how long they took: those that always are must not look fast.
  CHECK(s.stats(1).succeeded + s.stats(2).succeeded == 40);
  CHECK(s.stats(1).failed + s.stats(2).failed == 0);
  CHECK(policy->stats().won == 20);
}

TEST_CASE("hedged_read: the first may win after all", "[replica][hedge]") {
  replicas s{3};
  joined_threads threads;
  const auto policy = eager();
  consistency_token session;
  std::atomic<bool> second{false};
  const auto got = hedged_read(s.users, session, *policy, threads,
                               [&](const set::pick& r, consistency_token& seen, const hedge_attempt& attempt) {
                                 r.observed(seen, 10 + attempt.number);
                                 if (attempt.number == 1) {
                                   second = true;
                                   until_cancelled(attempt);
                                 }
                                 while (!second) std::this_thread::yield();
                                 return attempt.number;
                               });
  REQUIRE(got);
  CHECK(*got == 0);
  CHECK(session.position() == 10);
  threads.join();
  CHECK(s.in_flight() == 0);
  CHECK(s.stats(1).succeeded + s.stats(2).succeeded + s.stats(3).succeeded == 2);
  CHECK(policy->stats().won == 0);
}

TEST_CASE("hedged_read: no second attempt without a replica for it, and no budget is spent", "[replica][hedge]") {
  replicas s{3};
  joined_threads threads;
  const auto policy = eager();
  consistency_token session = at_position(100);
  std::atomic<int> calls{0};
  // Goes on until the second attempt would have been sent: slow by what the policy knows.
  const auto slow = [&](const set::pick& r, consistency_token&, const hedge_attempt&) {
    ++calls;
    std::this_thread::sleep_for(20ms);
    return *r;
  };
  SECTION("one replica alone has it, the primary would do") {
    s.users.report(s.ids[2], {.position = 100});
    const auto got = hedged_read(s.users, session, *policy, threads, slow, own_writes);
    REQUIRE(got);
    CHECK(*got == 2);
  }
  SECTION("the first has gone to the primary") {
    const auto got = hedged_read(s.users, session, *policy, threads, slow, own_writes);
    REQUIRE(got);
    CHECK(*got == 0);
  }
  SECTION("it must go to the primary") {
    const auto got = hedged_read(s.users, session, *policy, threads, slow, {.consistency = banyan::strong});
    REQUIRE(got);
    CHECK(*got == 0);
  }
  SECTION("the set would wait for a replica: the second attempt does not") {
    s.users.report(s.ids[2], {.position = 100});
    auto options = own_writes;
    options.wait = 1h;
    const auto got = hedged_read(s.users, session, *policy, threads, slow, options);
    REQUIRE(got);
    CHECK(*got == 2);
  }
  threads.join();
  CHECK(calls == 1);
  CHECK(policy->stats().sent == 0);
  CHECK(policy->stats().refused == 0);
  CHECK(s.in_flight() == 0);
}

TEST_CASE("hedged_read: what the second attempt goes to has it as well", "[replica][hedge]") {
  replicas s{4};
  s.users.report(s.ids[1], {.position = 99});
  s.users.report(s.ids[2], {.position = 100});
  s.users.report(s.ids[3], {.position = 101});
  joined_threads threads;
  const auto policy = eager();
  for (int round = 0; round < 30; ++round) {
    consistency_token session = at_position(100);
    std::atomic<int> sum{0};
    const auto got = hedged_read(
        s.users, session, *policy, threads,
        [&](const set::pick& r, consistency_token&, const hedge_attempt& attempt) {
          sum += *r;
          if (attempt.number == 0) until_cancelled(attempt);
          return *r;
        },
        own_writes);
    REQUIRE(got);
    threads.join();
    CHECK(sum == 5);  // 2 and 3
  }
}

TEST_CASE("hedged_read: second attempts stay within the budget", "[replica][hedge]") {
  replicas s{3};
  joined_threads threads;
  const auto policy = eager(0.1);  // of the 200 requests that it knows of: 20
  std::atomic<int> calls{0};
  for (int i = 0; i < 40; ++i) {
    consistency_token session;
    const std::uint64_t before = policy->stats().sent + policy->stats().refused;
    const auto got = hedged_read(s.users, session, *policy, threads,
                                 [&, before](const set::pick&, consistency_token&, const hedge_attempt&) {
                                   ++calls;
                                   // Until it has been decided whether there is another.
                                   while (policy->stats().sent + policy->stats().refused == before)
                                     std::this_thread::yield();
                                   return 1;
                                 });
    REQUIRE(got);
    threads.join();
  }
  CHECK(policy->stats().sent == 24);  // a tenth of 240
  CHECK(policy->stats().refused == 16);
  CHECK(calls <= 64);
  CHECK(s.in_flight() == 0);
}

TEST_CASE("hedged_read: what fails is reported, and thrown to nobody", "[replica][hedge]") {
  replicas s{2};
  const auto policy = eager();
  consistency_token session = at_position(3);
  const auto fails = [](const set::pick& r, consistency_token& seen, const hedge_attempt& attempt) -> int {
    r.observed(seen, 50);
    if (attempt.number == 0) throw std::runtime_error{"broken"};
    return 1;
  };
  SECTION("the first, before there is a second: hedging is no retrying") {
    banyan::inline_executor here;
    const auto got = hedged_read(s.users, session, *policy, here, fails);
    REQUIRE_FALSE(got);
    CHECK(got.error().outcome == read_outcome::replica);
    CHECK(got.error().attempts.why == hedge_end::failed);
    CHECK(got.error().attempts.attempts == 1);
    CHECK_THROWS_AS(std::rethrow_exception(got.error().attempts.first_error()), std::runtime_error);
    CHECK(s.stats(1).failed + s.stats(2).failed == 1);
  }
  SECTION("the executor drops it") {
    dropping nowhere;
    const auto got = hedged_read(s.users, session, *policy, nowhere, fails);
    REQUIRE_FALSE(got);
    CHECK(got.error().attempts.why == hedge_end::failed);
    CHECK(s.stats(1).failed + s.stats(2).failed == 0);
  }
  SECTION("nobody is there") {
    banyan::inline_executor here;
    for (const endpoint_id id : s.ids) s.users.remove(id);
    const auto got = hedged_read(s.users, session, *policy, here, fails);
    REQUIRE_FALSE(got);
    CHECK(got.error().outcome == read_outcome::no_primary);
    CHECK(got.error().attempts.attempts == 0);
  }
  SECTION("it is refused") {
    banyan::inline_executor here;
    const auto got = hedged_read(s.users, session, *policy, here, fails,
                                 {.consistency = banyan::causal, .fallback = read_fallback::refuse});
    REQUIRE_FALSE(got);
    CHECK(got.error().outcome == read_outcome::none_fresh);
  }
  CHECK(session == at_position(3));  // as it was
  CHECK(s.in_flight() == 0);
}

TEST_CASE("hedged_read: the failure of one attempt is made good by the other", "[replica][hedge]") {
  replicas s{2};
  joined_threads threads;
  const auto policy = eager();
  consistency_token session;
  std::atomic<bool> second{false};
  const auto got = hedged_read(s.users, session, *policy, threads,
                               [&](const set::pick& r, consistency_token& seen, const hedge_attempt& attempt) -> int {
                                 r.observed(seen, 50 + attempt.number);
                                 if (attempt.number == 1) {
                                   second = true;
                                   return 2;
                                 }
                                 while (!second) std::this_thread::yield();
                                 throw std::runtime_error{"broken"};
                               });
  threads.join();
  REQUIRE(got);
  CHECK(*got == 2);
  CHECK(session.position() == 51);
}

TEST_CASE("hedged_read: an attempt that goes on beyond the deadline has not been answered", "[replica][hedge]") {
  replicas s{1};
  joined_threads threads;
  const auto policy = eager(0);
  consistency_token session;
  const auto got = hedged_read(
      s.users, session, *policy, threads,
      [&](const set::pick& r, consistency_token& seen, const hedge_attempt& attempt) {
        r.observed(seen, 9);
        until_cancelled(attempt);
        return *r;
      },
      {.wait = 1h}, banyan::deadline::in(5ms));
  REQUIRE_FALSE(got);
  CHECK(got.error().attempts.why == hedge_end::timed_out);
  CHECK(session.empty());
  threads.join();
  CHECK(s.stats(1).failed == 1);
  CHECK(s.in_flight() == 0);
  // Waiting for a replica that has it ends there as well.
  session = at_position(10);
  const auto none = hedged_read(
      s.users, session, *policy, threads,
      [](const set::pick& r, consistency_token&, const hedge_attempt&) { return *r; },
      {.consistency = banyan::causal, .wait = 1h, .fallback = read_fallback::refuse}, banyan::deadline::in(5ms));
  REQUIRE_FALSE(none);
  CHECK(none.error().outcome == read_outcome::none_fresh);
}

TEST_CASE("hedged_read: what is overtaken may outlive the set and the session", "[replica][hedge]") {
  joined_threads threads;
  std::atomic<bool> go{false};
  {
    auto s = std::make_unique<replicas>(2);
    const auto policy = eager();
    consistency_token session;
    const auto got = hedged_read(s->users, session, *policy, threads,
                                 [&go](const set::pick& r, consistency_token& seen, const hedge_attempt& attempt) {
                                   while (attempt.number == 0 && !go) std::this_thread::yield();
                                   r.observed(seen, 4);
                                   return *r;
                                 });
    REQUIRE(got);
    s.reset();
  }
  go = true;
  threads.join();
}
