#include <banyan/limit/hedged_call.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "refusal.hpp"
#include "support/catch.hpp"
#include "support/failing_allocator.hpp"
#include "support/joining_thread.hpp"
#include "support/seed.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::cancellation;
using banyan::deadline;
using banyan::hedge;
using banyan::hedge_attempt;
using banyan::hedge_end;
using banyan::hedged_call;
using banyan::testing::joining_thread;

// Knows latencies of a microsecond, so the second attempt comes as soon as it may.
void teach(hedge& h) {
  for (int i = 0; i < 200; ++i) h.succeeded(1us);
  for (int i = 0; i < 200; ++i) h.request();
}

const banyan::hedge_options eager{.max_extra = 1, .min_samples = 100, .window = 60s, .min_delay = 0ns};

// Threads that are waited for at the end. To be waited for, too, before an error is read: the count of those who hold
// an exception is in the standard library, where ThreadSanitizer does not see it, so that it takes the thread which
// lets go of it last for one that frees what another reads.
struct joined_threads {
  void join() { threads.clear(); }
  template <class F>
  void execute(F&& work) {
    threads.emplace_back([w = std::forward<F>(work)]() mutable { w(); });
  }
  std::vector<joining_thread> threads{};
};

struct dropping {
  template <class F>
  void execute(F&&) {}
};

// Refuses from the n-th task on.
struct refusing {
  template <class F>
  void execute(F&& work) {
    if (calls++ >= from) throw std::runtime_error{"no thread"};
    threads.execute(std::forward<F>(work));
  }
  int from;
  int calls = 0;
  joined_threads threads{};
};

void wait_for(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::yield();
}

std::string text(const std::exception_ptr& e) {
  if (e == nullptr) return "none";
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& x) {
    return x.what();
  }
}

std::unique_ptr<hedge> taught(banyan::hedge_options options = eager) {
  auto h = std::make_unique<hedge>(options, banyan::steady_clock::now() - 10s);
  teach(*h);
  return h;
}

TEST_CASE("hedged_call: a fast first attempt is all there is", "[limit][hedge]") {
  const auto h = taught();
  banyan::inline_executor here;
  int calls = 0;
  const auto got = hedged_call(*h, here, [&](const hedge_attempt& a) {
    ++calls;
    CHECK_FALSE(a.cancelled());
    return a.number;
  });
  REQUIRE(got.has_value());
  CHECK(*got == 0);
  CHECK(calls == 1);
  CHECK(h->stats().sent == 0);
}

TEST_CASE("hedged_call: the second attempt wins, the first is told", "[limit][hedge]") {
  const auto h = taught();
  REQUIRE(h->delay().has_value());
  joined_threads threads;
  std::atomic<int> told{0};
  const auto got = hedged_call(*h, threads, [&](const hedge_attempt& a) {
    if (a.number == 0) {
      while (!a.cancelled()) std::this_thread::yield();
      ++told;
    }
    return std::make_unique<std::size_t>(a.number);  // can only be moved
  });
  REQUIRE(got.has_value());
  CHECK(**got == 1);
  CHECK(h->stats().sent == 1);
  CHECK(h->stats().won == 1);
  threads.join();
  CHECK(told == 1);
}

TEST_CASE("hedged_call: the first attempt may win after all", "[limit][hedge]") {
  const auto h = taught();
  joined_threads threads;
  std::atomic<bool> second_runs{false};
  const auto got = hedged_call(*h, threads, [&](const hedge_attempt& a) {
    if (a.number == 0) {
      wait_for(second_runs);
      return 10;
    }
    second_runs = true;
    while (!a.cancelled()) std::this_thread::yield();
    return 11;
  });
  REQUIRE(got.has_value());
  CHECK(*got == 10);
  CHECK(h->stats().won == 0);
}

