#include <banyan/balance/balancer.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/stop_a_thread.hpp"

/// What a balancer does around its policy. The policy here is ten lines of a user's own.

using namespace std::chrono_literals;
using banyan::testing::joining_thread;

namespace {

using banyan::cluster;
using banyan::endpoint_id;
using banyan::health;

/// Any of them, each as likely.
struct any_of_them {
  struct table {};
  table build(std::span<const banyan::candidate>) const { return {}; }
  std::uint32_t choose(const table&, std::span<const banyan::candidate> all, banyan::pick_context& context) noexcept {
    return static_cast<std::uint32_t>(banyan::random_below(context, all.size()));
  }
};
static_assert(banyan::balance_policy<any_of_them>);

/// One after the other.
struct in_turn {
  struct table {};
  table build(std::span<const banyan::candidate>) const { return {}; }
  std::uint32_t choose(const table&, std::span<const banyan::candidate> all, banyan::pick_context& context) noexcept {
    return static_cast<std::uint32_t>(context.advance(all.size()));
  }
};

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
using at = test_clock::time_point;

/// Counts how often it is read.
struct no_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<no_clock>;
  static time_point now() {
    ++reads();
    return {};
  }
  static int& reads() {
    static int count = 0;
    return count;
  }
};

template <class Balancer>
std::map<endpoint_id, int> shares_of(Balancer& lb, int picks, const banyan::pick_request& request = {}) {
  std::map<endpoint_id, int> shares;
  for (int i = 0; i < picks; ++i) {
    const auto pick = lb.pick(request);
    ++shares[pick.id()];
  }
  return shares;
}

bool about(int count, double expected, double of) { return count > expected - of && count < expected + of; }

}  // namespace

TEST_CASE("a balancer picks endpoints of its cluster and follows it") {
  cluster<std::string> web;
  banyan::balancer<std::string, in_turn> lb{web};
  CHECK_FALSE(lb.pick());  // nobody is there
  const endpoint_id a = web.add("a");
  const endpoint_id b = web.add("b");
  {
    const auto one = lb.pick();
    const auto two = lb.pick();
    const auto three = lb.pick();
    CHECK(*one == "a");
    CHECK(*two == "b");
    CHECK(three.id() == a);
    CHECK(web.in_flight(a) == 2);
    CHECK(web.in_flight(b) == 1);
  }
  CHECK(web.in_flight(a) == 0);
  web.remove(a);
  CHECK(shares_of(lb, 10) == std::map<endpoint_id, int>{{b, 10}});
  web.set_health(b, health::degraded);
  CHECK(lb.pick().id() == b);
  web.drain(b);
  CHECK_FALSE(lb.pick());
  web.resume(b);
  CHECK(lb.pick().id() == b);
  web.set_weight(b, 0);
  CHECK_FALSE(lb.pick());
  CHECK(lb.candidates() == 0);
}

TEST_CASE("one avoids the endpoint of the last attempt, if there is another") {
  cluster<std::string> web;
  const endpoint_id a = web.add("a");
  const endpoint_id b = web.add("b");
  banyan::balancer<std::string, any_of_them> lb{web};
  CHECK(shares_of(lb, 50, {.avoid = a}) == std::map<endpoint_id, int>{{b, 50}});
  web.remove(b);
  CHECK(lb.pick({.avoid = a}).id() == a);
  banyan::balancer<std::string, any_of_them> strict{web, {}, {.avoid_strictly = true}};
  CHECK_FALSE(strict.pick({.avoid = a}));
  CHECK(strict.pick({.avoid = b}).id() == a);

  // Rather one of a lower priority than the one to avoid.
  const endpoint_id spare = web.add("spare", {.priority = 1});
  CHECK(lb.pick({.avoid = a}).id() == spare);
}

TEST_CASE("unfit endpoints get nothing, but in a panic") {
  cluster<std::string> web;
  std::vector<endpoint_id> ids;
  for (const char* name : {"a", "b", "c", "d", "e"}) ids.push_back(web.add(name));
  banyan::balancer<std::string, any_of_them> lb{web};
  web.set_health(ids[0], health::unhealthy);
  web.eject(ids[1]);
  auto shares = shares_of(lb, 300);
  CHECK(shares.size() == 3);
  CHECK_FALSE(shares.contains(ids[0]));
  CHECK_FALSE(shares.contains(ids[1]));

  web.set_health(ids[2], health::unhealthy);  // 2 of 5 are fit: less than half
  CHECK(shares_of(lb, 500).size() == 5);
  web.drain(ids[3]);  // takes nothing even now
  CHECK(shares_of(lb, 500).size() == 4);
  web.resume(ids[3]);

  banyan::balancer<std::string, any_of_them> calm{web, {}, {.priorities = {.panic_threshold = 0}}};
  CHECK(shares_of(calm, 300).size() == 2);
  web.readmit(ids[1]);
  CHECK(shares_of(lb, 300).size() == 3);
  for (const endpoint_id id : ids) web.set_health(id, health::unhealthy);
  CHECK_FALSE(calm.pick());
  CHECK(lb.pick());
}

