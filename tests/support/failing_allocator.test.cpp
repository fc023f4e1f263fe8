#include "support/failing_allocator.hpp"

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using banyan::testing::fail_nth_allocation;
using banyan::testing::for_every_failing_allocation;
using banyan::testing::leak_check;
using banyan::testing::unfailing_section;

namespace {

struct alignas(128) wide {
  char bytes[128];
};

struct safe_pair {
  std::unique_ptr<int> first = std::make_unique<int>(1);
  std::unique_ptr<int> second = std::make_unique<int>(2);
};

template <class T>
void use(T& object) {
  // Lets the object escape, so that the compiler cannot leave its allocation out, as the standard allows.
  asm volatile("" : : "g"(&object) : "memory");
}

}  // namespace

TEST_CASE("every form of operator new is counted and given back") {
  const leak_check leaks;
  const std::uint64_t before = banyan::testing::allocations_by_this_thread();
  int* one = new int{1};
  int* many = new int[10]{};
  wide* aligned = new wide{};
  wide* aligned_many = new wide[3]{};
  int* quiet = new (std::nothrow) int{1};
  wide* quiet_aligned = new (std::nothrow) wide{};
  void* empty = ::operator new(0);
  use(*one);
  use(*many);
  use(*aligned);
  use(*aligned_many);
  use(*quiet);
  use(*quiet_aligned);
  use(empty);
  const std::int64_t held = leaks.leaked();
  const std::uint64_t calls = banyan::testing::allocations_by_this_thread() - before;
  const bool all_aligned = reinterpret_cast<std::uintptr_t>(aligned) % 128 == 0 &&
                           reinterpret_cast<std::uintptr_t>(aligned_many) % 128 == 0 &&
                           reinterpret_cast<std::uintptr_t>(quiet_aligned) % 128 == 0;
  delete one;
  delete[] many;
  delete aligned;
  delete[] aligned_many;
  delete quiet;
  delete quiet_aligned;
  ::operator delete(empty);
  const std::int64_t left = leaks.leaked();
  CHECK(held == 7);
  CHECK(calls == 7);
  CHECK(left == 0);
  CHECK(all_aligned);
}

TEST_CASE("a block freed by another thread is not a leak") {
  const leak_check leaks;
  {
    auto block = std::make_unique<std::string>(100, 'x');
    std::thread{[moved = std::move(block)] {}}.join();
  }
  CHECK(leaks.leaked() == 0);
}

TEST_CASE("the nothrow forms return null when told to fail") {
  int* first = nullptr;
  int* second = nullptr;
  int* third = nullptr;
  bool fired = false;
  {
    const fail_nth_allocation guard{2};
    first = new (std::nothrow) int{1};
    second = new (std::nothrow) int{2};
    third = new (std::nothrow) int{3};
    fired = guard.fired();
  }
  CHECK(first != nullptr);
  CHECK(second == nullptr);
  CHECK(third != nullptr);
  CHECK(fired);
  delete first;
  delete third;
}

#if defined(__cpp_exceptions)

TEST_CASE("fail_nth_allocation fails that allocation on this thread and no other") {
  int failures = 0;
  int number_that_failed = 0;
  bool other_thread_failed = false;
  std::thread other;
  {
    const unfailing_section outside;
    other = std::thread{[] {}};
  }
  {
    const fail_nth_allocation guard{3};
    for (int i = 1; i <= 5; ++i) {
      try {
        std::unique_ptr<int> block{new int{i}};
        use(*block);
      } catch (const std::bad_alloc&) {
        ++failures;
        number_that_failed = i;
      }
    }
  }
  other.join();
  {
    const fail_nth_allocation guard{1, fail_nth_allocation::all};
    const unfailing_section section;  // starting a thread allocates
    std::thread{[&] {
      try {
        for (int i = 0; i < 100; ++i) std::make_unique<int>(i).reset();
      } catch (const std::bad_alloc&) {
        other_thread_failed = true;
      }
    }}.join();
  }
  CHECK(failures == 1);
  CHECK(number_that_failed == 3);
  CHECK_FALSE(other_thread_failed);
}

