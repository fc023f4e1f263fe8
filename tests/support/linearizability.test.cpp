#include "support/linearizability.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/history.hpp"
#include "support/models.hpp"
#include "support/seed.hpp"

namespace {

using namespace banyan::testing;

using int_register = register_model<int>;
using reg_call = recorded_call<int_register::operation, int_register::result>;
using reg = int_register::kind;

using key_op = keyed_operation<int, int>;
using key_result = keyed_result<int>;
using key_call = recorded_call<key_op, key_result>;
using int_map = map_model<int, int>;
using int_cache = cache_model<int, int>;
using strict_cache = cache_model<int, int, cache_misses::mean_gone>;

reg_call write(std::size_t thread, int value, std::uint64_t from, std::uint64_t to) {
  return {thread, {reg::write, value, 0}, int_register::result{}, from, to};
}
reg_call read(std::size_t thread, int value, std::uint64_t from, std::uint64_t to) {
  return {thread, {reg::read, 0, 0}, int_register::result{value, true}, from, to};
}
reg_call unfinished(std::size_t thread, int value, std::uint64_t from) {
  return {thread, {reg::write, value, 0}, std::nullopt, from, no_response};
}
linearizability_report check(const std::vector<reg_call>& calls) { return check_linearizable(int_register{}, calls); }

/// A sequential history of one thread: call i lasts from 2i to 2i + 1.
std::vector<key_call> in_turn(std::vector<std::pair<key_op, key_result>> steps) {
  std::vector<key_call> calls;
  std::uint64_t time = 1;
  for (auto& [op, answer] : steps) {
    calls.push_back({0, op, answer, time, time + 1});
    time += 2;
  }
  return calls;
}
template <class Model>
bool holds(const std::vector<key_call>& calls) {
  const auto report = check_linearizable(Model{}, calls);
  REQUIRE(report.verdict != linearizability::undecided);
  return report.linearizable();
}

template <class Body>
void on_threads(std::size_t threads, Body body) {
  std::atomic<std::size_t> ready{0};
  std::vector<std::thread> running;
  for (std::size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      ready.fetch_add(1);
      while (ready.load() < threads) std::this_thread::yield();
      body(t);
    });
  }
  for (std::thread& thread : running) thread.join();
}

/// Planted fault: a 32-bit value kept in two halves that are written one after the other.
class torn_register {
 public:
  void write(int value) {
    low_.store(static_cast<std::uint16_t>(value & 0xffff), std::memory_order_relaxed);
    std::this_thread::yield();
    high_.store(static_cast<std::uint16_t>(value >> 16), std::memory_order_relaxed);
  }
  int read() const {
    const int high = high_.load(std::memory_order_relaxed);
    return (high << 16) | low_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint16_t> low_{0};
  std::atomic<std::uint16_t> high_{0};
};

/// Planted fault: a counter that loads and stores where it should fetch_add.
class forgetful_counter {
 public:
  long add(long amount) {
    const long before = value_.load();
    std::this_thread::yield();
    value_.store(before + amount);
    return before;
  }

 private:
  std::atomic<long> value_{0};
};

class locked_map {
 public:
  std::optional<int> get(int key) {
    const std::lock_guard<std::mutex> lock{mutex_};
    const auto found = map_.find(key);
    return found == map_.end() ? std::nullopt : std::optional<int>{found->second};
  }
  void put(int key, int value) {
    const std::lock_guard<std::mutex> lock{mutex_};
    map_[key] = value;
  }
  bool put_if_absent(int key, int value) {
    const std::lock_guard<std::mutex> lock{mutex_};
    return map_.emplace(key, value).second;
  }
  bool erase(int key) {
    const std::lock_guard<std::mutex> lock{mutex_};
    return map_.erase(key) != 0;
  }

