#include <banyan/cluster/outlier_detector.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::cluster;
using banyan::ejection_limit;
using banyan::endpoint_id;
using banyan::health;
using banyan::outlier_detector;
using banyan::outlier_detector_options;
using banyan::success_rate_outliers;
using banyan::testing::infinity;
using banyan::testing::not_a_number;
using banyan::testing::refused_field;

struct clock_of_this_file;
using test_clock = banyan::basic_manual_clock<clock_of_this_file>;
constexpr test_clock::time_point start{};

struct fixture {
  explicit fixture(int endpoints) {
    for (int i = 0; i < endpoints; ++i) ids.push_back(web.add(i));
  }

  void succeed(std::size_t index, int times = 1) {
    for (int i = 0; i < times; ++i) web.acquire(ids[index]).succeeded();
  }
  void fail(std::size_t index, int times = 1) {
    for (int i = 0; i < times; ++i) web.acquire(ids[index]).failed(1ms, start);
  }
  bool out(std::size_t index) const { return web.stats(ids[index])->ejected; }
  std::vector<std::size_t> all_out() const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (out(i)) found.push_back(i);
    }
    return found;
  }

  cluster<int, test_clock> web;
  std::vector<endpoint_id> ids;
};

// Half may be out, so that the small clusters here have room.
outlier_detector_options by_hand() { return {.max_ejected = 0.5, .background = false}; }

using indices = std::vector<std::size_t>;

}  // namespace

TEST_CASE("how many may be ejected, also of very few") {
  CHECK(ejection_limit(0, 1) == 0);
  CHECK(ejection_limit(1, 1) == 0);
  CHECK(ejection_limit(2, 0.1) == 1);
  CHECK(ejection_limit(2, 1) == 1);
  CHECK(ejection_limit(3, 0.5) == 1);
  CHECK(ejection_limit(3, 0.67) == 2);
  CHECK(ejection_limit(3, 1) == 2);
  CHECK(ejection_limit(10, 0.1) == 1);
  CHECK(ejection_limit(10, 0.3) == 3);
  CHECK(ejection_limit(10, 0.7) == 7);
  CHECK(ejection_limit(100, 0.29) == 29);
  CHECK(ejection_limit(100, 0.299) == 29);
  CHECK(ejection_limit(100, 1) == 99);
  CHECK(ejection_limit(100, 0) == 0);
  CHECK(ejection_limit(100, not_a_number) == 0);
}

TEST_CASE("an outlier is far below the mean in deviations and in itself") {
  CHECK(success_rate_outliers({}, 1.9).empty());
  CHECK(success_rate_outliers(std::vector<double>{0}, 1.9).empty());
  CHECK(success_rate_outliers(std::vector<double>{1, 1, 1, 1, 1}, 0).empty());
  // One of five is two deviations away, one of four is not far enough.
  CHECK(success_rate_outliers(std::vector<double>{1, 1, 0.5, 1, 1}, 1.9) == indices{2});
  CHECK(success_rate_outliers(std::vector<double>{1, 1, 0.5, 1}, 1.9).empty());
  // Two of seven hide each other.
  CHECK(success_rate_outliers(std::vector<double>{1, 1, 0, 0, 1, 1, 1}, 1.9).empty());
  CHECK(success_rate_outliers(std::vector<double>{1, 1, 0, 0, 1, 1, 1}, 1.5) == indices{2, 3});
  // Where all do well, the least does not count.
  const std::vector<double> nearly{1, 1, 1, 1, 0.99, 1, 1};
  CHECK(success_rate_outliers(nearly, 1.9) == indices{4});
  CHECK(success_rate_outliers(nearly, 1.9, 0.05).empty());
}

