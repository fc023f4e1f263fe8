#include <banyan/limit/circuit_breaker.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <utility>
#include <vector>

#include "at_once.hpp"
#include "breaker_calls.hpp"
#include "given_time.hpp"
#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::circuit_state;
using banyan::testing::breaker;
using banyan::testing::call;
using banyan::testing::refused_field;

TEST_CASE("the example of the documentation compiles: breaker", "[limit][circuit_breaker]") {
  banyan::circuit_breaker b{{.failure_rate = 0.5, .window = 100, .open_for = 60s, .probes = 10}};
  if (auto permit = b.try_acquire()) permit.succeeded(3ms);
  CHECK(b.state() == circuit_state::closed);
}

// Figures of resilience4j's CircuitBreakerStateMachineTest: window of 5 calls, half of them, 4 probes, 5 s.
const banyan::circuit_breaker_options five{
    .failure_rate = 0.5, .slow_rate = 0.5, .slow_after = 4s, .window = 5, .min_calls = 5, .open_for = 5s, .probes = 4};

TEST_CASE("resilience4j's figures", "[limit][circuit_breaker][published]") {
  for (const bool timed : {false, true}) {
    auto options = five;
    if (timed) options.window_time = 5s;
    CAPTURE(timed);
    breaker b{options, start};
    for (const bool ok : {false, false, false, true}) {
      call(b, ok, 0s);
      CHECK(b.state() == circuit_state::closed);
    }
    CHECK(b.failure_rate(start) == 0.75);
    call(b, true, 0s);
    CHECK(b.state() == circuit_state::open);  // 60 %
    CHECK(!b.try_acquire(start));
    CHECK(!b.try_acquire(after(3s)));
    CHECK(!b.try_acquire(after(5s - 1ns)));
    {
      std::vector<breaker::permit> probes;
      for (int i = 0; i < 4; ++i) probes.push_back(b.try_acquire(after(6s)));
      for (const auto& probe : probes) CHECK(probe);
      CHECK(b.state() == circuit_state::half_open);
      CHECK(!b.try_acquire(after(6s)));
      { auto cancelled = std::move(probes.back()); }
      probes.back() = b.try_acquire(after(6s));
      CHECK(probes.back());
      CHECK(!b.try_acquire(after(6s)));
      for (auto& probe : probes) probe.succeeded(0ns, after(7s));
    }
    CHECK(b.state() == circuit_state::closed);
    CHECK(b.failure_rate(after(7s)) == 0);

    // Three slow ones of five.
    call(b, false, 20s, 5s);
    call(b, true, 20s, 5s);
    call(b, false, 20s, 100ms);
    call(b, true, 20s, 100ms);
    CHECK(b.state() == circuit_state::closed);
    CHECK(b.slow_rate(after(20s)) == 0.5);
    call(b, true, 20s, 5s);
    CHECK(b.state() == circuit_state::open);

    // Half open again: two of four fail.
    call(b, true, 26s);
    call(b, false, 26s);
    CHECK(b.state() == circuit_state::half_open);
    call(b, false, 26s);
    CHECK(b.state() == circuit_state::open);
    CHECK(!b.try_acquire(after(30s)));
    CHECK(b.try_acquire(after(32s)));
  }
}

TEST_CASE("states by force", "[limit][circuit_breaker]") {
  breaker b{five, start};
  b.force_open(start);
  CHECK(!b.try_acquire(after(1000h)));
  b.disable(start);
  for (int i = 0; i < 100; ++i) call(b, false, 0s);
  CHECK(b.state() == circuit_state::disabled);
  b.open(start);
  CHECK(!b.try_acquire(after(4s)));
  CHECK(b.try_acquire(after(6s)));
  CHECK(b.state() == circuit_state::half_open);
  b.reset(after(6s));
  CHECK(b.state() == circuit_state::closed);
  call(b, false, 7s);
  CHECK(b.failure_rate(after(7s)) == 1);
}

