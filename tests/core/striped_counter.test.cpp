#include <banyan/core/striped_counter.hpp>

#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace {

TEST_CASE("nothing is lost, with fewer and with more threads than stripes", "[core][striped_counter]") {
  banyan::striped_counter<16> wide;
  banyan::striped_counter<2> narrow;
  std::atomic<int> alive{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      banyan::hazard_domain::global().local();
      ++alive;
      while (alive < 8) std::this_thread::yield();  // all at once, so that there are more threads than narrow stripes
      for (int i = 0; i < 5000; ++i) {
        wide.add();
        narrow.add(3);
        narrow.add(-1);
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(wide.sum() == 40000);
  CHECK(narrow.sum() == 80000);
}

TEST_CASE("a stripe is handed from thread to thread", "[core][striped_counter]") {
  banyan::striped_counter<1> counter;
  for (int i = 0; i < 500; ++i) {
    std::thread([&] { counter.add(); }).join();
  }
  CHECK(counter.sum() == 500);
}

TEST_CASE("it wraps around", "[core][striped_counter]") {
  banyan::striped_counter<> counter;
  counter.add(std::numeric_limits<std::int64_t>::max());
  counter.add(1);
  CHECK(counter.sum() == std::numeric_limits<std::int64_t>::min());
}

}  // namespace