TEST_CASE("failures in a row eject at once, for longer each time") {
  fixture f{4};
  outlier_detector detector{f.web, by_hand()};
  detector.evaluate(start);
  f.fail(1, 4);
  f.succeed(1);
  f.fail(1, 4);
  detector.evaluate(start + 1s);
  CHECK(f.all_out().empty());
  f.fail(1);
  detector.evaluate(start + 1s);
  CHECK(f.all_out() == indices{1});
  CHECK(f.web.stats(f.ids[1])->state == health::unhealthy);
  CHECK(detector.stats().by_consecutive_failures == 1);
  CHECK(detector.stats().ejected == 1);

  detector.evaluate(start + 30s);
  CHECK(f.out(1));
  detector.evaluate(start - 1h);  // a clock that goes back ends nothing
  CHECK(f.out(1));
  f.fail(1, 3);  // from before
  detector.evaluate(start + 31s);
  CHECK_FALSE(f.out(1));
  CHECK(detector.stats().readmitted == 1);
  // A clean record: four more do not do it.
  f.fail(1, 4);
  detector.evaluate(start + 32s);
  CHECK_FALSE(f.out(1));
  f.fail(1, 1);
  detector.evaluate(start + 33s);
  CHECK(f.out(1));
  detector.evaluate(start + 33s + 59s);
  CHECK(f.out(1));
  detector.evaluate(start + 33s + 60s);
  CHECK_FALSE(f.out(1));
  CHECK(detector.stats().ejected == 0);
}

TEST_CASE("requests without an answer have a limit of their own") {
  fixture f{4};
  auto options = by_hand();
  options.consecutive_failures = 5;
  options.consecutive_unanswered = 2;
  outlier_detector detector{f.web, options};
  detector.evaluate(start);
  f.fail(1, 3);
  f.web.acquire(f.ids[1]).unanswered();
  detector.evaluate(start + 1s);
  CHECK(f.all_out().empty());
  f.web.acquire(f.ids[1]).unanswered();
  detector.evaluate(start + 1s);
  CHECK(f.all_out() == indices{1});
}

TEST_CASE("ejections are bounded in time and forgotten interval by interval") {
  fixture f{4};
  auto options = by_hand();
  options.max_ejection = 70s;
  outlier_detector detector{f.web, options};
  auto now = start;
  detector.evaluate(now);
  const auto length_of_next = [&] {
    f.fail(0, 5);
    detector.evaluate(now);
    REQUIRE(f.out(0));
    const auto from = now;
    while (f.out(0)) {
      now += 1s;
      detector.evaluate(now);
    }
    return now - from;
  };
  CHECK(length_of_next() == 30s);
  CHECK(length_of_next() == 60s);
  CHECK(length_of_next() == 70s);
  CHECK(length_of_next() == 70s);
  // Some intervals without, and it is as new; it does not take longer to forget than to learn.
  for (int i = 0; i < 60; ++i) detector.evaluate(now += 1s);
  CHECK(length_of_next() == 30s);
}

TEST_CASE("a success rate far below the mean ejects at the end of an interval") {
  fixture f{6};
  outlier_detector detector{f.web, by_hand()};
  detector.evaluate(start);
  const auto traffic = [&](int each) {
    for (std::size_t i = 0; i < 6; ++i) {
      for (int n = 0; n < each; ++n) {
        if (i == 4 && n % 2 == 0) {
          f.fail(i);
        } else {
          f.succeed(i);
        }
      }
    }
  };
  traffic(100);
  detector.evaluate(start + 9s);
  CHECK(f.all_out().empty());
  detector.evaluate(start + 10s);
  CHECK(f.all_out() == indices{4});
  CHECK(detector.stats().by_success_rate == 1);
  detector.evaluate(start + 40s);
  CHECK(f.all_out().empty());
  // What was before does not count again, and too few requests say nothing.
  detector.evaluate(start + 50s);
  CHECK(f.all_out().empty());
  traffic(99);
  detector.evaluate(start + 60s);
  CHECK(f.all_out().empty());
  // Nor do requests of two intervals add up.
  traffic(99);
  detector.evaluate(start + 70s);
  CHECK(f.all_out().empty());
  traffic(100);
  detector.evaluate(start + 80s);
  CHECK(f.all_out() == indices{4});
}

TEST_CASE("with too few to compare, nobody is an outlier") {
  fixture f{4};
  outlier_detector detector{f.web, by_hand()};
  detector.evaluate(start);
  for (std::size_t i = 0; i < 4; ++i) f.succeed(i, 200);
  f.fail(0, 4);
  for (int n = 0; n < 100; ++n) {
    f.succeed(0);
    f.fail(0);
  }
  detector.evaluate(start + 10s);
  CHECK(f.all_out().empty());
}

