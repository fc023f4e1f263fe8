#include <banyan/core/cancellation.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/joining_thread.hpp"

namespace {

using banyan::cancellation;
using banyan::on_cancel;
using banyan::testing::joining_thread;

TEST_CASE("cancellation is set once, for ever", "[core][cancellation]") {
  cancellation flag;
  CHECK_FALSE(flag.requested());
  CHECK(flag.request());
  CHECK(flag.requested());
  CHECK_FALSE(flag.request());
}

TEST_CASE("callbacks run once, when it is set, unless they have gone", "[core][cancellation]") {
  cancellation flag;
  int ran = 0;
  int gone = 0;
  const on_cancel first{flag, [&] { ++ran; }};
  {
    const on_cancel early{flag, [&] { ++gone; }};
    const on_cancel second{flag, [&] { ++gone; }};
  }
  std::optional<on_cancel<void (*)()>> middle;
  middle.emplace(
      flag, +[] {});
  const on_cancel last{flag, [&] { ran += 10; }};
  middle.reset();
  CHECK(ran == 0);
  flag.request();
  CHECK(ran == 11);
  CHECK(gone == 0);
  const on_cancel late{flag, [&] { ran += 100; }};  // at once
  CHECK(ran == 111);
  flag.request();
  CHECK(ran == 111);
}

TEST_CASE("a callback may destroy itself, destroy another, and look at the flag", "[core][cancellation]") {
  cancellation flag;
  struct erased {
    virtual ~erased() = default;
  };
  struct chain : erased {
    chain(cancellation& f, std::unique_ptr<erased>& self, std::unique_ptr<erased>& other, int& count)
        : watch{f, hit{&f, &self, &other, &count}} {}
    struct hit {
      void operator()() const {
        auto* const mine = self;
        auto* const theirs = other;
        *count += flag->requested() && !flag->request() ? 1 : 100;
        theirs->reset();
        mine->reset();
      }
      cancellation* flag;
      std::unique_ptr<erased>* self;
      std::unique_ptr<erased>* other;
      int* count;
    };
    on_cancel<hit> watch;
  };
  std::unique_ptr<erased> a;
  std::unique_ptr<erased> b;
  int ran = 0;
  a = std::make_unique<chain>(flag, a, b, ran);
  b = std::make_unique<chain>(flag, b, a, ran);
  flag.request();
  CHECK(ran == 1);
  CHECK(a == nullptr);
  CHECK(b == nullptr);
}

TEST_CASE("on_cancel does not end while its callback runs elsewhere", "[core][cancellation]") {
  std::atomic<int> wrong{0};
  for (int i = 0; i < 300; ++i) {
    cancellation flag;
    joining_thread requester{[&] { flag.request(); }};
    std::vector<joining_thread> watchers;
    for (int t = 0; t < 2; ++t) {
      watchers.emplace_back([&] {
        auto alive = std::make_unique<int>(1);
        const bool before = flag.requested();
        int calls = 0;
        {
          const on_cancel watch{flag, [&] {
                                  std::this_thread::yield();
                                  calls += *alive;
                                }};
          std::this_thread::yield();
        }
        alive.reset();
        if (calls > 1 || (before && calls != 1)) ++wrong;
      });
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("the end of on_cancel waits for a callback that is in the middle", "[core][cancellation]") {
  cancellation flag;
  std::atomic<bool> inside{false};
  std::atomic<bool> leaving{false};
  std::atomic<bool> gone{false};
  std::atomic<bool> too_early{false};
  const auto callback = [&] {
    inside = true;
    while (!leaving) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds{5});  // for the other to leave, if it would
    too_early = gone.load();
  };
  std::optional<on_cancel<decltype(callback)>> watch;
  watch.emplace(flag, callback);
  {
    const joining_thread requester{[&] { flag.request(); }};
    while (!inside) std::this_thread::yield();
    leaving = true;
    watch.reset();
    gone = true;
  }
  CHECK_FALSE(too_early);
}

TEST_CASE("nobody who registers before the flag is set is overlooked", "[core][cancellation]") {
  for (int i = 0; i < 200; ++i) {
    cancellation flag;
    std::atomic<bool> woken{false};
    joining_thread sleeper{[&] {
      const on_cancel watch{flag, [&] { woken = true; }};
      while (!woken) std::this_thread::yield();
    }};
    flag.request();
  }
  CHECK(true);
}

}  // namespace