TEST_CASE("a lower priority takes what the higher one cannot carry") {
  cluster<int> web;
  std::vector<endpoint_id> first;
  std::vector<endpoint_id> second;
  for (int i = 0; i < 4; ++i) first.push_back(web.add(i, {.priority = 0}));
  for (int i = 0; i < 4; ++i) second.push_back(web.add(i, {.priority = 7}));
  banyan::balancer<int, any_of_them> lb{web, {}, {.seed = 5}};
  const auto of_second = [&](int picks) {
    int sum = 0;
    for (const auto& [id, count] : shares_of(lb, picks)) sum += id > first.back() ? count : 0;
    return sum;
  };
  CHECK(of_second(1000) == 0);
  web.set_health(first[0], health::unhealthy);  // 75 % x 1.4
  CHECK(of_second(1000) == 0);
  web.set_health(first[1], health::unhealthy);  // 50 % x 1.4 = 70 %
  CHECK(about(of_second(10'000), 3000, 250));
  web.set_health(first[2], health::degraded);
  web.set_health(first[3], health::unhealthy);  // nobody healthy: the degraded one comes after the second's healthy
  CHECK(of_second(1000) == 1000);
  for (const endpoint_id id : second) web.set_health(id, health::unhealthy);
  CHECK(shares_of(lb, 4000).size() == 8);  // both panic
}

TEST_CASE("what the own zone can carry stays there") {
  cluster<int> web;
  std::vector<endpoint_id> near;
  for (int i = 0; i < 4; ++i) near.push_back(web.add(i, {.zone = "here"}));
  for (int i = 0; i < 4; ++i) web.add(i, {.zone = "there"});
  banyan::balancer<int, any_of_them> lb{web, {}, {.zone = {.zone = "here"}, .seed = 5}};
  CHECK(shares_of(lb, 400).size() == 4);
  web.remove(near.back());
  web.remove(near[2]);  // a third of the capacity for half of the callers: a third of the requests leaves
  const auto shares = shares_of(lb, 12'000);
  CHECK(shares.size() == 6);
  CHECK(about(shares.at(near[0]) + shares.at(near[1]), 8000, 300));
  banyan::balancer<int, any_of_them> elsewhere{web, {}, {.zone = {.zone = "nowhere"}}};
  CHECK(shares_of(elsewhere, 400).size() == 6);

  banyan::balancer<int, any_of_them> too_few{
      web, {}, {.zone = {.zone = "here", .callers_share = 0.01, .min_local = 3}}};
  CHECK(shares_of(too_few, 400).size() == 6);
  web.add(4, {.zone = "here"});
  CHECK(shares_of(too_few, 400).size() == 3);
}

TEST_CASE("a subset is the same on every client that has its number, in whatever order endpoints came") {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) names.push_back("endpoint " + std::to_string(i));
  const auto used_by = [](const std::vector<std::string>& order, std::uint32_t client) {
    cluster<std::string> web;
    for (const std::string& name : order) web.add(name);
    banyan::balancer<std::string, in_turn> lb{web, {}, {.subset = {.size = 5, .client = client}}};
    std::map<std::string, int> used;
    for (int i = 0; i < 5; ++i) ++used[*lb.pick()];
    return used;
  };
  const std::vector<std::string> backwards{names.rbegin(), names.rend()};
  std::map<std::string, int> all;
  for (std::uint32_t client = 0; client < 4; ++client) {
    const auto used = used_by(names, client);
    CHECK(used.size() == 5);
    CHECK(used == used_by(backwards, client));
    for (const auto& [name, count] : used) all[name] += count;
  }
  CHECK(all.size() == 20);  // four clients with five each: everybody once
}

TEST_CASE("slow start lets an endpoint's share grow with every policy") {
  test_clock::set(at{1000s});
  cluster<int, test_clock> web{{.slow_start = {.window = 10s, .min_fraction = 0.1}}};
  const endpoint_id old = web.add(0);
  test_clock::advance(10s);
  const endpoint_id fresh = web.add(1);
  banyan::balancer<int, any_of_them, test_clock> lb{web, {}, {.seed = 5}};
  // A refused pick goes to the other, or is drawn again: at fraction f the share is f / (1 + f) of all.
  const auto share = [&] { return shares_of(lb, 20'000)[fresh] / 20'000.0; };
  CHECK(std::abs(share() - 0.1 / 1.1) < 0.02);
  test_clock::advance(5s);
  CHECK(std::abs(share() - 0.5 / 1.5) < 0.02);
  web.set_weight(old, 1);
  web.add(2, {.weight = 0});  // others come and change: nothing begins anew
  CHECK(std::abs(share() - 0.5 / 1.5) < 0.02);
  test_clock::advance(-100s);  // back: the least fraction
  CHECK(std::abs(share() - 0.1 / 1.1) < 0.02);
  test_clock::advance(100s + 5s);
  CHECK(std::abs(share() - 0.5) < 0.02);
  test_clock::advance(-8s);  // over is over
  CHECK(std::abs(share() - 0.5) < 0.02);
  web.set_health(fresh, health::unhealthy);
  web.set_health(fresh, health::healthy);
  CHECK(std::abs(share() - 0.1 / 1.1) < 0.02);
  // Alone, or all new: it is taken all the same.
  web.drain(old);
  CHECK(shares_of(lb, 100)[fresh] == 100);
}

TEST_CASE("a time long ago does not end a slow start, and one far away is no error") {
  cluster<int, test_clock> web{{.slow_start = {.window = 10s, .min_fraction = 0.1}}};
  for (int i = 0; i < 2; ++i) web.add(i, {}, at{});
  const endpoint_id young = web.add(2, {}, at{100s});
  banyan::balancer<int, in_turn, test_clock> lb{web, {}, {.seed = 5}};
  const auto share = [&](at now) {
    int got = 0;
    for (int i = 0; i < 300; ++i) got += static_cast<int>(lb.pick({}, now).id() == young);
    return got;
  };
  for (const at now : {at{100s}, at::min(), at::min() + 1ns, at{}, at{100s}}) CHECK(share(now) < 50);
  CHECK(share(at::max()) == 100);
}

TEST_CASE("a key's picks in slow start are the same each time") {
  test_clock::set(at{2000s});
  cluster<int, test_clock> web{{.slow_start = {.window = 10s}}};
  web.add(0);
  test_clock::advance(10s);
  const endpoint_id fresh = web.add(1);
  struct always_the_newest : any_of_them {
    std::uint32_t choose(const table&, std::span<const banyan::candidate> all, banyan::pick_context& context) noexcept {
      return static_cast<std::uint32_t>(all.size() - 1 - context.attempt() % all.size());
    }
  };
  banyan::balancer<int, always_the_newest, test_clock> lb{web};
  test_clock::advance(5s);
  int there = 0;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    const endpoint_id first = lb.pick({.key = key}).id();
    for (int i = 0; i < 3; ++i) REQUIRE(lb.pick({.key = key}).id() == first);
    there += first == fresh ? 1 : 0;
  }
  CHECK(about(there, 500, 80));
}

TEST_CASE("a policy that fails to build cancels the change everywhere") {
  struct touchy : any_of_them {
    table build(std::span<const banyan::candidate> all) const {
      if (all.size() > 2) throw std::runtime_error{"too many"};
      return {};
    }
  };
  cluster<int> web;
  banyan::balancer<int, any_of_them> other{web};
  banyan::balancer<int, touchy> lb{web};
  web.add(1);
  const endpoint_id b = web.add(2);
  CHECK_THROWS_AS(web.add(3), std::runtime_error);
  CHECK(web.size() == 2);
  CHECK(other.candidates() == 2);
  CHECK(shares_of(other, 100).size() == 2);
  web.remove(b);
  CHECK_NOTHROW(web.add(3));
  CHECK(other.candidates() == 2);
}

TEST_CASE("a policy without an answer leaves the choice to the balancer") {
  struct speechless : any_of_them {
    std::uint32_t choose(const table&, std::span<const banyan::candidate>, banyan::pick_context&) noexcept {
      return banyan::pick_context::none;
    }
  };
  cluster<int> web;
  const endpoint_id a = web.add(1);
  banyan::balancer<int, speechless> lb{web};
  CHECK(lb.pick().id() == a);
}

TEST_CASE("bad options of a balancer are refused") {
  cluster<int> web;
  using plain = banyan::balancer<int, any_of_them>;
  CHECK_THROWS_AS((plain{web, {}, {.priorities = {.overprovisioning = 0}}}), std::invalid_argument);
  CHECK_THROWS_AS((plain{web, {}, {.zone = {.callers_share = 2}}}), std::invalid_argument);
}

TEST_CASE("a balancer outlives its cluster, and tokens both") {
  auto web = std::make_unique<cluster<std::string>>();
  web->add("a");
  std::optional<banyan::balancer<std::string, in_turn>> lb{std::in_place, *web};
  web.reset();
  auto pick = lb->pick();
  lb.reset();
  if (pick) CHECK(*pick == "a");
}

TEST_CASE("picks neither allocate nor read the clock unless asked to") {
  cluster<int, no_clock> web;
  web.add(1);
  web.add(2);
  banyan::balancer<int, any_of_them, no_clock> lb{web};
  (void)lb.pick();
  const int reads = no_clock::reads();
  const auto allocations = banyan::testing::allocations_by_this_thread();
  for (int i = 0; i < 100; ++i) (void)lb.pick();
  CHECK(banyan::testing::allocations_by_this_thread() == allocations);
  CHECK(no_clock::reads() == reads);
}

TEST_CASE("nobody who was removed, ejected or drained is picked after the call has returned") {
  cluster<int> web{{.stripes = 2}};
  banyan::balancer<int, any_of_them> lb{web};
  web.add(-1);
  std::atomic<std::uint64_t> forbidden{0};  // everything up to this id, from now on
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> none{0};
  {
    std::vector<joining_thread> pickers;
    for (int t = 0; t < 3; ++t) {
      pickers.emplace_back([&] {
        while (!stop.load(std::memory_order_relaxed)) {
          const std::uint64_t gone = forbidden.load(std::memory_order_acquire);
          auto pick = lb.pick();
          if (!pick) none.fetch_add(1);
          if (pick && pick.id().value() > 1 && pick.id().value() <= gone) wrong.fetch_add(1);
        }
      });
    }
    for (int i = 0; i < 600; ++i) {
      const endpoint_id id = web.add(i);
      if (i % 3 == 0) web.remove(id);
      if (i % 3 == 1) web.eject(id);
      if (i % 3 == 2) web.drain(id);
      forbidden.store(id.value(), std::memory_order_release);
      if (i % 3 != 0) web.remove(id);
    }
    stop.store(true);
  }
  CHECK(wrong.load() == 0);
  CHECK(none.load() == 0);
  for (const endpoint_id id : web.ids()) CHECK(web.in_flight(id) == 0);
}

TEST_CASE("picking goes on while any thread stands still, and changes get through") {
  cluster<int> web{{.stripes = 2}};
  std::vector<endpoint_id> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(web.add(i));
  banyan::balancer<int, any_of_them> lb{web};
  for (const auto mode : {banyan::testing::stop_mode::one, banyan::testing::stop_mode::all_but_one}) {
    const auto result = banyan::testing::stop_a_thread({.workers = 4, .mode = mode}, [&](std::size_t worker) {
      auto pick = lb.pick({.avoid = ids[worker % ids.size()]});
      if (!pick) return;
      if (worker % 2 == 0) pick.succeeded(1us);
      if (worker % 2 == 1) pick.failed();
    });
    INFO(result.describe());
    CHECK(result.passed());
  }
  for (const endpoint_id id : ids) CHECK(web.in_flight(id) == 0);
}

TEST_CASE("counts return to zero after many picks by threads that come and go, with users that throw") {
  cluster<int> web{{.stripes = 3}};
  for (int i = 0; i < 5; ++i) web.add(i);
  banyan::balancer<int, any_of_them> lb{web};
  for (int round = 0; round < 20; ++round) {
    std::vector<joining_thread> users;
    for (int t = 0; t < 6; ++t) {
      users.emplace_back([&, t] {
        for (int i = 0; i < 3000; ++i) {
          try {
            auto pick = lb.pick();
            if (i % 64 == t) throw i;
            i % 2 == 0 ? pick.succeeded() : pick.failed();
          } catch (int) {
          }
        }
      });
    }
  }
  std::uint64_t reports = 0;
  for (const auto& stats : web.all_stats()) {
    CHECK(stats.in_flight == 0);
    reports += stats.succeeded + stats.failed;
  }
  CHECK(reports == 20 * 6 * (3000 - 47));
}