TEST_CASE("the limit holds, the worst go first, and others follow when there is room") {
  fixture f{6};
  auto options = by_hand();
  options.base_ejection = 20s;
  outlier_detector detector{f.web, options};
  detector.evaluate(start);
  for (std::size_t i = 0; i < 6; ++i) f.fail(i, 5 + static_cast<int>(i));
  detector.evaluate(start + 1s);
  CHECK(f.all_out() == indices{3, 4, 5});
  CHECK(detector.stats().spared == 3);
  f.succeed(0);
  f.succeed(1);
  detector.evaluate(start + 21s);
  CHECK(f.all_out() == indices{2});
}

TEST_CASE("clusters of one, two and three") {
  for (const double fraction : {0.1, 0.5, 1.0}) {
    auto options = by_hand();
    options.max_ejected = fraction;
    for (int size = 1; size <= 3; ++size) {
      INFO(size << " endpoints, at most " << fraction);
      fixture f{size};
      outlier_detector detector{f.web, options};
      for (std::size_t i = 0; i < f.ids.size(); ++i) f.fail(i, 50);
      detector.evaluate(start);
      const std::size_t expected = size == 1 ? 0 : size == 3 && fraction == 1.0 ? 2 : 1;
      CHECK(f.all_out().size() == expected);
      detector.evaluate(start + 1s);
      CHECK(f.all_out().size() == expected);
    }
  }
  auto none = by_hand();
  none.max_ejected = 0;
  fixture f{3};
  outlier_detector detector{f.web, none};
  f.fail(0, 50);
  detector.evaluate(start);
  CHECK(f.all_out().empty());
}

TEST_CASE("the last fit endpoint is never ejected") {
  fixture f{4};
  auto options = by_hand();
  options.max_ejected = 1;
  outlier_detector detector{f.web, options};
  f.web.set_health(f.ids[0], health::unhealthy);
  f.web.set_weight(f.ids[1], 0);
  f.web.drain(f.ids[2]);
  f.fail(3, 50);
  detector.evaluate(start);
  CHECK(f.all_out().empty());
  CHECK(detector.stats().spared == 1);
  f.web.set_health(f.ids[0], health::degraded);
  detector.evaluate(start + 1s);
  CHECK(f.all_out() == indices{3});
}

TEST_CASE("what an endpoint did in bad health does not count when it is well") {
  fixture f{3};
  outlier_detector detector{f.web, by_hand()};
  f.web.set_health(f.ids[0], health::unhealthy);
  detector.evaluate(start);
  f.fail(0, 50);  // in a panic, say
  detector.evaluate(start + 1s);
  CHECK(f.all_out().empty());
  f.web.set_health(f.ids[0], health::healthy);
  detector.evaluate(start + 2s);
  CHECK(f.all_out().empty());
  f.fail(0, 5);
  detector.evaluate(start + 3s);
  CHECK(f.all_out() == indices{0});
}

TEST_CASE("endpoints come, go, and are readmitted by others") {
  fixture f{4};
  outlier_detector detector{f.web, by_hand()};
  f.fail(0, 5);
  detector.evaluate(start);
  CHECK(f.all_out() == indices{0});
  f.web.readmit(f.ids[0]);
  detector.evaluate(start + 1s);
  CHECK_FALSE(f.out(0));
  CHECK(detector.stats().ejected == 0);
  f.fail(0, 5);
  detector.evaluate(start + 2s);
  CHECK(f.out(0));
  f.web.remove(f.ids[0]);
  detector.evaluate(start + 3s);
  CHECK(detector.stats().ejected == 0);
  f.ids[0] = f.web.add(100);
  detector.evaluate(start + 4s);
  f.fail(0, 5);
  f.fail(1, 5);
  detector.evaluate(start + 5s);
  CHECK(f.all_out() == indices{0, 1});
  // Somebody else's ejection counts towards the limit and is not ended.
  f.web.eject(f.ids[2]);
  f.fail(3, 5);
  detector.evaluate(start + 6s);
  CHECK(f.all_out() == indices{0, 1, 2});
  detector.evaluate(start + 1h);
  CHECK(f.out(2));
}

