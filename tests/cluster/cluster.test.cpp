#include <banyan/cluster/cluster.hpp>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

struct backend {
  std::string address;
};

using banyan::cluster;
using banyan::endpoint_id;
using banyan::health;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;

bool about(double value, double expected) { return std::abs(value - expected) <= 0.01 * expected; }

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

/// Counts the copies of it that are alive.
struct counted {
  explicit counted(int& count) : alive{&count} { ++*alive; }
  counted(counted&& other) noexcept : alive{std::exchange(other.alive, nullptr)} {}
  counted& operator=(counted&&) = delete;
  ~counted() {
    if (alive != nullptr) --*alive;
  }
  int* alive;
};

}  // namespace

TEST_CASE("a cluster knows its endpoints") {
  cluster<backend> web;
  CHECK(web.empty());
  const endpoint_id a = web.add({"10.0.0.1:80"}, {.weight = 5, .zone = "eu-1", .priority = 0});
  const endpoint_id b = web.add({"10.0.0.2:80"}, {.name = "second"});
  CHECK(web.size() == 2);
  CHECK(a != b);
  CHECK(web.ids() == std::vector{a, b});
  CHECK(web.find("second") == b);
  CHECK(web.name_of(b) == "second");
  CHECK_FALSE(web.find("third"));
  CHECK(web.stats(a)->weight == 5);
  CHECK(web.stats(a)->state == health::healthy);
  CHECK((*web.lend(a)).address == "10.0.0.1:80");

  SECTION("changes") {
    CHECK(web.set_weight(b, 2));
    CHECK(web.stats(b)->weight == 2);
    CHECK(web.set_health(b, health::unhealthy));
    CHECK(web.stats(b)->state == health::unhealthy);
    CHECK(web.set_health(b, health::degraded));
    CHECK(web.stats(b)->state == health::degraded);
    CHECK(web.eject(b));
    CHECK(web.stats(b)->ejected);
    CHECK(web.stats(b)->state == health::unhealthy);
    CHECK(web.readmit(b));
    CHECK(web.stats(b)->state == health::degraded);
    CHECK(web.set_priority(b, 3));
    CHECK(web.set_zone(b, "us-2"));
  }
  SECTION("a removed endpoint is unknown, also the second time") {
    CHECK(web.remove(a));
    CHECK_FALSE(web.remove(a));
    CHECK(web.size() == 1);
    CHECK_FALSE(web.stats(a));
    CHECK_FALSE(web.set_weight(a, 1));
    CHECK_FALSE(web.set_health(a, health::healthy));
    CHECK_FALSE(web.drain(a));
    CHECK_FALSE(web.resume(a));
    CHECK_FALSE(web.acquire(a));
    CHECK_FALSE(web.lend(a));
    CHECK(web.in_flight(a) == 0);
    CHECK(web.drained(a));
    const endpoint_id c = web.add({"10.0.0.1:80"});
    CHECK(c > b);  // numbers do not come back
  }
  SECTION("the default id names nobody") {
    CHECK_FALSE(web.remove(endpoint_id{}));
    CHECK_FALSE(web.acquire(endpoint_id{}));
  }
}

TEST_CASE("bad endpoints are refused and nothing changes") {
  cluster<backend> web;
  const endpoint_id a = web.add({"a"}, {.name = "a"});
  for (const double weight : {-1.0, -0.5, std::nan(""), std::numeric_limits<double>::infinity(), 4294967297.0}) {
    CAPTURE(weight);
    CHECK_THROWS_AS(web.add({"b"}, {.weight = weight}), std::invalid_argument);
    CHECK_THROWS_AS(web.set_weight(a, weight), std::invalid_argument);
    CHECK_THROWS_AS(web.replace({{{"b"}, {.weight = weight, .name = "b"}}}), std::invalid_argument);
  }
  CHECK(message_of([&] { web.add({"b"}, {.weight = -1}); }).starts_with("endpoint_options.weight = -1"));
  CHECK(message_of([&] { web.add({"b"}, {.name = "a"}); }).starts_with("endpoint_options.name = a"));
  CHECK_THROWS_AS(web.replace({{{"b"}, {}}}), std::invalid_argument);
  CHECK_THROWS_AS(web.replace({{{"b"}, {.name = "x"}}, {{"c"}, {.name = "x"}}}), std::invalid_argument);
  CHECK(web.ids() == std::vector{a});
  CHECK(web.stats(a)->weight == 1);
  CHECK(web.set_weight(a, 4294967296.0));
  CHECK(web.set_weight(a, 0));

  CHECK_THROWS_AS((cluster<backend>{{.slow_start = {.window = -1s}}}), std::invalid_argument);
  CHECK_THROWS_AS((cluster<backend>{{.slow_start = {.aggression = 0}}}), std::invalid_argument);
  CHECK_THROWS_AS((cluster<backend>{{.slow_start = {.min_fraction = 1.5}}}), std::invalid_argument);
  CHECK_THROWS_AS((cluster<backend>{{.latency_half_life = 0s}}), std::invalid_argument);
  CHECK_THROWS_AS((cluster<backend>{{.failure_penalty = -1s}}), std::invalid_argument);
  CHECK_THROWS_AS((cluster<backend>{{.stripes = 257}}), std::invalid_argument);
  CHECK_THROWS_AS((cluster<backend>{{.domain = nullptr}}), std::invalid_argument);
}