TEST_CASE("probes that never come back are given up", "[limit][circuit_breaker]") {
  auto options = five;
  options.probe_timeout = 10s;
  breaker b{options, start};
  b.open(start);
  std::vector<breaker::permit> lost;
  for (int i = 0; i < 4; ++i) lost.push_back(b.try_acquire(after(6s)));
  CHECK(!b.try_acquire(after(15s)));
  std::vector<breaker::permit> next;
  for (int i = 0; i < 4; ++i) next.push_back(b.try_acquire(after(16s + 1ms)));
  for (const auto& probe : next) CHECK(probe);
  CHECK(!b.try_acquire(after(17s)));
  for (auto& probe : lost) probe.failed(0ns, after(17s));  // too late to count
  CHECK(b.state() == circuit_state::half_open);
  CHECK(!b.try_acquire(after(17s)));
  for (auto& probe : next) probe.succeeded(0ns, after(17s));
  CHECK(b.state() == circuit_state::closed);
}

TEST_CASE("what comes back late counts for nothing; reports count once", "[limit][circuit_breaker]") {
  breaker b{five, start};
  std::vector<breaker::permit> late;
  for (int i = 0; i < 10; ++i) late.push_back(b.try_acquire(start));
  for (int i = 0; i < 5; ++i) late[static_cast<std::size_t>(i)].failed(0ns, start);
  CHECK(b.state() == circuit_state::open);
  b.reset(start);
  for (auto& permit : late) permit.failed(0ns, start);
  CHECK(b.state() == circuit_state::closed);
  CHECK(b.failure_rate(start) == 0);
  auto once = b.try_acquire(start);
  for (int i = 0; i < 10; ++i) once.failed(0ns, start);
  CHECK(b.state() == circuit_state::closed);
  breaker::permit none;
  none.failed();
  CHECK(!none);
}

TEST_CASE("time that goes back keeps an open breaker open", "[limit][circuit_breaker]") {
  breaker b{five, after(1h)};
  for (int i = 0; i < 5; ++i) call(b, false, 2h);
  CHECK(b.state() == circuit_state::open);
  for (const auto when : {start, time_point::min(), after(2h)}) CHECK(!b.try_acquire(when));
  b.open(start);
  CHECK(!b.try_acquire(after(2h)));
  CHECK(b.try_acquire(time_point::max()));
}

TEST_CASE("openings in a row last longer and longer", "[limit][circuit_breaker]") {
  breaker b{{.window = 2, .min_calls = 2, .open_for = 1s, .open_for_max = 10s, .probes = 2}, start};
  const auto open_until = [&](nanoseconds end) {
    CHECK(b.state() == circuit_state::open);
    CHECK(!b.try_acquire(after(end - 1ns)));
    const auto probe = b.try_acquire(after(end + 1ms));
    CHECK(probe);
    CHECK(b.state() == circuit_state::half_open);
  };
  for (int i = 0; i < 2; ++i) call(b, false, 100s);
  open_until(101s);
  call(b, false, 102s);  // a probe
  open_until(104s);
  call(b, false, 105s);
  open_until(109s);
  call(b, false, 110s);
  open_until(118s);
  call(b, false, 120s);
  open_until(130s);  // not 136
  for (int i = 0; i < 2; ++i) call(b, true, 131s);
  CHECK(b.state() == circuit_state::closed);
  for (int i = 0; i < 2; ++i) call(b, false, 140s);  // soon after
  open_until(150s);
  for (int i = 0; i < 2; ++i) call(b, true, 151s);
  for (int i = 0; i < 2; ++i) call(b, false, 162s);  // ten seconds have gone well
  open_until(163s);
  call(b, false, 164s);
  open_until(166s);
  b.open(after(170s));  // by hand it begins anew
  open_until(171s);
  b.reset(after(172s));
  for (int i = 0; i < 2; ++i) call(b, false, 172s);
  open_until(173s);
  // A clock that is behind finds it open all the longer.
  call(b, false, 100s);
  CHECK(!b.try_acquire(after(174s)));

  breaker long_ago{{.window = 1, .min_calls = 1, .open_for = 1h, .open_for_max = 24h * 366, .probes = 1}, start};
  long_ago.open(start);
  nanoseconds now{0};
  for (int i = 0; i < 20; ++i) {
    const nanoseconds length = std::min<nanoseconds>(1h * (1 << std::min(i, 14)), 24h * 366);
    CAPTURE(i);
    CHECK(!long_ago.try_acquire(after(now + length - 1ns)));
    call(long_ago, false, now + length + 1ms);
    now += length + 1ms;
    if (now > 24h * 365 * 12) break;  // time stands still after thirteen years
  }
}

