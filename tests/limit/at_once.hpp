#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "support/joining_thread.hpp"

namespace banyan::testing {

/// Runs `work(0)` to `work(count - 1)`, a thread each, which begin when all are there. Returns when all have ended.
template <class Work>
void at_once(int count, Work work) {
  std::atomic<int> ready{0};
  std::vector<joining_thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      ready.fetch_add(1);
      while (ready.load() < count) std::this_thread::yield();
      work(i);
    });
  }
}

}  // namespace banyan::testing