TEST_CASE("fail_nth_allocation can fail several in a row, and nests") {
  std::string outcome;
  outcome.reserve(64);
  {
    const fail_nth_allocation outer{2, 2};
    const auto attempt = [&] {
      int* block = new (std::nothrow) int{1};
      outcome += block == nullptr ? 'x' : '.';
      delete block;
    };
    attempt();
    {
      const fail_nth_allocation inner{0};
      attempt();
      attempt();
    }
    {
      const unfailing_section section;
      attempt();
    }
    for (int i = 0; i < 4; ++i) attempt();
  }
  CHECK(outcome == "....xx..");
}

TEST_CASE("for_every_failing_allocation passes a type that cleans up") {
  int runs = 0;
  const auto report = for_every_failing_allocation(
      [] {
        const safe_pair pair;
        use(*pair.first);
        use(*pair.second);
        std::vector<std::string> strings;
        for (int i = 0; i < 5; ++i) strings.emplace_back(100, 'x');
      },
      [&](std::uint64_t) { ++runs; });
  INFO(report.describe());
  CHECK(report.clean());
  CHECK(report.survived == 0);
  CHECK(report.allocations >= 2 + 5 + 3);
  CHECK(runs == static_cast<int>(report.allocations) + 3);
}

TEST_CASE("for_every_failing_allocation catches a type that leaks when its second allocation fails") {
  // The planted fault: two raw allocations; if the second fails, the first one leaks. The leak is real, so it is
  // remembered and freed afterwards to keep the leak sanitizer content.
  static std::vector<int*> strays;
  strays.reserve(8);
  struct remembering_pair {
    remembering_pair() : first{new int{1}} {
      strays.push_back(first);
      second = new int{2};
      strays.pop_back();
    }
    ~remembering_pair() {
      delete first;
      delete second;
    }
    remembering_pair(const remembering_pair&) = delete;
    remembering_pair& operator=(const remembering_pair&) = delete;
    int* first;
    int* second = nullptr;
  };
  const auto report = for_every_failing_allocation([] {
    const remembering_pair pair;
    use(*pair.first);
    use(*pair.second);
  });
  INFO(report.describe());
  CHECK_FALSE(report.clean());
  CHECK(report.complete);
  CHECK(report.allocations == 2);
  CHECK(report.leaking == 1);
  CHECK(report.first_leak == 2);
  CHECK(report.first_leaked == 1);
  CHECK(strays.size() == 1);
  for (int* stray : strays) delete stray;
  strays.clear();
  strays.shrink_to_fit();
}

TEST_CASE("for_every_failing_allocation sees a leak that needs no failure") {
  static std::vector<std::unique_ptr<int>> kept;
  kept.reserve(16);
  const auto report = for_every_failing_allocation([] { kept.push_back(std::make_unique<int>(1)); });
  CHECK(report.leaking >= 1);
  CHECK(report.first_leak == 0);
  kept.clear();
  kept.shrink_to_fit();
}

TEST_CASE("for_every_failing_allocation counts runs that swallow the failure, and stops at its limit") {
  const auto swallowing = for_every_failing_allocation([] {
    try {
      use(*std::make_unique<int>(1));
    } catch (const std::bad_alloc&) {
    }
  });
  CHECK(swallowing.clean());
  CHECK(swallowing.survived == 1);
  const auto endless = for_every_failing_allocation(
      [] {
        for (int i = 0; i < 100; ++i) use(*std::make_unique<int>(i));
      },
      [](std::uint64_t) {}, 10);
  CHECK_FALSE(endless.complete);
  CHECK(endless.allocations == 10);
}

TEST_CASE("for_every_failing_allocation lets other exceptions through and disarms") {
  CHECK_THROWS_AS(for_every_failing_allocation([] { throw std::runtime_error{"mine"}; }), std::runtime_error);
  CHECK_NOTHROW(std::make_unique<int>(1));
}

#endif