TEST_CASE("the last calls against a plain window", "[limit][circuit_breaker]") {
  const std::uint64_t seed = banyan::testing::derived_seed("breaker window");
  CAPTURE(seed);
  banyan::testing::random_source random{seed};
  for (int round = 0; round < 50; ++round) {
    const auto window = static_cast<std::uint32_t>(1 + random.below(40));
    const double rate = 0.3 + 0.01 * static_cast<double>(random.below(70));
    const auto least = static_cast<std::uint32_t>(1 + random.below(window));
    breaker b{{.failure_rate = rate, .window = window, .min_calls = least, .open_for = 1s}, start};
    std::deque<bool> model;
    for (int i = 0; i < 400; ++i) {
      const bool failed = random.chance(1, 4);
      model.push_back(failed);
      if (model.size() > window) model.pop_front();
      std::uint32_t failures = 0;
      for (const bool each : model) failures += each ? 1 : 0;
      call(b, !failed, 0s);
      const bool opens = model.size() >= least && failures > 0 &&
                         static_cast<double>(failures) >= rate * static_cast<double>(model.size()) - 1e-9;
      REQUIRE((b.state() == circuit_state::open) == opens);
      if (opens) {
        b.reset(start);
        model.clear();
      } else {
        REQUIRE(b.failure_rate(start) == static_cast<double>(failures) / static_cast<double>(model.size()));
      }
    }
  }
}

