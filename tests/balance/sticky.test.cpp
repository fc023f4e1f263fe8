#include <banyan/balance/sticky.hpp>

#include <banyan/balance/random_choice.hpp>
#include <banyan/balance/round_robin.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "balance/picking.hpp"
#include "cluster/refusal.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::manual_clock;
using banyan::random_choice;
using banyan::round_robin;
using banyan::sticky;
using banyan::testing::picking;
using banyan::testing::refused_field;

TEST_CASE("sticky: a key stays where it was first sent", "[balance][sticky]") {
  picking<sticky<round_robin>> five{std::vector<double>(5, 1)};
  std::vector<std::size_t> first;
  for (std::uint64_t key = 0; key < 100; ++key) first.push_back(five.number({.key = key}));
  for (std::size_t i = 0; i < 100; ++i) CHECK(first[i] == i % 5);  // as the inner policy says
  const auto stays = [&] {
    for (std::uint64_t key = 0; key < 100; ++key) REQUIRE(five.number({.key = key}) == first[key]);
  };
  stays();
  CHECK(five.lb().policy().sessions() == 100);

  SECTION("when others join") {
    for (int i = 0; i < 20; ++i) five.add();
    stays();
  }
  SECTION("when others leave, only theirs move, and stay there") {
    five.members().remove(five.id(2));
    for (std::uint64_t key = 0; key < 100; ++key) {
      const std::size_t now = five.number({.key = key});
      if (first[key] == 2) {
        REQUIRE(now != 2);
        first[key] = now;
      }
    }
    stays();
    five.add();
    stays();
  }
  SECTION("draining moves them, and they do not come back") {
    five.members().drain(five.id(2));
    for (std::uint64_t key = 0; key < 100; ++key) first[key] = five.number({.key = key});
    five.members().resume(five.id(2));
    stays();
    CHECK(std::set<std::size_t>(first.begin(), first.end()).count(2) == 0);
  }
  SECTION("a retry elsewhere leaves the session where it is") {
    for (std::uint64_t key = 0; key < 100; ++key)
      REQUIRE(five.number({.avoid = five.id(first[key]), .key = key}) != first[key]);
    stays();
  }
}

TEST_CASE("sticky: cookies", "[balance][sticky]") {
  picking<sticky<round_robin>> five{std::vector<double>(5, 1)};
  std::vector<std::uint64_t> cookies;
  for (std::size_t i = 0; i < 5; ++i) {
    auto one = five.pick();
    CHECK(*one == i);
    cookies.push_back(one.cookie());
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 5; ++i) CHECK(five.number({.cookie = cookies[i]}) == i);
  }
  CHECK(five.lb().policy().sessions() == 0);

  // Another process, another order of joining.
  banyan::cluster<std::size_t> others;
  for (const std::size_t i : {4U, 0U, 3U, 1U, 2U}) others.add(i, {.name = "host-" + std::to_string(i)});
  banyan::balancer<std::size_t, sticky<random_choice>> lb{others};
  for (std::size_t i = 0; i < 5; ++i) CHECK(*lb.pick({.cookie = cookies[i]}) == i);

  // The cookie counts for more than the key, unless there is no such endpoint.
  CHECK(five.number({.key = 1, .cookie = cookies[3]}) == 3);
  five.members().remove(five.id(3));
  CHECK(five.number({.cookie = cookies[3]}) != 3);
  for (const std::uint64_t strange : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{12345}})
    CHECK(five.number({.cookie = strange}) < 5);
}

TEST_CASE("sticky: the table is bounded", "[balance][sticky]") {
  picking<sticky<random_choice>> five{std::vector<double>(5, 1), sticky<random_choice>{{.max_sessions = 50}}};
  for (std::uint64_t key = 0; key < 10'000; ++key) REQUIRE(five.number({.key = key}) < 5);
  CHECK(five.lb().policy().sessions() <= 50);
}

TEST_CASE("sticky: sessions time out after their last pick", "[balance][sticky]") {
  using policy = sticky<round_robin>;
  picking<policy> three{std::vector<double>(3, 1), policy{{.session_ttl = 10s}}};
  CHECK(three.number({.key = 7}) == 0);
  for (int i = 0; i < 5; ++i) {
    manual_clock::advance(9s);
    REQUIRE(three.number({.key = 7}) == 0);
  }
  manual_clock::advance(-100s);  // does no harm
  CHECK(three.number({.key = 7}) == 0);
  manual_clock::advance(100s + 11s);
  CHECK(three.number({.key = 7}) == 1);
  CHECK(three.number({.key = 7}) == 1);
}

TEST_CASE("sticky: requests without a session go where the inner policy says", "[balance][sticky]") {
  picking<sticky<round_robin>> three{std::vector<double>(3, 1)};
  CHECK(three.sequence(7) == "abcabca");
}

TEST_CASE("sticky within sticky", "[balance][sticky]") {
  using policy = sticky<sticky<round_robin>>;
  picking<policy> three{std::vector<double>(3, 1),
                        policy{{.max_sessions = 10}, sticky<round_robin>{{.max_sessions = 1000}}}};
  std::vector<std::size_t> first;
  for (std::uint64_t key = 0; key < 100; ++key) first.push_back(three.number({.key = key}));
  for (std::uint64_t key = 0; key < 100; ++key) CHECK(three.number({.key = key}) == first[key]);
}

TEST_CASE("sticky: threads agree on a key soon", "[balance][sticky]") {
  picking<sticky<random_choice>> ten{std::vector<double>(10, 1), sticky<random_choice>{}, 3};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t key = 0; key < 2000; ++key) (void)ten.number({.key = key});
    });
  }
  for (auto& each : threads) each.join();
  for (std::uint64_t key = 0; key < 2000; ++key) REQUIRE(ten.number({.key = key}) == ten.number({.key = key}));
}

TEST_CASE("sticky: bad options", "[balance][sticky]") {
  using policy = sticky<round_robin>;
  for (const std::uint64_t bad : {std::uint64_t{0}, (std::uint64_t{1} << 27) + 1, ~std::uint64_t{0}})
    CHECK(refused_field([&] { policy{{.max_sessions = bad}}; }) == "sticky::options.max_sessions");
  for (const auto bad : {0ns, -1ns, std::chrono::nanoseconds::min()})
    CHECK(refused_field([&] { policy{{.session_ttl = bad}}; }) == "sticky::options.session_ttl");
  CHECK(refused_field([&] { policy{{.max_sessions = 1, .session_ttl = std::chrono::nanoseconds::max()}}; }).empty());
}

}  // namespace