 private:
  std::mutex mutex_;
  std::map<int, int> map_;
};

/// Planted fault: put_if_absent looks and puts in two steps.
class careless_map : public locked_map {
 public:
  bool put_if_absent(int key, int value) {
    if (get(key).has_value()) return false;
    std::this_thread::yield();
    put(key, value);
    return true;
  }
};

template <class Map>
std::vector<key_call> record_map(Map& map, std::uint64_t seed, int keys) {
  constexpr std::size_t threads = 3;
  constexpr int calls = 150;
  history_recorder<key_op, key_result> recorder{threads, calls};
  on_threads(threads, [&](std::size_t t) {
    random_source random{seed + t};
    for (int i = 0; i < calls; ++i) {
      const int key = static_cast<int>(random.below(static_cast<std::uint64_t>(keys)));
      const int value = static_cast<int>(t) * 1'000'000 + i;
      switch (random.below(4)) {
        case 0:
          recorder.record(t, key_op::get(key), [&] { return key_result::value(map.get(key)); });
          break;
        case 1:
          recorder.record(t, key_op::put(key, value), [&] {
            map.put(key, value);
            return key_result::done();
          });
          break;
        case 2:
          recorder.record(t, key_op::put_if_absent(key, value),
                          [&] { return key_result::flag(map.put_if_absent(key, value)); });
          break;
        default:
          recorder.record(t, key_op::erase(key), [&] { return key_result::flag(map.erase(key)); });
          break;
      }
      if (random.chance(1, 8)) std::this_thread::yield();
    }
  });
  return recorder.calls();
}

int key_of(const key_op& op) { return op.key; }

}  // namespace

TEST_CASE("the checker accepts register histories that have an order") {
  CHECK(check({}).linearizable());
  CHECK(check({write(0, 1, 1, 2), read(0, 1, 3, 4)}).linearizable());
  // A read that overlaps a write may return the old or the new value.
  CHECK(check({write(0, 1, 1, 10), read(1, 0, 2, 3)}).linearizable());
  CHECK(check({write(0, 1, 1, 10), read(1, 1, 2, 3)}).linearizable());
  CHECK(check({write(0, 1, 1, 10), read(1, 0, 2, 3), read(1, 1, 4, 5)}).linearizable());
  // Two overlapping writes may land in either order.
  CHECK(check({write(0, 1, 1, 5), write(1, 2, 2, 6), read(2, 1, 7, 8)}).linearizable());
  CHECK(check({write(0, 1, 1, 5), write(1, 2, 2, 6), read(2, 2, 7, 8)}).linearizable());
}

TEST_CASE("the checker rejects register histories that have none") {
  // A stale read.
  CHECK_FALSE(check({write(0, 1, 1, 2), write(0, 2, 3, 4), read(1, 1, 5, 6)}).linearizable());
  // Going back from the new value to the old one while the write is still under way.
  CHECK_FALSE(check({write(0, 1, 1, 10), read(1, 1, 2, 3), read(1, 0, 4, 5)}).linearizable());
  CHECK_FALSE(check({write(0, 1, 1, 10), read(1, 1, 2, 3), read(2, 0, 4, 5)}).linearizable());
  // A value nobody wrote.
  CHECK_FALSE(check({write(0, 1, 1, 2), read(1, 7, 3, 4)}).linearizable());
  // Two readers that see two writes in opposite orders.
  CHECK_FALSE(check({write(0, 1, 1, 20), write(1, 2, 2, 20), read(2, 1, 3, 4), read(2, 2, 5, 6), read(3, 2, 7, 8),
                     read(3, 1, 9, 10)})
                  .linearizable());
}

TEST_CASE("a pending call may have taken effect at any time, or not") {
  CHECK(check({unfinished(0, 1, 1), read(1, 0, 2, 3)}).linearizable());
  CHECK(check({unfinished(0, 1, 1), read(1, 1, 2, 3)}).linearizable());
  CHECK(check({unfinished(0, 1, 1), read(1, 0, 2, 3), read(1, 1, 4, 5)}).linearizable());
  CHECK_FALSE(check({unfinished(0, 1, 1), read(1, 1, 2, 3), read(1, 0, 4, 5)}).linearizable());
  CHECK_FALSE(check({read(1, 1, 2, 3), unfinished(0, 1, 4)}).linearizable());
}

