#include <banyan/core/parking_word.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using banyan::parking_word;
using banyan::steady_clock;

TEST_CASE("wait returns at once when the word differs", "[core][parking_word]") {
  parking_word word{3};
  word.wait(2);
  CHECK(word.wait_until(2, steady_clock::time_point{}));
  CHECK_FALSE(word.wait_until(3, steady_clock::time_point{}));
  CHECK_FALSE(word.wait_until(3, steady_clock::time_point::min()));
}

TEST_CASE("wait_until gives up at the deadline and not before", "[core][parking_word]") {
  parking_word word;
  const auto deadline = steady_clock::now() + 5ms;
  CHECK_FALSE(word.wait_until(0, deadline));
  CHECK(steady_clock::now() >= deadline);
}

TEST_CASE("a deadline at the end of time is no deadline", "[core][parking_word]") {
  parking_word word;
  std::thread waiter([&] { CHECK(word.wait_until(0, steady_clock::time_point::max())); });
  std::this_thread::yield();
  word.value().store(1, std::memory_order_release);
  word.notify_all();
  waiter.join();
}

TEST_CASE("two threads hand a turn to each other without losing a wake-up", "[core][parking_word]") {
  parking_word turn;
  constexpr std::uint32_t rounds = 4000;
  std::uint32_t plain = 0;  // handed over by the word: ThreadSanitizer sees whether wait acquires
  std::thread other([&] {
    for (std::uint32_t i = 0; i < rounds; ++i) {
      turn.wait(2 * i);
      ++plain;
      turn.value().store(2 * i + 2, std::memory_order_release);
      turn.notify_one();
    }
  });
  for (std::uint32_t i = 0; i < rounds; ++i) {
    ++plain;
    turn.value().store(2 * i + 1, std::memory_order_release);
    turn.notify_one();
    turn.wait(2 * i + 1);
  }
  other.join();
  CHECK(plain == 2 * rounds);
}

TEST_CASE("a notification without a change wakes nobody for good", "[core][parking_word]") {
  parking_word word;
  std::atomic<bool> returned{false};
  std::thread waiter([&] {
    word.wait(0);
    returned = true;
  });
  bool too_early = false;
  for (int i = 0; i < 50; ++i) {
    word.notify_all();
    std::this_thread::sleep_for(std::chrono::microseconds{100});
    too_early = too_early || returned;
  }
  word.value().store(1, std::memory_order_release);
  word.notify_one();
  waiter.join();
  CHECK_FALSE(too_early);
}

TEST_CASE("notify_all wakes everybody", "[core][parking_word]") {
  parking_word word;
  std::atomic<int> woken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      word.wait(0);
      ++woken;
    });
  }
  std::this_thread::sleep_for(2ms);
  word.value().store(1, std::memory_order_release);
  word.notify_all();
  for (auto& t : threads) t.join();
  CHECK(woken == 8);
}

}  // namespace
