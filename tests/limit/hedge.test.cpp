#include <banyan/limit/hedge.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <banyan/limit/detail/product_limit.hpp>
#include <banyan/limit/detail/slotted_counts.hpp>

#include "given_time.hpp"
#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/interleavings.hpp"
#include "support/seed.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using namespace banyan::testing::given_times;
using banyan::testing::refused_field;

using hedge = banyan::basic_hedge<given_clock>;

TEST_CASE("hedge: no delay before enough is known, then the percentile", "[limit][hedge]") {
  hedge h{{.percentile = 0.9, .min_samples = 100}, start};
  CHECK_FALSE(h.request(after(1ms)).has_value());
  for (int i = 0; i < 89; ++i) h.succeeded(10ms, after(2ms));
  for (int i = 0; i < 10; ++i) h.succeeded(1s, after(3ms));
  CHECK_FALSE(h.delay(after(1s)).has_value());
  h.succeeded(10ms, after(1s));
  CHECK_FALSE(h.delay(after(1s)).has_value());  // not looked at anew so soon
  const auto delay = h.delay(after(1200ms));
  REQUIRE(delay.has_value());
  CHECK(*delay >= 10ms);
  CHECK(*delay <= 12'500us);
  // Ten more slow ones, and more than a tenth is slow.
  for (int i = 0; i < 10; ++i) h.succeeded(1s, after(1300ms));
  CHECK(*h.delay(after(1500ms)) >= 1s);
}

TEST_CASE("hedge: what is older than the window is forgotten", "[limit][hedge]") {
  hedge h{{.min_samples = 10, .window = 10s}, start};
  for (int i = 0; i < 1000; ++i) h.succeeded(1s, after(1s));
  CHECK(*h.delay(after(2s)) >= 1s);
  for (int i = 0; i < 20; ++i) h.succeeded(20ms, after(8s));
  CHECK(*h.delay(after(9s)) >= 1s);
  const auto later = h.delay(after(12s));
  REQUIRE(later.has_value());
  CHECK(*later >= 20ms);
  CHECK(*later <= 25ms);
  CHECK_FALSE(h.delay(after(30s)).has_value());
}

TEST_CASE("hedge: the delay is not below its least", "[limit][hedge]") {
  hedge h{{.min_samples = 1, .min_delay = 3ms}, start};
  h.succeeded(-5ms, start);
  h.succeeded(1us, start);
  CHECK(h.delay(after(1s)) == 3ms);
  hedge huge{{.min_samples = 1}, start};
  huge.succeeded(nanoseconds::max(), start);
  CHECK(*huge.delay(after(1s)) > 1h);
}

TEST_CASE("the product-limit estimate of a quantile", "[limit][hedge]") {
  using banyan::duration_distribution;
  using banyan::detail::product_limit_quantile;
  // Remission times of 21 patients (Freireich et al., Blood 21, 1963), some still in remission when last seen: the
  // textbook example. The estimate falls to 0.857 at 6, 0.807 at 7, 0.753 at 10, 0.690 at 13, 0.627 at 16.
  duration_distribution ended;
  duration_distribution beyond;
  for (const int t : {6, 6, 6, 7, 10, 13, 16, 22, 23}) ended.add(nanoseconds{t});
  for (const int t : {6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35}) beyond.add(nanoseconds{t});
  const auto class_end = [](int t) {
    return duration_distribution::end_of(duration_distribution::class_of(nanoseconds{t}));
  };
  CHECK(product_limit_quantile(ended, beyond, 0.142) == class_end(6));
  CHECK(product_limit_quantile(ended, beyond, 0.144) == class_end(7));
  CHECK(product_limit_quantile(ended, beyond, 0.192) == class_end(7));
  CHECK(product_limit_quantile(ended, beyond, 0.194) == class_end(10));
  CHECK(product_limit_quantile(ended, beyond, 0.246) == class_end(10));
  CHECK(product_limit_quantile(ended, beyond, 0.248) == class_end(13));
  CHECK(product_limit_quantile(ended, beyond, 0.309) == class_end(13));
  CHECK(product_limit_quantile(ended, beyond, 0.311) == class_end(16));
  CHECK(product_limit_quantile(ended, beyond, 0.372) == class_end(16));
  CHECK(product_limit_quantile(ended, beyond, 0.99) == class_end(35));  // nobody knows

  // With all ends known it is the quantile; with none, the longest.
  banyan::testing::random_source random{banyan::testing::derived_seed("product limit")};
  duration_distribution all;
  for (int i = 0; i < 1000; ++i) all.add(nanoseconds{random.below(1'000'000)});
  for (int i = 1; i < 1000; ++i) REQUIRE(product_limit_quantile(all, {}, i / 1000.0) == all.quantile(i / 1000.0));
  CHECK(product_limit_quantile({}, beyond, 0.5) == class_end(35));
  CHECK(product_limit_quantile({}, {}, 0.5) == 0ns);
}

TEST_CASE("hedge: second attempts stay within the budget", "[limit][hedge]") {
  hedge h{{.max_extra = 0.05}, start};
  CHECK_FALSE(h.try_send(start));
  int sent = 0;
  for (int i = 0; i < 1000; ++i) {
    h.request(after(1ms));
    sent += h.try_send(after(1ms)) ? 1 : 0;
  }
  CHECK(sent == 50);
  CHECK(h.stats().sent == 50);
  CHECK(h.stats().refused == 951);
  hedge never{{.max_extra = 0}, start};
  for (int i = 0; i < 1000; ++i) never.request(start);
  CHECK_FALSE(never.try_send(start));
  hedge few{{.max_extra = 0, .min_per_second = 0.5, .window = 10s}, start};
  sent = 0;
  for (int i = 0; i < 100; ++i) sent += few.try_send(after(1s)) ? 1 : 0;
  CHECK(sent == 5);
}

TEST_CASE("hedge: none while too many calls fail", "[limit][hedge]") {
  hedge h{{.max_extra = 1, .throttle = {.max_tokens = 10, .token_ratio = 1}}, start};
  for (int i = 0; i < 100; ++i) h.request(start);
  CHECK(h.try_send(start));
  for (int i = 0; i < 4; ++i) h.failed();
  CHECK(h.try_send(start));
  h.timed_out(1s, start);
  CHECK_FALSE(h.try_send(start));
  h.succeeded(1ms, start);
  CHECK(h.try_send(start));
  h.failed();
  CHECK_FALSE(h.try_send(start));
  h.overtaken(1ms, start);
  CHECK(h.try_send(start));
  CHECK(h.stats().won == 1);
}

TEST_CASE("hedge: none as long as the server says", "[limit][hedge]") {
  hedge h{{.max_extra = 1}, start};
  for (int i = 0; i < 100; ++i) h.request(after(9s));
  h.pushback(10s, start);
  CHECK_FALSE(h.try_send(start));
  h.pushback(1s, start);  // does not make it shorter
  h.pushback(0s, after(20s));
  h.pushback(-10s, after(20s));
  h.pushback(nanoseconds::min(), after(20s));
  CHECK_FALSE(h.try_send(after(10s) - 1ns));
  CHECK(h.try_send(after(10s)));
  h.pushback(nanoseconds::max(), after(10s));
  CHECK_FALSE(h.try_send(after(24h)));
}

TEST_CASE("hedge: clocks that go back or jump do no harm", "[limit][hedge]") {
  hedge h{{.min_samples = 10}, start};
  for (int i = 0; i < 50; ++i) h.succeeded(10ms, after(60s));
  CHECK(*h.delay(after(60s)) <= 12'500us);
  for (int i = 0; i < 1000; ++i) h.succeeded(1h, after(1s));      // of a slot that is over
  for (int i = 0; i < 1000; ++i) h.succeeded(1h, start - 1000h);  // before it was made
  for (int i = 0; i < 1000; ++i) h.succeeded(1h, time_point::min());
  CHECK(*h.delay(after(61s)) <= 12'500us);
  CHECK(h.delay(start - 1000h) == h.delay(after(61s)));
  h.request(time_point::min());
  h.succeeded(10ms, time_point::max());
  CHECK_FALSE(h.delay(time_point::max()).has_value());
  static_cast<void>(h.try_send(time_point::max()));
  static_cast<void>(h.try_send(time_point::min()));
  hedge early{{}, time_point::min()};
  early.succeeded(10ms, time_point::max());
  static_cast<void>(early.delay(time_point::max()));
}

TEST_CASE("hedge: options out of range are refused by name", "[limit][hedge]") {
  using banyan::hedge_options;
  using banyan::testing::infinity;
  using banyan::testing::not_a_number;
  const auto field = [&](hedge_options o) {
    return refused_field([&] {
      const hedge made{o, start};
      return 0;
    });
  };
  for (const double bad : {0.0, -1.0, 1.0, 2.0, infinity, -infinity, not_a_number})
    CHECK(field({.percentile = bad}) == "hedge_options.percentile");
  for (const double bad : {-0.1, 1.1, infinity, -infinity, not_a_number}) {
    CHECK(field({.max_extra = bad}) == "hedge_options.max_extra");
    CHECK(field({.min_per_second = bad * 1e6}) == "hedge_options.min_per_second");
  }
  for (const std::uint64_t bad : {std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max()})
    CHECK(field({.min_samples = bad}) == "hedge_options.min_samples");
  for (const nanoseconds bad : {nanoseconds{0}, nanoseconds{-1}, nanoseconds::max(), nanoseconds::min()}) {
    CHECK(field({.window = bad}) == "hedge_options.window");
    if (bad != 0ns) CHECK(field({.min_delay = bad}) == "hedge_options.min_delay");
  }
  CHECK(field({.throttle = {.max_tokens = 0}}) == "retry_throttle_options.max_tokens");
  CHECK(field({}).empty());
}

// Requests at even times against a service whose latencies are drawn anew for every attempt.
struct simulation {
  struct run {
    std::vector<nanoseconds> latencies{};  // of requests, as their callers see them
    std::vector<nanoseconds> sent_at{};    // second attempts
    hedge::duration last_delay{};
    double extra() const { return static_cast<double>(sent_at.size()) / static_cast<double>(latencies.size()); }
    nanoseconds quantile(double q) const {
      auto sorted = latencies;
      std::sort(sorted.begin(), sorted.end());
      return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
    }
  };

  // 5 to 15 ms, some slow; from 30 to 40 s everything is slow if so wanted.
  nanoseconds draw(nanoseconds at) {
    const bool unlucky = random.chance(1, slow_one_in);
    nanoseconds latency = nanoseconds{random.below(10'000'000)} + 5ms;
    if (unlucky) latency += 200ms + nanoseconds{random.below(800'000'000)};
    if (bad_times && at >= 30s && at < 40s) latency *= 20;
    return latency;
  }

  run go(hedge* h) {
    run result;
    struct request {
      nanoseconds sent, first;
      bool done = false;
    };
    constexpr std::size_t count = 60'000;
    std::vector<request> requests(count);
    enum class what { arrives, delay_over, first_ends, second_ends };
    struct event {
      std::size_t request;
      what happens;
    };
    std::multimap<nanoseconds, event> events;
    for (std::size_t i = 0; i < count; ++i) events.emplace(i * 1ms, event{i, what::arrives});
    for (; !events.empty(); events.erase(events.begin())) {
      const auto [now, e] = *events.begin();
      request& r = requests[e.request];
      switch (e.happens) {
        case what::arrives:
          r.sent = now;
          r.first = draw(now);
          events.emplace(now + r.first, event{e.request, what::first_ends});
          if (h != nullptr) {
            if (const auto delay = h->request(after(now))) {
              result.last_delay = *delay;
              events.emplace(now + *delay, event{e.request, what::delay_over});
            }
          }
          break;
        case what::delay_over:
          if (r.done || !h->try_send(after(now))) break;
          result.sent_at.push_back(now);
          events.emplace(now + draw(now), event{e.request, what::second_ends});
          break;
        case what::first_ends:
        case what::second_ends:
          if (r.done) break;
          r.done = true;
          result.latencies.push_back(now - r.sent);
          if (h == nullptr) break;
          if (e.happens == what::first_ends) {
            h->succeeded(now - r.sent, after(now));
          } else {
            h->overtaken(now - r.sent, after(now));
          }
      }
    }
    return result;
  }

  bool bad_times;
  banyan::testing::random_source random;
  std::uint64_t slow_one_in = 50;
};

TEST_CASE("hedge: the tail goes, for a few more requests", "[limit][hedge]") {
  const std::uint64_t seed = banyan::testing::derived_seed("hedge: the tail");
  CAPTURE(seed);
  const auto plain = simulation{false, banyan::testing::random_source{seed}}.go(nullptr);
  hedge h{{.percentile = 0.95, .max_extra = 0.05}, start};
  const auto hedged = simulation{false, banyan::testing::random_source{seed}}.go(&h);
  CAPTURE(plain.quantile(0.99).count(), hedged.quantile(0.99).count(), hedged.extra());
  CHECK(hedged.latencies.size() == plain.latencies.size());
  CHECK(plain.quantile(0.99) > 200ms);
  CHECK(hedged.quantile(0.99) < 50ms);
  CHECK(hedged.quantile(0.5) < 15ms);
  CHECK(hedged.extra() <= 0.05);
  CHECK(hedged.extra() >= 0.02);
  CHECK(h.stats().won > 1000);  // 2 % of 60,000 were slow
}

TEST_CASE("hedge: without a budget to stop it, the delay does not eat itself up", "[limit][hedge]") {
  // One in ten takes 0.2 to 1 s, so the percentile lies among them, and the percentile alone keeps second attempts to a
  // few: what was overtaken counts as slow. If it did not, the percentile would fall to where all slow ones are sent
  // twice.
  hedge h{{.percentile = 0.95, .max_extra = 1}, start};
  const auto hedged =
      simulation{false, banyan::testing::random_source{banyan::testing::derived_seed("own tail")}, 10}.go(&h);
  CAPTURE(hedged.extra(), hedged.last_delay.count());
  CHECK(hedged.extra() <= 0.07);
  CHECK(hedged.last_delay >= 400ms);
}

TEST_CASE("hedge: when everything is slow, second attempts stay within the budget", "[limit][hedge]") {
  hedge h{{.percentile = 0.95, .max_extra = 0.05}, start};
  const auto hedged =
      simulation{true, banyan::testing::random_source{banyan::testing::derived_seed("all slow")}}.go(&h);
  // 1,000 requests a second; any ten seconds, to a tenth.
  for (nanoseconds from = 0s; from < 50s; from += 250ms) {
    const auto sent = std::count_if(hedged.sent_at.begin(), hedged.sent_at.end(),
                                    [&](nanoseconds at) { return at >= from && at < from + 10s; });
    CAPTURE(from.count());
    REQUIRE(sent <= 550);
  }
  CHECK(hedged.extra() <= 0.05);
  // Bad times were learned, and forgotten again.
  CHECK(hedged.last_delay <= 20ms);
}

TEST_CASE("hedge: counts of slots, in every order", "[limit][hedge]") {
  using counts = banyan::detail::slotted_counts<2, banyan::testing::scheduled_atomic>;
  const auto report = banyan::testing::explore({.preemptions = 4}, [] {
    auto c = std::make_shared<counts>();
    c->add(5, 0);
    return banyan::testing::scenario{{[c] {
                                        c->add(6, 0);
                                        c->add(10, 0);
                                      },
                                      [c] { c->add(10, 0); }, [c] { c->add(5, 0); }},
                                     [c] {
                                       // Slot 10 takes the place of slot 5, whatever still comes for that.
                                       return c->sum(10, 0) == 3 && c->sum(14, 0) == 2 && c->sum(15, 0) == 0 &&
                                              c->sum(10, 1) == 0;
                                     }};
  });
  INFO(report.schedule);
  CHECK(report.passed);
  CHECK(report.complete);
}

TEST_CASE("hedge: whoever stops, the others go on", "[limit][hedge]") {
  banyan::hedge h{{.max_extra = 0.5, .min_samples = 10, .window = 1s, .min_delay = 0ns}};
  std::atomic<int> wrong{0};
  const auto result = banyan::testing::stop_a_thread({.workers = 4, .rounds = 60, .operations = 20}, [&] {
    if (const auto delay = h.request(); delay.has_value() && *delay < 0ns) ++wrong;
    static_cast<void>(h.try_send());
    h.succeeded(1ms);
    h.overtaken(2ms);
    h.timed_out(3ms);
    h.failed();
    h.pushback(1us);
  });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(wrong == 0);
}

}  // namespace
