#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/core/clock.hpp>
#include <banyan/core/executor.hpp>
#include <banyan/pool/connection_pool.hpp>

/// What the pool's tests share: connections that are counted, executors that do what the test says, coroutines.
namespace banyan::testing {

using namespace std::chrono_literals;

/// Counts connections, by their constructors and destructors, at every instant.
struct census {
  std::atomic<int> alive{0};
  std::atomic<int> most{0};
  std::atomic<int> made{0};

  void enter() {
    const int now = alive.fetch_add(1) + 1;
    made.fetch_add(1);
    int seen = most.load();
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
  }
  void leave() { alive.fetch_sub(1); }
};

/// A connection to nothing.
class stub {
 public:
  stub(census& people, int number) : id{number}, people_{&people} { people.enter(); }
  explicit stub(census& people) : stub{people, people.made.load()} {}
  stub(stub&& other) noexcept : id{other.id}, works{other.works}, uses{other.uses}, people_{other.people_} {
    people_->enter();
    people_->made.fetch_sub(1);
  }
  stub& operator=(stub&&) = delete;
  ~stub() { people_->leave(); }

  int id;
  bool works = true;
  int uses = 0;

 private:
  census* people_;
};

/// Keeps tasks until it is told to run, or to drop, them. Thread-safe.
class held_tasks {
 public:
  void execute(task work) {
    const std::lock_guard lock{mutex_};
    if (refusing) throw std::runtime_error{"no more tasks"};
    if (!dropping) tasks_.push_back(std::move(work));
    // else it is destroyed here
  }
  std::size_t size() {
    const std::lock_guard lock{mutex_};
    return tasks_.size();
  }
  bool run_one() {
    task next;
    {
      const std::lock_guard lock{mutex_};
      if (tasks_.empty()) return false;
      next = std::move(tasks_.front());
      tasks_.pop_front();
    }
    next();
    return true;
  }
  std::size_t run() {
    std::size_t count = 0;
    while (run_one()) ++count;
    return count;
  }
  void drop() {
    std::deque<task> gone;
    {
      const std::lock_guard lock{mutex_};
      gone.swap(tasks_);
    }
  }

  bool dropping = false;
  bool refusing = false;

 private:
  std::recursive_mutex mutex_;
  std::deque<task> tasks_;
};

/// A coroutine that begins at once and whose frame the test may destroy.
class coroutine {
 public:
  struct promise_type {
    coroutine get_return_object() { return coroutine{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  explicit coroutine(std::coroutine_handle<promise_type> handle) : handle_{handle} {}
  coroutine(coroutine&& other) noexcept : handle_{std::exchange(other.handle_, nullptr)} {}
  coroutine& operator=(coroutine&&) = delete;
  ~coroutine() { destroy(); }
  [[nodiscard]] bool done() const { return handle_.done(); }
  void destroy() {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

/// Waits until `f()` holds, or ten seconds have gone: then something is stuck.
template <class F>
[[nodiscard]] bool comes_true(F f) {
  const auto patience = std::chrono::steady_clock::now() + 10s;
  while (!f()) {
    if (std::chrono::steady_clock::now() > patience) return false;
    std::this_thread::sleep_for(100us);
  }
  return true;
}

/// Options of a pool that does nothing unless asked to, by the test's own thread.
inline pool_options<stub> by_hand(std::size_t min, std::size_t max) {
  pool_options<stub> o;
  o.min = min;
  o.max = max;
  o.maintenance = pool_maintenance::caller;
  return o;
}

/// A pool of stubs, on a clock of its own for each `Tag`.
template <class Tag>
struct bench {
  using clock = basic_manual_clock<Tag>;
  using pool_type = connection_pool<stub, clock>;
  using result = typename pool_type::result;

  explicit bench(pool_options<stub> options) {
    clock::set(typename clock::time_point{std::chrono::hours{100}});
    pool.emplace([this]() -> stub { return make(); }, std::move(options));
  }

  stub make() {
    ++calls;
    if (fails.load()) throw std::runtime_error{"refused"};
    return stub{people};
  }

  std::vector<lease<stub>> borrow(std::size_t count) {
    std::vector<lease<stub>> all;
    for (std::size_t i = 0; i < count; ++i) {
      if (auto got = pool->acquire({.timeout = 0s})) all.push_back(std::move(*got));
    }
    return all;
  }

  census people;
  std::atomic<int> calls{0};
  std::atomic<bool> fails{false};
  std::optional<pool_type> pool;
};

}  // namespace banyan::testing