TEST_CASE("hedged_call: without budget there is one attempt, and it goes on", "[limit][hedge]") {
  auto options = eager;
  options.max_extra = 0;
  const auto h = taught(options);
  joined_threads threads;
  std::atomic<int> calls{0};
  const auto got = hedged_call(*h, threads, [&](const hedge_attempt&) {
    ++calls;
    while (h->stats().refused == 0) std::this_thread::yield();
    return 5;
  });
  REQUIRE(got.has_value());
  CHECK(*got == 5);
  CHECK(calls == 1);

  hedge unlearned{eager};
  const auto alone = hedged_call(unlearned, threads, [&](const hedge_attempt&) {
    std::this_thread::sleep_for(2ms);
    return 6;
  });
  CHECK(*alone == 6);
  CHECK(unlearned.stats().sent == 0);
}

TEST_CASE("hedged_call: as many attempts as are allowed", "[limit][hedge]") {
  const auto h = taught();
  joined_threads threads;
  const auto got = hedged_call(*h, threads,
                               [&](const hedge_attempt& a) {
                                 while (a.number < 3 && !a.cancelled()) std::this_thread::yield();
                                 return a.number;
                               },
                               {.max_attempts = 4});
  CHECK(*got == 3);
  CHECK(h->stats().sent == 3);
}

TEST_CASE("hedged_call: all that failed is reported, and only when all failed", "[limit][hedge]") {
  const auto h = taught();
  joined_threads threads;
  std::atomic<bool> second_failed{false};
  const auto failing = hedged_call(*h, threads, [&](const hedge_attempt& a) -> int {
    if (a.number == 0) {
      wait_for(second_failed);
      throw std::runtime_error{"first"};
    }
    second_failed = true;
    throw std::logic_error{"second"};
  });
  REQUIRE_FALSE(failing.has_value());
  threads.join();
  CHECK(failing.error().why == hedge_end::failed);
  CHECK(failing.error().attempts == 2);
  CHECK(text(failing.error().errors[0]) == "first");
  CHECK(text(failing.error().errors[1]) == "second");

  second_failed = false;
  const auto good = hedged_call(*h, threads, [&](const hedge_attempt& a) {
    if (a.number == 1) {
      second_failed = true;
      throw std::runtime_error{"second"};
    }
    wait_for(second_failed);
    return 1;
  });
  REQUIRE(good.has_value());
  CHECK(*good == 1);

  // It fails before there is a second: hedging is no retrying.
  const auto fast = hedged_call(*h, threads, [](const hedge_attempt&) -> int { throw 1; }, {.max_attempts = 1});
  CHECK(fast.error().attempts == 1);
  CHECK(fast.error().first_error() != nullptr);
}

TEST_CASE("hedged_call: executors that refuse, or drop", "[limit][hedge]") {
  const auto h = taught();
  dropping drops;
  const auto dropped = hedged_call(*h, drops, [](const hedge_attempt&) { return 1; });
  REQUIRE_FALSE(dropped.has_value());
  CHECK(dropped.error().first_error() == nullptr);

  refusing at_once{0};
  const auto refused = hedged_call(*h, at_once, [](const hedge_attempt&) { return 1; });
  REQUIRE_FALSE(refused.has_value());
  CHECK(text(refused.error().first_error()) == "no thread");

  // No thread for the second: the first goes on.
  refusing later{1};
  const auto got = hedged_call(*h, later, [&](const hedge_attempt&) {
    while (h->stats().sent == 0) std::this_thread::yield();
    std::this_thread::sleep_for(1ms);
    return 7;
  });
  REQUIRE(got.has_value());
  CHECK(*got == 7);
}

TEST_CASE("hedged_call: nobody waits longer than the deadline, which attempts see", "[limit][hedge]") {
  const auto h = taught();
  joined_threads threads;
  std::atomic<int> wrong{0};
  const deadline until = deadline::in(5ms);
  {
    const banyan::deadline_scope scope{until};
    const auto got = hedged_call(*h, threads, [&, until](const hedge_attempt& a) {
      if (banyan::current_deadline() != until) ++wrong;
      while (!a.cancelled()) std::this_thread::yield();
      return 1;
    });
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().why == hedge_end::timed_out);
    CHECK(until.expired());
  }
  threads.join();
  CHECK(wrong == 0);
  const auto late = hedged_call(*h, threads,
                                [](const hedge_attempt& a) {
                                  while (!a.cancelled()) std::this_thread::yield();
                                  return 1;
                                },
                                {.until = deadline::in(-1s)});
  CHECK(late.error().why == hedge_end::timed_out);
}

