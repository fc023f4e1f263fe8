#pragma once

#include <thread>
#include <utility>

namespace banyan::testing {

/// Joins when it dies: `std::jthread`, as far as the tests need it. libc++ 16 has that behind a flag only.
class joining_thread {
 public:
  template <class F>
  explicit joining_thread(F f) : thread_{std::move(f)} {}
  joining_thread(joining_thread&&) noexcept = default;
  joining_thread& operator=(joining_thread&&) = delete;
  ~joining_thread() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

}  // namespace banyan::testing
