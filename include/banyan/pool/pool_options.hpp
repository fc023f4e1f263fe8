#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include <banyan/core/executor.hpp>
#include <banyan/core/hazard_domain.hpp>

namespace banyan {

/// Which idle connection is lent first.
enum class idle_order {
  lifo,  ///< the one used last, a thread's own first: the others can age out, and caches stay warm
  fifo,  ///< the one idle longest: all are used alike
};

/// Whether who comes later may be served first.
enum class pool_fairness {
  fifo,     ///< never
  barging,  ///< yes, if a connection is there at that moment: more throughput, longer tails
};

/// Who does what falls due: filling up to `min`, retiring, keep-alive, validation, timeouts of asynchronous requests.
enum class pool_maintenance {
  housekeeper,  ///< one thread of the pool's own
  executor,     ///< the executor, whenever an operation of the pool notices that something is due
  caller,       ///< nobody but `maintain(now)`; without an executor, threads that wait open connections themselves
};

/// A lease that has been out for too long.
struct pool_leak {
  const char* tag;  ///< what it was borrowed under; may be null
  std::chrono::nanoseconds out;
};

/// Options of a `connection_pool`. Durations of 0 switch off what they time, apart from `acquire_timeout`.
template <class Connection>
struct pool_options {
  /// So many are kept open, idle or not. At most `max`; the default is less where `max` is.
  std::size_t min = 5;
  /// Never more are alive, those being opened included. 1 to 65,536.
  std::size_t max = 20;

  std::chrono::nanoseconds acquire_timeout = std::chrono::seconds{30};
  /// Idle for so long, a connection is closed, down to `min`.
  std::chrono::nanoseconds idle_timeout = std::chrono::minutes{10};
  /// A connection is retired at this age, or up to a tenth earlier (see `jitter`), as soon as it is not lent.
  std::chrono::nanoseconds max_lifetime = std::chrono::minutes{30};

  /// Whether a connection still works. Asked by the borrower's thread before it is lent, unless it was used within
  /// `validate_after`; and in the background, see `keepalive`. False, or throwing, closes the connection.
  std::function<bool(Connection&)> validate{};
  std::chrono::nanoseconds validate_after = std::chrono::milliseconds{500};
  /// Connections that were idle for so long are validated in the background, which also keeps them from being cut off
  /// by others.
  std::chrono::nanoseconds keepalive = std::chrono::minutes{2};
  /// Each connection draws its lifetime and its keep-alive time between `1 - jitter` and 1 times the option. 0 to 1.
  double jitter = 0.1;

  /// So many are opened at the same time, at most.
  std::size_t max_opening = 2;
  /// After a failure opening pauses, for this time, doubled with each further failure up to `backoff_cap`, less a
  /// random share of up to a half. Then one is tried, and after a success two at a time, four, and so on.
  std::chrono::nanoseconds backoff_base = std::chrono::milliseconds{50};
  std::chrono::nanoseconds backoff_cap = std::chrono::seconds{5};
  /// When opening fails, those who wait are told at once, instead of waiting on for a later success or a return.
  bool fail_fast = false;

  /// A lease out for so long is reported, once, to `on_leak`.
  std::chrono::nanoseconds leak_threshold = std::chrono::nanoseconds{0};
  std::function<void(const pool_leak&)> on_leak{};

  /// Hooks. One that throws closes the connection (`on_close`: is ignored), and whoever waits goes on waiting.
  std::function<void(Connection&)> on_create{};  ///< after it was opened
  std::function<void(Connection&)> on_borrow{};  ///< before it is lent
  std::function<void(Connection&)> on_return{};  ///< before it is idle or lent on: reset it here
  std::function<void(Connection&)> on_close{};   ///< before it is destroyed

  idle_order order = idle_order::lifo;
  pool_fairness fairness = pool_fairness::fifo;
  /// So many may wait; more are refused. 1 to 4 million.
  std::size_t max_waiting = 65'536;

  /// Opens connections, runs callbacks and resumes coroutines. Without one, connections are opened by threads made for
  /// that, and callbacks and coroutines run on the thread that gives the connection back.
  any_executor executor{};
  pool_maintenance maintenance = pool_maintenance::housekeeper;
  /// How often it is looked what is due, at least.
  std::chrono::nanoseconds maintenance_interval = std::chrono::seconds{1};

  hazard_domain* domain = &hazard_domain::global();
};

}  // namespace banyan