TEST_CASE("hedged_call: the caller may give up", "[limit][hedge]") {
  const auto h = taught();
  joined_threads threads;
  cancellation given_up;
  std::atomic<bool> runs{false};
  joining_thread other{[&] {
    wait_for(runs);
    given_up.request();
  }};
  const auto got = hedged_call(*h, threads,
                               [&](const hedge_attempt& a) {
                                 runs = true;
                                 while (!a.cancelled()) std::this_thread::yield();
                                 return 1;
                               },
                               {.cancel = &given_up});
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().why == hedge_end::cancelled);

  banyan::inline_executor here;  // it is there before anybody looks
  CHECK(hedged_call(*h, here, [](const hedge_attempt&) { return 2; }, {.cancel = &given_up}).has_value());
}

TEST_CASE("hedged_call: options, values that cannot be moved twice, memory that runs out", "[limit][hedge]") {
  const auto h = taught();
  banyan::inline_executor here;
  for (const std::size_t bad : {std::size_t{0}, std::size_t{9}, ~std::size_t{0}}) {
    CHECK(banyan::testing::refused_field([&] {
            return hedged_call(*h, here, [](const hedge_attempt&) { return 1; }, {.max_attempts = bad}).has_value();
          }) == "hedged_call_options.max_attempts");
  }
  struct fragile {
    explicit fragile(int moves_left) : left{moves_left} {}
    fragile(fragile&& other) : left{other.left - 1} {
      if (left < 0) throw std::runtime_error{"move"};
    }
    int left;
  };
  // Wherever the value breaks on its way: an answer or the error, never a caller that waits for ever.
  int answers = 0;
  for (int moves = 0; moves < 8; ++moves) {
    try {
      const auto got = hedged_call(*h, here, [&](const hedge_attempt&) { return fragile{moves}; });
      answers += got.has_value() ? 1 : 0;
      if (!got.has_value()) CHECK(text(got.error().first_error()) == "move");
    } catch (const std::runtime_error& e) {
      CHECK(std::string{e.what()} == "move");
    }
  }
  CHECK(answers >= 1);

  const auto report = banyan::testing::for_every_failing_allocation([&] {
    const auto got = hedged_call(*h, here, [](const hedge_attempt&) { return 1; });
    if (!got.has_value()) std::rethrow_exception(got.error().first_error());
  });
  INFO(report.describe());
  CHECK(report.clean());
}

TEST_CASE("hedged_call: many at once, each gets its own answer", "[limit][hedge]") {
  const auto h = taught();
  std::atomic<int> wrong{0};
  {
    std::vector<joining_thread> callers;
    for (std::size_t t = 0; t < 3; ++t) {
      callers.emplace_back([&, t] {
        banyan::testing::random_source random{banyan::testing::derived_seed("many hedged calls", t)};
        joined_threads threads;
        for (int i = 0; i < 60; ++i) {
          const int id = static_cast<int>(t) * 1000 + i;
          const bool fails = random.chance(1, 4);
          const bool slow = random.chance(1, 2);
          const auto got = hedged_call(*h, threads, [=](const hedge_attempt& a) {
            if (slow && a.number == 0) {
              for (int k = 0; k < 50 && !a.cancelled(); ++k) std::this_thread::yield();
            }
            if (fails) throw std::runtime_error{std::to_string(id)};
            return id;
          });
          threads.join();
          if (got.has_value() ? fails || *got != id : text(got.error().first_error()) != std::to_string(id)) ++wrong;
        }
      });
    }
  }
  CHECK(wrong == 0);
}

}  // namespace
