// Windows of a concurrency_limiter after a pause, samples that can be repeated, and who wakes those that wait.

#include <banyan/limit/concurrency_limiter.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using banyan::concurrency_limiter;
using banyan::limit_sample;
using banyan::testing::joining_thread;
using namespace std::chrono_literals;

struct clock_tag;
using manual = banyan::basic_manual_clock<clock_tag>;
constexpr manual::time_point at(std::chrono::nanoseconds since) { return manual::time_point{since}; }

// Keeps what `value` makes of the last sample.
template <auto Value>
struct keeps {
  struct options {};
  explicit keeps(const options&) {}
  [[nodiscard]] std::uint64_t initial() const noexcept { return 0; }
  [[nodiscard]] std::uint64_t next(std::uint64_t, const limit_sample& s) const noexcept { return Value(s); }
  [[nodiscard]] std::uint32_t limit(std::uint64_t) const noexcept { return 1000; }
};

using mean = keeps<[](const limit_sample& s) { return static_cast<std::uint64_t>(s.latency); }>;
using random_bits = keeps<[](const limit_sample& s) { return s.random; }>;

// Forty calls that begin together and take 1 to 40 ms.
template <class Gate>
void burst(Gate& gate, std::chrono::nanoseconds begin) {
  std::vector<typename Gate::permit> in;
  for (int i = 0; i < 40; ++i) in.push_back(gate.try_acquire(at(begin)));
  for (int i = 0; i < 40; ++i) in[static_cast<std::size_t>(i)].succeeded((i + 1) * 1ms, at(begin + (i + 1) * 1ms));
}

// A limit that stops one thread where the limiter asks for it.
struct gated {
  struct options {};
  explicit gated(const options&) {}
  [[nodiscard]] std::uint64_t initial() const noexcept { return 1; }
  [[nodiscard]] std::uint64_t next(std::uint64_t word, const limit_sample&) const noexcept { return word + 1; }
  [[nodiscard]] std::uint32_t limit(std::uint64_t word) const noexcept {
    if (stops_as != 0) at_limit();
    return static_cast<std::uint32_t>(word);
  }
  [[nodiscard]] std::uint64_t with_limit(std::uint64_t, std::uint32_t limit) const noexcept { return limit; }

  static void at_limit();
  static inline thread_local std::uint32_t stops_as = 0;  // the how manieth to wait
};

using gated_limiter = concurrency_limiter<gated>;
std::atomic<gated_limiter*> gate_of_the_test{nullptr};
std::atomic<std::uint32_t> in_the_list{0};
std::atomic<bool> goes_on{false};

// It is counted before it joins the list, and asks for the limit next when it has joined.
void gated::at_limit() {
  const std::uint32_t wanted = std::exchange(stops_as, 0);  // `stats` asks for the limit, too
  if (gate_of_the_test.load()->stats().waiting[0] < wanted) {
    stops_as = wanted;
    return;
  }
  in_the_list.fetch_add(1);
  while (!goes_on.load()) std::this_thread::yield();
}

}  // namespace

TEST_CASE("concurrency_limiter: a window after a pause begins with the first call that ends",
          "[limit][concurrency_limiter]") {
  concurrency_limiter<mean, manual> gate{{}, {}, at(0s)};
  burst(gate, 1h);  // the first ten of these are the shortest
  CHECK(gate.stats().windows == 0U);
  burst(gate, 1h + 1s);
  REQUIRE(gate.stats().windows == 1U);
  CHECK(gate.policy_word() >= 19'000'000U);
}

TEST_CASE("concurrency_limiter: calls that are rarer than windows close them all the same",
          "[limit][concurrency_limiter]") {
  concurrency_limiter<mean, manual> gate{{}, {}, at(0s)};
  for (int i = 0; i < 100; ++i) gate.try_acquire(at(i * 5s)).succeeded(3ms, at(i * 5s));
  CHECK(gate.stats().windows >= 9U);
}

TEST_CASE("concurrency_limiter: a call longer than there are nanoseconds", "[limit][concurrency_limiter]") {
  concurrency_limiter<mean, manual> gate{{}, {.min_calls = 1}, at(0s)};
  manual::set(at(1h));
  auto call = gate.try_acquire(manual::time_point::min());
  call.succeeded();
  CHECK(gate.stats().windows == 1U);
  CHECK(gate.in_flight() == 0U);
}

TEST_CASE("concurrency_limiter: with a seed, the random bits of samples are the same each time",
          "[limit][concurrency_limiter]") {
  const auto drawn = [](std::uint64_t seed) {
    banyan::concurrency_limiter_options options;
    options.seed = seed;
    concurrency_limiter<random_bits, manual> gate{{}, options, at(0s)};
    std::vector<std::uint64_t> bits;
    for (int i = 0; i < 4; ++i) {
      burst(gate, 2s * i + 1s);
      bits.push_back(gate.policy_word());
    }
    return bits;
  };
  CHECK(drawn(1) == drawn(1));
  CHECK(drawn(1) != drawn(2));
  CHECK(drawn(0) != drawn(0));
}

// The waiter is held where it cannot look again by itself, so whoever raises the limit has to let it in.
TEST_CASE("concurrency_limiter's queue: who raises the limit lets in who waits, at once",
          "[limit][concurrency_limiter][queue]") {
  for (const bool by_hand : {true, false}) {
    CAPTURE(by_hand);
    gated_limiter gate{{}, {.window = 1ns, .min_calls = 1, .queue = 4, .interval = 1h, .target = 1h}};
    gate_of_the_test = &gate;
    in_the_list = 0;
    goes_on = false;
    auto first = gate.try_acquire();
    REQUIRE(first);
    const std::uint32_t waiters = by_hand ? 1 : 2;
    std::atomic<std::uint32_t> let_in{0};
    std::uint32_t in_flight = 0;
    {
      std::vector<joining_thread> threads;
      for (std::uint32_t i = 1; i <= waiters; ++i) {
        threads.emplace_back([&, i] {
          gated::stops_as = i;
          const auto got = gate.acquire(1h);
          let_in += got ? 1 : 0;
        });
        while (in_the_list.load() != i) std::this_thread::yield();
      }
      if (by_hand) {
        gate.set_limit(2);  // beside `first`
      } else {
        first.succeeded(1ms);  // a place for one, and the window it ends makes another
      }
      in_flight = gate.in_flight();
      goes_on = true;
      first.ignored();
    }
    CHECK(in_flight == 2U);
    CHECK(let_in == waiters);
  }
}