TEST_CASE("the explanation is the shortest wrong prefix, with the culprit marked") {
  std::vector<reg_call> calls;
  std::uint64_t time = 1;
  for (int i = 1; i <= 100; ++i, time += 4) {
    calls.push_back(write(0, i, time, time + 1));
    // Read 60 is stale, and so is read 90.
    calls.push_back(read(1, i == 60 || i == 90 ? i - 1 : i, time + 2, time + 3));
  }
  const auto report = check(calls);
  REQUIRE(report.verdict == linearizability::not_linearizable);
  CHECK(report.prefix == 120);
  INFO(report.explanation);
  CHECK(report.explanation.find(">> [239, 240] thread 1: read -> 59\n") != std::string::npos);
  CHECK(report.explanation.find("write(60)") != std::string::npos);
  CHECK(report.explanation.find("write(61)") == std::string::npos);
  CHECK(report.explanation.find("calls left out") != std::string::npos);
}

TEST_CASE("the checker gives up at its limit of steps") {
  std::vector<reg_call> calls;
  for (std::size_t i = 0; i < 20; ++i) calls.push_back(write(i, static_cast<int>(i), i + 1, 1000 + i));
  calls.push_back(read(20, 77, 2000, 2001));
  CHECK(check_linearizable(int_register{}, calls, {.max_steps = 1000}).verdict == linearizability::undecided);
}

