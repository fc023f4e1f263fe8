#include <banyan/balance/peak_ewma.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

#include "balance/picking.hpp"
#include "cluster/refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::manual_clock;
using banyan::peak_ewma;
using banyan::testing::picking;
using banyan::testing::refused_field;

// One request at a time; each endpoint has its latency.
std::vector<std::size_t> served(picking<peak_ewma>& all, const std::vector<std::chrono::nanoseconds>& latencies,
                                int requests) {
  std::vector<std::size_t> counts(latencies.size());
  for (int i = 0; i < requests; ++i) {
    auto one = all.pick();
    ++counts[*one];
    manual_clock::advance(1ms);
    one.succeeded(latencies[*one]);
  }
  return counts;
}

TEST_CASE("peak EWMA: the slow one gets little", "[balance][peak_ewma]") {
  picking<peak_ewma> four{std::vector<double>(4, 1)};
  const auto counts = served(four, {1ms, 1ms, 1ms, 100ms}, 3000);
  CHECK(counts[3] < 30);
  CHECK(counts[0] + counts[1] + counts[2] > 2970);
}

TEST_CASE("peak EWMA: a slow one is tried again, and comes back when it is fast", "[balance][peak_ewma]") {
  picking<peak_ewma> two{std::vector<double>(2, 1)};
  served(two, {1ms, 50ms}, 100);
  CHECK(two.number() == 0);
  const auto counts = served(two, {1ms, 1ms}, 60'000);  // a minute: the memory halves every 5 seconds
  CHECK(counts[1] > 40);
}

TEST_CASE("peak EWMA: a peak is forgotten, however often samples come", "[balance][peak_ewma]") {
  picking<peak_ewma> one{{1}};
  served(one, {100ms}, 1);
  served(one, {1ms}, 10'000);  // one a millisecond, for two half-lives
  CHECK(one.members().stats(one.id(0))->latency < 30ms);
}

TEST_CASE("peak EWMA: latency times what is in flight", "[balance][peak_ewma]") {
  picking<peak_ewma> two{std::vector<double>(2, 1)};
  served(two, {1ms, 3ms}, 10);
  std::vector<picking<peak_ewma>::token> held;
  for (int i = 0; i < 40; ++i) held.push_back(two.pick());
  CHECK(two.members().in_flight(two.id(0)) >= 29);
  CHECK(two.members().in_flight(two.id(0)) <= 31);
}

TEST_CASE("peak EWMA: latency by weight", "[balance][peak_ewma]") {
  picking<peak_ewma> two{{4, 1}};
  served(two, {3ms, 1ms}, 10);
  for (int i = 0; i < 20; ++i) {
    auto one = two.pick();
    REQUIRE(*one == 0);  // 3 / 4 against 1
    one.succeeded(3ms);
  }
}

TEST_CASE("peak EWMA: unknown ones are tried at once, one request at a time", "[balance][peak_ewma]") {
  picking<peak_ewma> two{std::vector<double>(2, 1)};
  auto first = two.pick();
  auto second = two.pick();
  CHECK(*first != *second);
  (*first == 0 ? first : second).succeeded(1ms);
  // The other is still out, and nothing is known of it.
  for (int i = 0; i < 10; ++i) {
    auto one = two.pick();
    REQUIRE(*one == 0);
    one.succeeded(1ms);
  }
  two.add();
  CHECK(two.number({.avoid = two.id(0)}) == 2);
}

TEST_CASE("peak EWMA: without reports, the least busy", "[balance][peak_ewma]") {
  picking<peak_ewma> two{{1, 1}};
  std::vector<picking<peak_ewma>::token> held;
  for (int i = 0; i < 40; ++i) held.push_back(two.pick());
  CHECK(two.members().in_flight(two.id(0)) == 20);
}

TEST_CASE("peak EWMA: failing fast does not pay", "[balance][peak_ewma]") {
  picking<peak_ewma> two{std::vector<double>(2, 1)};
  std::size_t failed = 0;
  for (int i = 0; i < 1000; ++i) {
    auto one = two.pick();
    manual_clock::advance(1ms);
    if (*one == 1) {
      one.failed(1us);
      ++failed;
    } else {
      one.succeeded(5ms);
    }
  }
  CHECK(failed >= 1);
  CHECK(failed < 5);
}

TEST_CASE("peak EWMA: a clock that stands still or goes back", "[balance][peak_ewma]") {
  picking<peak_ewma> two{std::vector<double>(2, 1)};
  for (int i = 0; i < 200; ++i) {
    auto one = two.pick();
    REQUIRE(one);
    one.succeeded(*one == 0 ? 1ms : 2ms);
    if (i > 100) manual_clock::advance(-1s);
  }
  CHECK(two.number() == 0);
}

TEST_CASE("peak EWMA: bad options", "[balance][peak_ewma]") {
  for (const std::uint32_t bad : {0U, 1U, 17U, ~0U})
    CHECK(refused_field([&] { peak_ewma{{.choices = bad}}; }) == "peak_ewma::options.choices");
}

}  // namespace