TEST_CASE("a value that is a string is its endpoint's name") {
  cluster<std::string> web;
  const endpoint_id a = web.add("10.0.0.1");
  CHECK(web.find("10.0.0.1") == a);
  CHECK_THROWS_AS(web.add("10.0.0.1"), std::invalid_argument);
}

TEST_CASE("tokens count what is in flight, once") {
  cluster<backend> web;
  const endpoint_id a = web.add({"a"});
  {
    auto one = web.acquire(a);
    REQUIRE(one);
    CHECK(one->address == "a");
    CHECK(one.id() == a);
    CHECK(web.in_flight(a) == 1);
    auto two = web.acquire(a);
    CHECK(web.in_flight(a) == 2);
    auto moved = std::move(two);
    CHECK_FALSE(two);
    CHECK_FALSE(two.id());
    CHECK(web.in_flight(a) == 2);
    one = std::move(moved);  // gives back what it held
    CHECK(web.in_flight(a) == 1);
    one.succeeded(5ms);
    one.failed();  // too late
    CHECK(web.in_flight(a) == 1);
    CHECK(one->address == "a");
  }
  CHECK(web.in_flight(a) == 0);
  CHECK(web.stats(a)->succeeded == 1);
  CHECK(web.stats(a)->failed == 0);
  try {
    const auto three = web.acquire(a);
    throw std::runtime_error{"the user's code"};
  } catch (const std::runtime_error&) {
  }
  CHECK(web.in_flight(a) == 0);
  CHECK(web.stats(a)->succeeded == 1);
}

TEST_CASE("runs of failures end with a success") {
  cluster<backend> web;
  const endpoint_id a = web.add({"a"});
  for (int i = 0; i < 3; ++i) web.acquire(a).failed();
  CHECK(web.stats(a)->failures_in_a_row == 3);
  CHECK(web.stats(a)->failed == 3);
  web.acquire(a).succeeded();
  CHECK(web.stats(a)->failures_in_a_row == 0);
  web.acquire(a).failed();
  CHECK(web.stats(a)->failures_in_a_row == 1);
  CHECK(web.forget_failures(a));
  CHECK(web.stats(a)->failures_in_a_row == 0);
  web.acquire(a).unanswered();
  web.acquire(a).unanswered();
  CHECK(web.stats(a)->unanswered_in_a_row == 2);
  CHECK(web.stats(a)->failures_in_a_row == 2);
  web.acquire(a).failed();  // an error is an answer
  CHECK(web.stats(a)->unanswered_in_a_row == 0);
  CHECK(web.stats(a)->failures_in_a_row == 3);
  web.acquire(a).unanswered();
  web.acquire(a).succeeded();
  CHECK(web.stats(a)->unanswered_in_a_row == 0);
}

TEST_CASE("watchers hear of runs of failures") {
  cluster<backend> web;
  const endpoint_id a = web.add({"a"});
  web.watch_failures(3);
  const endpoint_id b = web.add({"b"});
  for (const endpoint_id id : {a, b}) {
    const std::uint32_t seen = web.events_seen();
    web.acquire(id).failed();
    web.acquire(id).failed();
    CHECK(web.events_seen() == seen);
    web.acquire(id).failed();
    CHECK(web.events_seen() != seen);
  }
  web.watch_failures(0, 2);
  const std::uint32_t seen = web.events_seen();
  for (int i = 0; i < 5; ++i) web.acquire(a).failed();
  web.acquire(a).unanswered();
  CHECK(web.events_seen() == seen);
  web.acquire(a).unanswered();
  CHECK(web.events_seen() != seen);
}

