#include <banyan/balance/round_robin.hpp>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "balance/picking.hpp"
#include "support/catch.hpp"

namespace {

using banyan::round_robin;
using banyan::testing::picking;

TEST_CASE("round robin goes round in the order of joining", "[balance][round_robin]") {
  picking<round_robin> four{{1, 1, 1, 1}};
  CHECK(four.sequence(9) == "abcdabcda");
  four.add();
  CHECK(four.sequence(6) == "bcdeab");  // goes on where it was
}

TEST_CASE("round robin ignores weights", "[balance][round_robin]") {
  picking<round_robin> three{{5, 1, 0.001}};
  CHECK(three.counts(300) == std::vector<std::size_t>{100, 100, 100});
}

TEST_CASE("round robin goes on after a refusal", "[balance][round_robin]") {
  for (const bool strict : {false, true}) {
    picking<round_robin> three{{1, 1, 1}, round_robin{{.strict = strict}}};
    CHECK(three.number({.avoid = three.id(0)}) == 1);
    CHECK(three.number({.avoid = three.id(2)}) == 0);
    CHECK(three.number() == 1);
  }
}

TEST_CASE("round robin: later threads begin elsewhere, and are as even", "[balance][round_robin]") {
  picking<round_robin> ten{std::vector<double>(10, 1)};
  CHECK(ten.number() == 0);
  std::set<std::size_t> starts{0};
  std::vector<std::size_t> counts(10);
  std::vector<std::vector<std::size_t>> picked(5);
  std::atomic<int> here{0};  // all at once, so that none takes over the place of another
  std::vector<std::thread> threads;
  for (auto& own : picked) {
    threads.emplace_back([&] {
      own.push_back(ten.number());
      ++here;
      while (here != 5) std::this_thread::yield();
      for (int i = 1; i < 20; ++i) own.push_back(ten.number());
    });
  }
  for (auto& each : threads) each.join();
  for (const auto& own : picked) {
    starts.insert(own.front());
    for (const std::size_t number : own) ++counts[number];
  }
  CHECK(starts.size() >= 5);
  CHECK(counts == std::vector<std::size_t>(10, 10));
}

TEST_CASE("strict round robin: one order for all threads", "[balance][round_robin]") {
  picking<round_robin> seven{std::vector<double>(7, 1), round_robin{{.strict = true}}};
  CHECK(seven.sequence(3) == "abc");
  std::thread{[&] { CHECK(seven.sequence(3) == "def"); }}.join();
  CHECK(seven.sequence(3) == "gab");

  std::vector<std::atomic<std::size_t>> counts(7);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 7 * 500; ++i) ++counts[seven.number()];
    });
  }
  for (auto& each : threads) each.join();
  for (const auto& each : counts) CHECK(each == 2000);
}

}  // namespace
