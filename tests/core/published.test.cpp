#include <banyan/core/published.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/stop_a_thread.hpp"

namespace {

using banyan::published;

// Both halves always agree in a value that was published; `living` counts instances.
struct twice {
  explicit twice(int v) : first{v}, second{v} { ++living; }
  twice(const twice& other) : first{other.first}, second{other.second} { ++living; }
  ~twice() {
    first = -1;
    second = -2;
    --living;
  }
  int first;
  int second;
  static inline std::atomic<int> living{0};
};

TEST_CASE("read sees what was published", "[core][published]") {
  published<std::string> p{"one"};
  CHECK(*p.read() == "one");
  p.publish("two");
  CHECK(p.read()->size() == 3);
  p.update([](const std::string& old) { return old + "+"; });
  CHECK(*p.read() == "two+");
  published<int> zero;
  CHECK(*zero.read() == 0);
  published<std::unique_ptr<int>> move_only{std::make_unique<int>(3)};
  CHECK(**move_only.read() == 3);
}

TEST_CASE("a pinned value stays, an unpinned one goes at once", "[core][published]") {
  {
    published<twice> p{twice{1}};
    CHECK(twice::living == 1);
    {
      const auto pin = p.read();
      p.publish(twice{2});
      p.publish(twice{3});
      CHECK(pin->first == 1);
      CHECK(twice::living == 2);
    }
    p.publish(twice{4});
    CHECK(twice::living == 1);
  }
  CHECK(twice::living == 0);
}

TEST_CASE("an update that throws changes nothing", "[core][published]") {
#if defined(__cpp_exceptions)
  published<std::string> p{std::string(100, 'a')};
  CHECK_THROWS_AS(p.update([](const std::string&) -> std::string { throw std::runtime_error{"no"}; }),
                  std::runtime_error);
  CHECK(*p.read() == std::string(100, 'a'));
  const auto report = banyan::testing::for_every_failing_allocation([&] {
    published<std::string> fresh{std::string(100, 'b')};
    fresh.update([](const std::string& old) { return old + old; });
    fresh.publish(std::string(50, 'c'));
  });
  INFO(report.describe());
  CHECK(report.clean());
#endif
}

TEST_CASE("an update that another writer overtakes starts again from the new value", "[core][published]") {
  published<int> p{1};
  int calls = 0;
  p.update([&](int old) {
    if (++calls == 1) p.publish(10);
    return old + 1;
  });
  CHECK(calls == 2);
  CHECK(*p.read() == 11);
}

TEST_CASE("updates are not lost and readers see whole values in order", "[core][published]") {
  {
    published<twice> p{twice{0}};
    constexpr int writers = 2;
    constexpr int each = 3000;
    std::atomic<bool> stop{false};
    std::atomic<int> torn{0};
    std::atomic<int> backwards{0};
    std::thread reader([&] {
      int last = 0;
      while (!stop) {
        const auto pin = p.read();
        if (pin->first != pin->second || pin->first < 0) ++torn;
        if (pin->first < last) ++backwards;
        last = pin->first;
      }
    });
    std::vector<std::thread> threads;
    for (int w = 0; w < writers; ++w) {
      threads.emplace_back([&] {
        for (int i = 0; i < each; ++i) p.update([](const twice& old) { return twice{old.first + 1}; });
      });
    }
    for (auto& t : threads) t.join();
    stop = true;
    reader.join();
    CHECK(p.read()->first == writers * each);
    CHECK(torn == 0);
    CHECK(backwards == 0);
  }
  banyan::hazard_domain::global().reclaim();
  CHECK(twice::living == 0);
}

TEST_CASE("whoever stops, others go on reading and publishing", "[core][published]") {
  published<twice> p{twice{0}};
  std::atomic<int> torn{0};
  const auto result = banyan::testing::stop_a_thread(
      {.workers = 4, .rounds = 60, .operations = 20}, [&](std::size_t worker, std::uint64_t i) {
        if ((worker + i) % 3 == 0) p.update([](const twice& old) { return twice{(old.first + 1) % 1000000}; });
        const auto pin = p.read();
        if (pin->first != pin->second) ++torn;
      });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(torn == 0);
}

}  // namespace
