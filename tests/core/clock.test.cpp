#include <banyan/core/clock.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;

// The requirements of [time.clock.req]; libc++ 16 has no std::chrono::is_clock.
template <class C>
constexpr bool is_clock = requires {
  typename C::rep;
  typename C::period;
  typename C::duration;
  typename C::time_point;
  { C::is_steady } -> std::convertible_to<bool>;
  { C::now() } -> std::same_as<typename C::time_point>;
};

TEST_CASE("the coarse clock is the steady clock, behind by a tick", "[core][clock]") {
  auto last = banyan::coarse_clock::now();
  for (int i = 0; i < 1000; ++i) {
    const auto before = banyan::coarse_clock::now();
    const auto fine = banyan::steady_clock::now();
    REQUIRE(before >= last);
    REQUIRE(before <= fine);
    last = before;
  }
  static_assert(is_clock<banyan::coarse_clock> && banyan::coarse_clock::is_steady);
}

TEST_CASE("the manual clock does what it is told", "[core][clock]") {
  struct here;
  using clock = banyan::basic_manual_clock<here>;
  static_assert(is_clock<clock>);
  CHECK(clock::now() == clock::time_point{});
  clock::advance(5s);
  CHECK(clock::now().time_since_epoch() == 5s);
  clock::advance(-2s);
  CHECK(clock::now().time_since_epoch() == 3s);
  clock::set(clock::time_point{1h});
  CHECK(clock::now().time_since_epoch() == 1h);
  CHECK(banyan::manual_clock::now() == banyan::manual_clock::time_point{});
}

TEST_CASE("monotonic time never goes back", "[core][clock]") {
  struct here;
  using clock = banyan::basic_manual_clock<here>;
  banyan::monotonic<clock> time;
  const clock::time_point zero{};
  CHECK(time.observe(zero - 5s) == zero - 5s);
  CHECK(time.observe(zero + 5s) == zero + 5s);
  CHECK(time.observe(zero + 3s) == zero + 5s);
  CHECK(time.latest() == zero + 5s);
  clock::set(zero + 7s);
  CHECK(time.observe() == zero + 7s);

  std::atomic<int> backwards{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      auto last = zero;
      for (int i = 0; i < 10000; ++i) {
        const auto seen = time.observe(zero + std::chrono::seconds{i * 3 + t - (i % 5) * 100});
        if (seen < last) ++backwards;
        last = seen;
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(backwards == 0);
}

}  // namespace
