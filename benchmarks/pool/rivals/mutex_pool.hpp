#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace bench {

/// A pool as most C++ programs have it: a mutex, a condition variable and a deque.
class mutex_pool {
 public:
  explicit mutex_pool(int connections) {
    for (int i = 0; i < connections; ++i) idle_.push_back(i);
  }

  /// -1 when there is none within the time.
  int acquire(std::chrono::nanoseconds timeout) {
    std::unique_lock lock{mutex_};
    if (!returned_.wait_for(lock, timeout, [this] { return !idle_.empty(); })) return -1;
    const int c = idle_.back();
    idle_.pop_back();
    return c;
  }

  void give_back(int c) {
    {
      const std::lock_guard lock{mutex_};
      idle_.push_back(c);
    }
    returned_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable returned_;
  std::deque<int> idle_;
};

}  // namespace bench