TEST_CASE("a window of time forgets", "[limit][circuit_breaker]") {
  breaker b{{.failure_rate = 0.95, .window_time = 10s, .min_calls = 10, .open_for = 1s}, start};
  for (int i = 0; i < 9; ++i) call(b, false, 500ms);
  for (int i = 0; i < 9; ++i) call(b, true, 9s);
  call(b, true, 9s);
  CHECK(b.failure_rate(after(9s)) < 0.5);
  CHECK(b.failure_rate(after(12s)) == 0);
  for (int i = 0; i < 9; ++i) call(b, false, 25s);
  CHECK(b.state() == circuit_state::closed);
  call(b, false, 25s);
  CHECK(b.state() == circuit_state::open);
  // More calls than a slot holds: rates stay what they are.
  breaker busy{{.failure_rate = 0.5, .window_time = 1s, .min_calls = 10}, start};
  for (int i = 0; i < 200'000; ++i) call(busy, i % 10 < 6, 0s);
  CHECK(busy.state() == circuit_state::closed);
  CHECK(banyan::testing::near(busy.failure_rate(start), 0.4, 0.01));
}

TEST_CASE("a listener hears of changes, may call the breaker, and may throw", "[limit][circuit_breaker]") {
  std::vector<std::pair<circuit_state, circuit_state>> heard;
  breaker* self = nullptr;
  auto options = five;
  options.on_change = [&](circuit_state from, circuit_state to) {
    heard.emplace_back(from, to);
    if (self->state() == circuit_state::open && heard.size() == 1) self->force_open(start);
    throw std::runtime_error{"listener"};
  };
  breaker b{options, start};
  self = &b;
  for (int i = 0; i < 5; ++i) call(b, false, 0s);
  CHECK(b.state() == circuit_state::forced_open);
  REQUIRE(heard.size() == 2);
  CHECK(heard[0] == std::pair{circuit_state::closed, circuit_state::open});
  CHECK(heard[1] == std::pair{circuit_state::open, circuit_state::forced_open});
}

TEST_CASE("options of breakers are refused by name", "[limit][circuit_breaker]") {
  using banyan::testing::not_a_number;
  const auto field = [](banyan::circuit_breaker_options options) { return refused_field([&] { breaker{options}; }); };
  for (const double bad : {0.0, -1.0, 1.01, not_a_number}) {
    CHECK(field({.failure_rate = bad}) == "circuit_breaker_options.failure_rate");
    CHECK(field({.slow_rate = bad}) == "circuit_breaker_options.slow_rate");
  }
  CHECK(field({.slow_after = -1ns}) == "circuit_breaker_options.slow_after");
  CHECK(field({.window = 0}) == "circuit_breaker_options.window");
  CHECK(field({.window = 40'000}) == "circuit_breaker_options.window");
  CHECK(field({.window_time = 1ms}) == "circuit_breaker_options.window_time");
  CHECK(field({.window = 10, .min_calls = 11}) == "circuit_breaker_options.min_calls");
  CHECK(field({.min_calls = 0}) == "circuit_breaker_options.min_calls");
  CHECK(field({.open_for = 0s}) == "circuit_breaker_options.open_for");
  CHECK(field({.open_for = 2s, .open_for_max = 1s}) == "circuit_breaker_options.open_for_max");
  CHECK(field({.open_for_max = -1s}) == "circuit_breaker_options.open_for_max");
  CHECK(field({.open_for_max = nanoseconds::max()}) == "circuit_breaker_options.open_for_max");
  CHECK(field({.probes = 0}) == "circuit_breaker_options.probes");
  CHECK(field({.probes = 1024}) == "circuit_breaker_options.probes");
  CHECK(field({.probe_timeout = nanoseconds::max()}) == "circuit_breaker_options.probe_timeout");
  CHECK(field({}) == "");
}

TEST_CASE("the sums of the ring stay those of the ring, whoever records", "[limit][circuit_breaker][promise]") {
  std::vector<std::atomic<std::uint32_t>> ring(2);
  banyan::detail::last_outcomes last{ring};
  banyan::testing::at_once(3, [&](int t) {
    // Generations overlap, and begin before the numbers go round.
    for (int i = 0; i < 2'000'000; ++i) {
      // All end with the same one, so that it has the last of the ring.
      const int behind = t == 2 && i < 1'500'000 ? 1 : 0;
      const auto generation = static_cast<std::uint16_t>(65'530 - behind + i / 500'000);
      last.record(generation, {.failed = (i + t) % 3 == 0, .slow = i % 5 == 0});
    }
  });
  std::uint32_t calls = 0;
  std::uint32_t failed = 0;
  std::uint32_t slow = 0;
  for (const auto& each : ring) {
    if ((each.load() >> 2) != 65'533) continue;
    ++calls;
    failed += (each.load() >> 1) & 1;
    slow += each.load() & 1;
  }
  CHECK(calls > 0);
  CHECK(last.look(65'533).calls == calls);
  CHECK(last.look(65'533).failed == failed);
  CHECK(last.look(65'533).slow == slow);
}

TEST_CASE("never more probes than there are, whoever asks", "[limit][circuit_breaker][promise]") {
  breaker b{{.open_for = 1s, .probes = 2}, start};
  b.open(start);
  std::atomic<int> out{0};
  std::atomic<int> most{0};
  banyan::testing::at_once(3, [&](int) {
    for (int i = 0; i < 1'000'000; ++i) {
      const auto permit = b.try_acquire(after(2s));
      if (!permit) continue;
      const int together = out.fetch_add(1) + 1;
      if (together > 2) most.store(together);
      out.fetch_sub(1);
    }
  });
  CHECK(most.load() == 0);
  auto first = b.try_acquire(after(2s));
  auto second = b.try_acquire(after(2s));
  CHECK(first);
  CHECK(second);
  CHECK(!b.try_acquire(after(2s)));
}

TEST_CASE("a stopped thread holds no call up", "[limit][circuit_breaker][stop]") {
  breaker b{{.failure_rate = 0.5, .window = 20, .min_calls = 5, .open_for = 1ms, .probes = 3, .probe_timeout = 5ms},
            start};
  std::atomic<std::int64_t> time{0};
  std::atomic<std::uint64_t> through{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .mode = banyan::testing::stop_mode::several, .at_most = 400ms}, [&](std::size_t, std::uint64_t i) {
        const auto now = after(nanoseconds{time.fetch_add(100'000)});
        if (auto permit = b.try_acquire(now)) {
          through.fetch_add(1, std::memory_order_relaxed);
          if (i % 7 == 0) return;  // cancelled
          i % 100 < 60 ? permit.succeeded(0ns, now) : permit.failed(0ns, now);
        }
      });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(through.load() > 100);
}

}  // namespace