TEST_CASE("latency averages rise at once, fall with time and fade when idle") {
  cluster<backend, test_clock> web{{.latency_half_life = 1s, .failure_penalty = 100ms}};
  test_clock::set(test_clock::time_point{1000s});
  const endpoint_id a = web.add({"a"});
  const auto latency = [&] { return std::chrono::duration<double, std::milli>(web.stats(a)->latency).count(); };
  CHECK(latency() == 0);
  web.acquire(a).succeeded(10ms);
  CHECK(about(latency(), 10));
  web.acquire(a).succeeded(40ms);
  CHECK(about(latency(), 40));
  web.acquire(a).succeeded(10ms);  // no time has passed: what is known weighs all
  CHECK(about(latency(), 40));
  test_clock::advance(1s);
  CHECK(about(latency(), 20));
  web.acquire(a).succeeded(10ms);
  CHECK(about(latency(), 25));
  web.acquire(a).failed();
  CHECK(about(latency(), 100));
  test_clock::advance(-500s);  // back: nothing fades, nothing breaks
  CHECK(about(latency(), 100));
  web.acquire(a).succeeded(10ms);
  CHECK(about(latency(), 100));
}

TEST_CASE("counts and averages survive changes of the membership") {
  cluster<backend> web;
  const endpoint_id a = web.add({"a"}, {.name = "a"});
  auto token = web.acquire(a);
  web.acquire(a).succeeded(3s);
  const endpoint_id b = web.add({"b"}, {.name = "b"});
  web.remove(b);
  web.set_weight(a, 7);
  web.replace({{{"a2"}, {.weight = 2, .name = "a"}}, {{"c"}, {.name = "c"}}});
  CHECK(web.find("a") == a);
  CHECK(web.in_flight(a) == 1);
  CHECK(web.stats(a)->succeeded == 1);
  CHECK(web.stats(a)->latency > 2s);
  CHECK(web.stats(a)->weight == 2);
  CHECK(token->address == "a");  // the value stays: there is nothing to compare it by
}

TEST_CASE("replace keeps, adds and removes by name") {
  cluster<std::string> web;
  web.replace({{"a", {}}, {"b", {}}, {"c", {}}});
  const endpoint_id a = web.find("a");
  const endpoint_id b = web.find("b");
  web.set_health(b, health::unhealthy);
  web.replace({{"d", {}}, {"b", {.weight = 3, .zone = "z"}}});
  CHECK(web.size() == 2);
  CHECK_FALSE(web.stats(a));
  CHECK(web.find("b") == b);
  CHECK(web.stats(b)->weight == 3);
  CHECK(web.stats(b)->state == health::unhealthy);
  CHECK(web.find("d"));
  // A value that differs under the same name is another endpoint.
  web.replace({{"other", {.name = "b"}}});
  CHECK(web.find("b") != b);
  CHECK(*web.lend(web.find("b")) == "other");
  web.replace({});
  CHECK(web.empty());
}

TEST_CASE("draining lets nothing in and tells when all is out") {
  cluster<backend> web;
  const endpoint_id a = web.add({"a"});
  std::vector<bool> told;
  auto token = web.acquire(a);
  CHECK(web.drain(a, [&](bool drained) { told.push_back(drained); }));
  CHECK_FALSE(web.acquire(a));
  CHECK_FALSE(web.drained(a));
  CHECK_FALSE(web.wait_drained(a, 1ms));
  CHECK(web.set_health(a, health::healthy));  // does not end it
  CHECK(web.stats(a)->state == health::draining);
  CHECK(told.empty());

  SECTION("the last token") {
    token = {};
    CHECK(told == std::vector{true});
    CHECK(web.drained(a));
    CHECK(web.wait_drained(a, 0s));
    CHECK(web.wait_drained(1h));
    CHECK(web.drain(a, [&](bool drained) { told.push_back(drained); }));  // it is over: at once
    CHECK(told == std::vector{true, true});
  }
  SECTION("resume") {
    CHECK(web.resume(a));
    CHECK(told == std::vector{false});
    CHECK_FALSE(web.drained(a));
    CHECK(web.acquire(a));
    token = {};
    CHECK(told.size() == 1);
  }
  SECTION("removal does not spoil it") {
    CHECK(web.remove(a));
    CHECK(told.empty());
    token = {};
    CHECK(told == std::vector{true});
  }
  SECTION("nor does the end of the cluster") {
    auto brief = std::make_unique<cluster<backend>>();
    const endpoint_id id = brief->add({"x"});
    auto other = brief->acquire(id);
    brief->drain(id, [&](bool drained) { told.push_back(drained); });
    brief.reset();
    CHECK(other->address == "x");
    CHECK(told.empty());
    other = {};
    CHECK(told == std::vector{true});
  }
  SECTION("callbacks may throw and may use the cluster") {
    web.drain(a, [&](bool) {
      web.remove(a);
      throw std::runtime_error{"callback"};
    });
    token = {};
    CHECK(web.empty());
  }
}