TEST_CASE("a detector that ends readmits whom it ejected") {
  fixture f{4};
  {
    outlier_detector detector{f.web, by_hand()};
    f.fail(0, 5);
    detector.evaluate(start);
    CHECK(f.all_out() == indices{0});
  }
  CHECK(f.all_out().empty());
}

TEST_CASE("a detector with a thread of its own ejects at once and readmits") {
  cluster<int> web;
  const endpoint_id bad = web.add(0);
  web.add(1);
  const auto eventually = [](auto condition) {
    for (int i = 0; i < 20'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  };
  // The interval is never over: failures in a row wake it.
  outlier_detector detector{web, {.interval = 1h, .base_ejection = 20ms, .max_ejection = 20ms}};
  for (int round = 0; round < 3; ++round) {
    CHECK(eventually([&] { return web.stats(bad)->failures_in_a_row == 0; }));
    for (int i = 0; i < 5; ++i) web.acquire(bad).failed();
    CHECK(
        eventually([&] { return detector.stats().by_consecutive_failures == static_cast<std::uint64_t>(round) + 1; }));
    CHECK(eventually([&] { return detector.stats().readmitted == static_cast<std::uint64_t>(round) + 1; }));
    CHECK_FALSE(web.stats(bad)->ejected);
  }
}

TEST_CASE("a detector that runs out of memory goes on when there is some") {
  (void)banyan::hazard_domain::global().try_local();
  struct reclaim_at_end {
    ~reclaim_at_end() { banyan::hazard_domain::global().reclaim(); }
  };
  const auto report = banyan::testing::for_every_failing_allocation([] {
    const reclaim_at_end last;
    cluster<int, test_clock> web;
    web.add(1, {.name = "one"});
    const endpoint_id two = web.add(2, {.name = "two"});
    outlier_detector detector{web, by_hand()};
    for (int i = 0; i < 5; ++i) web.acquire(two).failed(1ms, start);
    const auto look = [&](test_clock::time_point now) {
      for (int i = 0; i < 2; ++i) {
        try {
          detector.evaluate(now);
        } catch (const std::bad_alloc&) {  // and again
        }
      }
    };
    look(start);
    if (!web.stats(two)->ejected) throw std::logic_error{"not ejected"};
    look(start + 30s);
    if (web.stats(two)->ejected) throw std::logic_error{"not readmitted"};
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("bad options of an outlier detector are refused by name") {
  cluster<int, test_clock> web;
  const auto refused = [&](auto change) {
    auto options = by_hand();
    change(options);
    return refused_field([&] { outlier_detector{web, options}; });
  };
  CHECK(refused([](auto&) {}).empty());
  for (const double bad : {-1.0, not_a_number, infinity}) {
    CHECK(refused([&](auto& o) { o.success_rate_stdev = bad; }) == "outlier_detector_options.success_rate_stdev");
    CHECK(refused([&](auto& o) { o.success_rate_margin = bad; }) == "outlier_detector_options.success_rate_margin");
    CHECK(refused([&](auto& o) { o.max_ejected = bad; }) == "outlier_detector_options.max_ejected");
  }
  CHECK(refused([](auto& o) { o.max_ejected = 1.01; }) == "outlier_detector_options.max_ejected");
  CHECK(refused([](auto& o) { o.success_rate_min_requests = 0; }) ==
        "outlier_detector_options.success_rate_min_requests");
  CHECK(refused([](auto& o) { o.min_endpoints = 1; }) == "outlier_detector_options.min_endpoints");
  for (const auto bad : {0ns, -1ns, std::chrono::nanoseconds::max()}) {
    CHECK(refused([&](auto& o) { o.interval = bad; }) == "outlier_detector_options.interval");
    CHECK(refused([&](auto& o) { o.base_ejection = bad; }) == "outlier_detector_options.base_ejection");
    CHECK(refused([&](auto& o) { o.max_ejection = bad; }) == "outlier_detector_options.max_ejection");
  }
  CHECK(refused([](auto& o) { o.max_ejection = o.base_ejection - 1ns; }) == "outlier_detector_options.max_ejection");
}