TEST_CASE("pruning keeps a wide history affordable") {
  // Twelve overlapping additions of the same number have 479,001,600 orders but 4,096 sets.
  std::vector<recorded_call<long, long>> calls;
  for (std::size_t i = 0; i < 12; ++i) calls.push_back({i, 0L, 0L, i + 1, 1000 + i});
  calls.push_back({12, 1L, 5L, 2000, 2001});
  const auto report = check_linearizable(counter_model{}, calls, {.max_steps = 100'000});
  CHECK(report.verdict == linearizability::not_linearizable);
}

TEST_CASE("lost updates are rejected") {
  using call = recorded_call<long, long>;
  CHECK(check_linearizable(counter_model{}, std::vector<call>{{0, 1L, 0L, 1, 4}, {1, 1L, 1L, 2, 3}}).linearizable());
  CHECK_FALSE(
      check_linearizable(counter_model{}, std::vector<call>{{0, 1L, 0L, 1, 4}, {1, 1L, 0L, 2, 3}}).linearizable());
}

TEST_CASE("compare_exchange is understood") {
  const int_register::operation swap{reg::compare_exchange, 2, 1};
  const reg_call yes{1, swap, int_register::result{0, true}, 3, 4};
  const reg_call no{1, swap, int_register::result{0, false}, 3, 4};
  CHECK(check({write(0, 1, 1, 2), yes, read(0, 2, 5, 6)}).linearizable());
  CHECK_FALSE(check({write(0, 1, 1, 2), no}).linearizable());
  CHECK_FALSE(check({yes}).linearizable());
  CHECK(check({no, read(0, 0, 5, 6)}).linearizable());
}

TEST_CASE("the map model forgets nothing") {
  const auto hit = [](int v) { return key_result::value(v); };
  const auto miss = key_result::value(std::nullopt);
  const auto yes = key_result::flag(true);
  const auto no = key_result::flag(false);
  const auto done = key_result::done();
  CHECK(holds<int_map>(in_turn({{key_op::put(1, 5), done},
                                {key_op::get(1), hit(5)},
                                {key_op::erase(1), yes},
                                {key_op::get(1), miss},
                                {key_op::erase(1), no},
                                {key_op::put_if_absent(1, 6), yes},
                                {key_op::put_if_absent(1, 7), no},
                                {key_op::exchange(1, 8), hit(6)}})));
  CHECK_FALSE(holds<int_map>(in_turn({{key_op::put(1, 5), done}, {key_op::get(1), miss}})));
  CHECK_FALSE(holds<int_map>(in_turn({{key_op::put(1, 5), done}, {key_op::erase(1), no}})));
  CHECK_FALSE(holds<int_map>(in_turn({{key_op::put(1, 5), done}, {key_op::put_if_absent(1, 6), yes}})));
  CHECK_FALSE(holds<int_map>(in_turn({{key_op::put(1, 5), done}, {key_op::exchange(1, 6), miss}})));
}

TEST_CASE("the cache model allows evictions and nothing else") {
  const auto hit = [](int v) { return key_result::value(v); };
  const auto miss = key_result::value(std::nullopt);
  const auto yes = key_result::flag(true);
  const auto no = key_result::flag(false);
  const auto done = key_result::done();
  // Evicted, or rejected at once.
  CHECK(holds<int_cache>(in_turn({{key_op::put(1, 5), done}, {key_op::get(1), miss}})));
  CHECK(holds<int_cache>(in_turn({{key_op::put(1, 5), done}, {key_op::erase(1), no}})));
  CHECK(holds<int_cache>(in_turn({{key_op::put(1, 5), done}, {key_op::put_if_absent(1, 6), yes}})));
  CHECK(holds<int_cache>(in_turn({{key_op::put(1, 5), done}, {key_op::exchange(1, 6), miss}})));
  // Never a value that was overwritten, erased, or not written.
  CHECK_FALSE(
      holds<int_cache>(in_turn({{key_op::put(1, 5), done}, {key_op::put(1, 6), done}, {key_op::get(1), hit(5)}})));
  CHECK_FALSE(
      holds<int_cache>(in_turn({{key_op::put(1, 5), done}, {key_op::erase(1), yes}, {key_op::get(1), hit(5)}})));
  CHECK_FALSE(holds<int_cache>(in_turn({{key_op::put(1, 5), done}, {key_op::erase(1), no}, {key_op::get(1), hit(5)}})));
  CHECK_FALSE(holds<int_cache>(in_turn({{key_op::get(1), hit(5)}})));
  CHECK_FALSE(holds<int_cache>(in_turn({{key_op::erase(1), yes}})));
  CHECK_FALSE(holds<int_cache>(in_turn({{key_op::put_if_absent(1, 5), no}})));
  CHECK_FALSE(holds<int_cache>(
      in_turn({{key_op::put(1, 5), done}, {key_op::exchange(1, 6), hit(5)}, {key_op::exchange(1, 7), hit(5)}})));
  // Whether a value may come back after a miss is the difference between the two promises.
  const auto back = in_turn({{key_op::put(1, 5), done}, {key_op::get(1), miss}, {key_op::get(1), hit(5)}});
  CHECK(holds<int_cache>(back));
  CHECK_FALSE(holds<strict_cache>(back));
  // A hit may return what an overlapping put is about to replace, or has just written.
  const auto overlapping = [&](int seen) {
    return std::vector<key_call>{
        {0, key_op::put(1, 5), done, 1, 2}, {0, key_op::put(1, 6), done, 3, 8}, {1, key_op::get(1), hit(seen), 4, 5}};
  };
  CHECK(holds<strict_cache>(overlapping(5)));
  CHECK(holds<strict_cache>(overlapping(6)));
  CHECK_FALSE(holds<strict_cache>(overlapping(7)));
}

TEST_CASE("check_by_key judges keys apart and names the one that fails") {
  std::vector<key_call> calls = in_turn({{key_op::put(1, 5), key_result::done()},
                                         {key_op::put(2, 6), key_result::done()},
                                         {key_op::get(1), key_result::value(5)},
                                         {key_op::get(2), key_result::value(6)}});
  CHECK(check_by_key(int_map{}, calls, key_of).linearizable());
  calls.back().result = key_result::value(5);
  const auto report = check_by_key(int_map{}, calls, key_of);
  CHECK(report.verdict == linearizability::not_linearizable);
  CHECK(report.explanation.find("key 2: not linearizable") == 0);
  CHECK(report.explanation.find("get(2) -> 5") != std::string::npos);
}

TEST_CASE("recorded: an atomic register is linearizable, one in two halves is not") {
  const auto record = [](auto&& write_to, auto&& read_from) {
    constexpr int calls = 200;
    history_recorder<int_register::operation, int_register::result> recorder{3, calls};
    on_threads(3, [&](std::size_t t) {
      for (int i = 1; i <= calls; ++i) {
        if (t < 2) {
          const int value = (static_cast<int>(t) * calls + i) * 0x10001;
          recorder.record(t, {reg::write, value, 0}, [&] {
            write_to(value);
            return int_register::result{};
          });
        } else {
          recorder.record(t, {reg::read, 0, 0}, [&] { return int_register::result{read_from(), true}; });
        }
        if (i % 4 == 0) std::this_thread::yield();
      }
    });
    return check(recorder.calls());
  };
  std::atomic<int> whole{0};
  const auto good = record([&](int v) { whole.store(v); }, [&] { return whole.load(); });
  INFO(good.explanation);
  CHECK(good.linearizable());

  bool caught = false;
  for (int attempt = 0; attempt < 200 && !caught; ++attempt) {
    torn_register torn;
    caught =
        record([&](int v) { torn.write(v); }, [&] { return torn.read(); }).verdict == linearizability::not_linearizable;
  }
  CHECK(caught);
}

TEST_CASE("recorded: fetch_add is linearizable, load and store is not") {
  const auto record = [](auto&& add) {
    history_recorder<long, long> recorder{3, 100};
    on_threads(3, [&](std::size_t t) {
      for (int i = 0; i < 100; ++i) recorder.record(t, 1L, [&] { return add(1L); });
    });
    return check_linearizable(counter_model{}, recorder.calls());
  };
  std::atomic<long> counter{0};
  const auto good = record([&](long amount) { return counter.fetch_add(amount); });
  INFO(good.explanation);
  CHECK(good.linearizable());

  bool caught = false;
  for (int attempt = 0; attempt < 200 && !caught; ++attempt) {
    forgetful_counter forgetful;
    caught = record([&](long amount) { return forgetful.add(amount); }).verdict == linearizability::not_linearizable;
  }
  CHECK(caught);
}

TEST_CASE("recorded: a locked map is linearizable, one that looks before it puts is not") {
  const std::uint64_t seed = derived_seed("recorded maps");
  CAPTURE(seed);
  for (std::uint64_t round = 0; round < 5; ++round) {
    locked_map map;
    const auto calls = record_map(map, seed + round * 100, 4);
    const auto report = check_by_key(int_map{}, calls, key_of);
    INFO(report.explanation);
    CHECK(report.linearizable());
    CHECK(check_by_key(int_cache{}, calls, key_of).linearizable());
    CHECK(check_by_key(strict_cache{}, calls, key_of).linearizable());
  }
  bool caught = false;
  for (std::uint64_t round = 0; round < 200 && !caught; ++round) {
    careless_map map;
    caught = check_by_key(int_map{}, record_map(map, seed + round * 100, 2), key_of).verdict ==
             linearizability::not_linearizable;
  }
  CHECK(caught);
}

TEST_CASE("the recorder keeps calls in order, and a call that never ended pending") {
  history_recorder<int, int> recorder{2, 4};
  CHECK(recorder.record(0, 1, [] { return 10; }) == 10);
  const std::size_t open = recorder.begin(1, 2);
  recorder.record(0, 3, [] { return 30; });
  static_cast<void>(recorder.begin(1, 4));
  recorder.end(1, open, 20);
  const auto calls = recorder.calls();
  REQUIRE(calls.size() == 4);
  CHECK(calls[0].operation == 1);
  CHECK(calls[1].operation == 2);
  CHECK(calls[2].operation == 3);
  CHECK(calls[1].invoked < calls[2].invoked);
  CHECK(calls[2].responded < calls[1].responded);
  CHECK(calls[1].result == 20);
  CHECK(calls[3].pending());
  CHECK(calls[3].responded == no_response);
}

#if defined(__cpp_exceptions)
TEST_CASE("a history that did not fit is refused") {
  history_recorder<int, int> recorder{1, 1};
  recorder.record(0, 1, [] { return 1; });
  CHECK(recorder.full(0));
  CHECK(recorder.record(0, 2, [] { return 2; }) == 2);
  CHECK_THROWS_AS(recorder.calls(), std::length_error);
}

TEST_CASE("a recorded call that throws stays pending") {
  history_recorder<int, int> recorder{1, 1};
  CHECK_THROWS_AS(recorder.record(0, 1, []() -> int { throw 1; }), int);
  REQUIRE(recorder.calls().size() == 1);
  CHECK(recorder.calls().front().pending());
}
#endif