TEST_CASE("endpoints are freed with their last token") {
  int alive = 0;
  {
    cluster<counted> web;
    const endpoint_id a = web.add(counted{alive});
    const endpoint_id b = web.add(counted{alive});
    CHECK(alive == 2);
    auto token = web.acquire(a);
    auto handle = web.lend(b);
    web.remove(a);
    web.remove(b);
    CHECK(alive == 2);
    token = {};
    banyan::hazard_domain::global().reclaim();
    CHECK(alive == 1);
    handle = {};
    banyan::hazard_domain::global().reclaim();
    CHECK(alive == 0);
    web.add(counted{alive});
    CHECK(alive == 1);
  }
  banyan::hazard_domain::global().reclaim();
  CHECK(alive == 0);
}

TEST_CASE("tokens and handles outlive the cluster") {
  int alive = 0;
  auto web = std::make_unique<cluster<counted>>();
  const endpoint_id a = web->add(counted{alive});
  auto token = web->acquire(a);
  auto handle = web->lend(a);
  web.reset();
  CHECK(alive == 1);
  token.succeeded(1ms);
  token = {};
  banyan::hazard_domain::global().reclaim();
  CHECK(alive == 1);
  handle = {};
  banyan::hazard_domain::global().reclaim();
  CHECK(alive == 0);
}

TEST_CASE("a value's destructor may use the cluster") {
  struct restless {
    cluster<std::unique_ptr<restless>>* web;
    ~restless() {
      (void)web->size();
      web->drain_all();
    }
  };
  cluster<std::unique_ptr<restless>> web;
  const endpoint_id a = web.add(std::make_unique<restless>(&web));
  web.remove(a);
  banyan::hazard_domain::global().reclaim();
  CHECK(web.empty());
}

TEST_CASE("a change fails as a whole when memory is out") {
  (void)banyan::hazard_domain::global().try_local();
  struct reclaim_at_end {
    ~reclaim_at_end() { banyan::hazard_domain::global().reclaim(); }
  };
  const auto report = banyan::testing::for_every_failing_allocation([] {
    const reclaim_at_end last;
    cluster<int> web;
    const endpoint_id a = web.add(1, {.name = "a"});
    const endpoint_id b = web.add(2, {.zone = "somewhere", .name = "b"});
    web.set_weight(a, 3);
    auto token = web.acquire(a);
    web.drain(a, [](bool) {});
    web.replace({{1, {.name = "a"}}, {5, {.name = "c"}}});
    web.remove(b);
    web.remove(a);
    token = {};
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("a cluster does what a map would do") {
  const std::uint64_t seed = banyan::testing::derived_seed("cluster against a map");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  struct entry {
    double weight = 1;
    health state = health::healthy;
    bool draining = false;
    std::int64_t in_flight = 0;
  };
  std::map<endpoint_id, entry> model;
  cluster<int> web;
  std::vector<cluster<int>::token> tokens;
  std::vector<endpoint_id> known{endpoint_id{}};
  for (int step = 0; step < 20'000; ++step) {
    const endpoint_id id = known[random.below(known.size())];
    const auto at = model.find(id);
    const bool there = at != model.end();
    switch (random.below(8)) {
      case 0:
        if (model.size() < 12) {
          known.push_back(web.add(step));
          model[known.back()];
        }
        break;
      case 1:
        if (random.chance(1, 3)) {
          REQUIRE(web.remove(id) == there);
          if (there) model.erase(at);
        }
        break;
      case 2: {
        const auto weight = static_cast<double>(random.below(10));
        REQUIRE(web.set_weight(id, weight) == there);
        if (there) at->second.weight = weight;
        break;
      }
      case 3: {
        const auto state = static_cast<health>(random.below(3));
        REQUIRE(web.set_health(id, state) == there);
        if (there) at->second.state = state;
        break;
      }
      case 4: {
        const bool drain = random.chance(1, 2);
        REQUIRE((drain ? web.drain(id) : web.resume(id)) == there);
        if (there) at->second.draining = drain;
        break;
      }
      case 5:
      case 6: {
        auto token = web.acquire(id);
        REQUIRE(static_cast<bool>(token) == (there && !at->second.draining));
        if (token) {
          ++at->second.in_flight;
          tokens.push_back(std::move(token));
        }
        break;
      }
      default:
        if (!tokens.empty()) {
          std::swap(tokens[random.below(tokens.size())], tokens.back());
          const auto of = model.find(tokens.back().id());
          tokens.pop_back();
          if (of != model.end()) --of->second.in_flight;
        }
    }
    REQUIRE(web.size() == model.size());
    const endpoint_id look = known[random.below(known.size())];
    const auto stats = web.stats(look);
    const auto expected = model.find(look);
    REQUIRE(stats.has_value() == (expected != model.end()));
    if (stats) {
      REQUIRE(stats->weight == expected->second.weight);
      REQUIRE(stats->state == (expected->second.draining ? health::draining : expected->second.state));
      REQUIRE(stats->in_flight == expected->second.in_flight);
      REQUIRE(web.drained(look) == (expected->second.draining && expected->second.in_flight == 0));
    }
  }
}
