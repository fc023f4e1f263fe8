#include "support/stop_a_thread.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace {

using banyan::testing::required_progress;
using banyan::testing::stop_a_thread;
using banyan::testing::stop_failure;
using banyan::testing::stop_mode;
using banyan::testing::stop_options;
using banyan::testing::stop_result;
using namespace std::chrono_literals;

/// The planted fault: threads wait for whoever holds the flag. The work inside is made of atomic operations because
/// that is where ThreadSanitizer lets signals through.
class spin_locked_counter {
 public:
  void add() {
    while (locked_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();  // (1) pairs with (2)
    for (int i = 0; i < 200; ++i) value_.store(value_.load() + 1);
    locked_.clear(std::memory_order_release);  // (2) pairs with (1)
  }

 private:
  std::atomic_flag locked_ = ATOMIC_FLAG_INIT;
  std::atomic<long> value_{0};
};

stop_options hunting(stop_mode mode) {
  stop_options options;
  options.workers = 3;
  options.mode = mode;
  options.rounds = 10'000;
  options.at_most = 20s;
  // Short, because here it is meant to run out; a false alarm of the watchdog would have the wrong cause, not hide one.
  options.watchdog = 400ms;
  return options;
}

}  // namespace

TEST_CASE("stop_a_thread passes an atomic counter in every mode") {
  const stop_mode mode =
      GENERATE(stop_mode::one, stop_mode::several, stop_mode::all_but_one, stop_mode::one_throughout);
  std::atomic<std::uint64_t> counter{0};
  stop_options options;
  options.workers = 3;
  options.mode = mode;
  options.rounds = 40;
  options.at_most = 500ms;
  const stop_result result = stop_a_thread(options, [&] { counter.fetch_add(1); });
  INFO(result.describe());
  REQUIRE(result.passed());
  CHECK(result.rounds >= 1);
  CHECK(result.stops >= (mode == stop_mode::all_but_one || mode == stop_mode::one_throughout ? 2U : 1U));
  CHECK(result.operations_while_stopped >= result.rounds * options.operations);
  CHECK(counter.load() >= result.operations);
}

TEST_CASE("stop_a_thread catches a spin lock") {
  spin_locked_counter counter;
  const stop_result result = stop_a_thread(hunting(stop_mode::one), [&] { counter.add(); });
  INFO(result.describe());
  REQUIRE(result.failure == stop_failure::no_progress);
  CHECK(result.worker != result.victim);
}

TEST_CASE("stop_a_thread catches a mutex, in every mode") {
  const stop_mode mode = GENERATE(stop_mode::several, stop_mode::all_but_one, stop_mode::one_throughout);
  std::mutex mutex;
  std::atomic<long> value{0};
  const stop_result result = stop_a_thread(hunting(mode), [&] {
    const std::lock_guard<std::mutex> lock{mutex};
    for (int i = 0; i < 200; ++i) value.store(value.load() + 1);
  });
  INFO(result.describe());
  CHECK(result.failure == stop_failure::no_progress);
}

TEST_CASE("stop_a_thread catches a lock even when any progress counts") {
  spin_locked_counter counter;
  stop_options options = hunting(stop_mode::one);
  options.progress = required_progress::any;
  const stop_result result = stop_a_thread(options, [&] { counter.add(); });
  INFO(result.describe());
  CHECK(result.failure == stop_failure::no_progress);
}

TEST_CASE("stop_a_thread does not stop a worker where stops are postponed") {
  // The same lock, excused: nobody is ever stopped while holding it.
  spin_locked_counter counter;
  stop_options options;
  options.workers = 2;
  options.operations = 2;
  options.rounds = 50;
  options.at_most = 500ms;
  const stop_result result = stop_a_thread(options, [&] {
    const banyan::testing::postponed_stop excused;
    counter.add();
  });
  INFO(result.describe());
  CHECK(result.passed());
  CHECK(result.stops >= 1);
}

TEST_CASE("stop_a_thread lets workers use operators new and delete") {
  // Blocks wander between the threads, so that one thread frees what another allocated.
  std::array<std::atomic<std::string*>, 16> shelf{};
  stop_options options;
  options.workers = 3;
  options.rounds = 50;
  options.at_most = 700ms;
  options.mode = stop_mode::several;
  const stop_result result = stop_a_thread(options, [&](std::size_t worker, std::uint64_t i) {
    auto* fresh = new std::string(64 + (i * 37) % 2000, 'x');
    delete shelf[(i * 7 + worker) % shelf.size()].exchange(fresh);
  });
  for (auto& place : shelf) delete place.load();
  INFO(result.describe());
  CHECK(result.passed());
}

TEST_CASE("stop_a_thread runs the check while somebody is stopped") {
  std::atomic<std::uint64_t> counter{0};
  int calls = 0;
  stop_options options;
  options.workers = 2;
  const stop_result result = stop_a_thread(
      options, [&] { counter.fetch_add(1); }, [&] { return ++calls < 3; });
  INFO(result.describe());
  CHECK(result.failure == stop_failure::check_failed);
  CHECK(result.rounds == 3);
}

#if defined(__cpp_exceptions)
TEST_CASE("stop_a_thread reports an operation that throws") {
  std::atomic<int> calls{0};
  const stop_result result = stop_a_thread({.workers = 2}, [&] {
    if (calls.fetch_add(1) > 100) throw 1;
  });
  CHECK(result.failure == stop_failure::threw);
}

TEST_CASE("stop_a_thread refuses options that make no sense") {
  CHECK_THROWS_AS(stop_a_thread({.workers = 1}, [] {}), std::invalid_argument);
  CHECK_THROWS_AS(stop_a_thread({.workers = 2, .mode = stop_mode::one_throughout}, [] {}), std::invalid_argument);
  CHECK_THROWS_AS(stop_a_thread({.workers = 2, .rounds = 0}, [] {}), std::invalid_argument);
  CHECK_THROWS_AS(stop_a_thread({.workers = 2, .operations = 0}, [] {}), std::invalid_argument);
}
#endif
