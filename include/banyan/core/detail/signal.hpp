#pragma once

#include <cstdint>

#include <banyan/core/clock.hpp>
#include <banyan/core/parking_word.hpp>

namespace banyan::detail {

/// Wakes one thread that watches something, from any thread. Signals that come before the watcher has looked are one.
class signal {
 public:
  [[nodiscard]] std::uint32_t seen() const noexcept {
    return word_.value().load(std::memory_order_acquire);  // (1) acquire: pairs with the release in (2)
  }

  /// Lock-free; a system call.
  void raise() noexcept {
    word_.value().fetch_add(1, std::memory_order_release);  // (2) pairs with (1)
    word_.notify_all();
  }

  /// Blocks until a signal after `seen` or the deadline.
  void wait_until(std::uint32_t seen, steady_clock::time_point deadline) noexcept {
    (void)word_.wait_until(seen, deadline);
  }

 private:
  parking_word word_;
};

}  // namespace banyan::detail
