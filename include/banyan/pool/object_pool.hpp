#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/pool/detail/connection_factory.hpp>
#include <banyan/pool/detail/pool_machine.hpp>
#include <banyan/pool/lease.hpp>
#include <banyan/pool/pool_error.hpp>
#include <banyan/pool/pool_options.hpp>
#include <banyan/pool/pool_stats.hpp>

namespace banyan {

/// Options of an `object_pool`.
template <class T>
struct object_pool_options {
  /// Never more are alive. 1 to 65,536.
  std::size_t max = 64;
  std::chrono::nanoseconds acquire_timeout = std::chrono::seconds{30};
  /// Makes an object that comes back fit for the next: clears a buffer, resets a parser. One that throws destroys it.
  std::function<void(T&)> reset{};
  idle_order order = idle_order::lifo;
  pool_fairness fairness = pool_fairness::fifo;
  /// So many may wait; more are refused.
  std::size_t max_waiting = 4'096;
  hazard_domain* domain = &hazard_domain::global();
};

/// A bounded number of things that are costly to make and cheap to use again: buffers, parsers, scratch memory.
///
///     banyan::object_pool<std::vector<char>> buffers{[] { return std::vector<char>(65'536); }, {.max = 32}};
///     if (auto b = buffers.try_acquire()) fill(**b);
///
/// A `connection_pool` without what connections need: there is no thread, nothing falls due, and an object that is
/// wanted is made by the thread that wants it, as long as there are fewer than `max`.
///
/// Thread-safe. Taking an idle object and giving it back are lock-free, O(1), apart from `reset`. Leases may outlive
/// the pool.
template <class T>
class object_pool {
 public:
  using result = expected<lease<T>, pool_error>;

  /// `factory` makes an object, as a value, optional or `expected`; several threads may call it at the same time.
  /// Throws `std::invalid_argument` when an option is out of its range, and `std::bad_alloc`.
  template <class Factory>
  requires detail::connection_factory<std::decay_t<Factory>, T>
  explicit object_pool(Factory&& factory, object_pool_options<T> options = {})
      : acquire_timeout_{std::clamp(options.acquire_timeout, std::chrono::nanoseconds{0},
                                    std::chrono::nanoseconds{std::chrono::hours{24 * 365}})},
        machine_{make_machine(std::forward<Factory>(factory), std::move(options))} {}

  object_pool(const object_pool&) = delete;
  object_pool& operator=(const object_pool&) = delete;

  ~object_pool() {
    (void)machine_->close(steady_clock::now());
    machine_->release();
  }

  /// An idle object, else a new one, or why there is neither: `exhausted`, or `open_failed` with what the factory
  /// threw. Never waits.
  result try_acquire() noexcept {
    for (;;) {
      result got = machine_->try_borrow(nullptr, 0);
      if (got || !(got.error() == pool_errc::exhausted)) [[likely]] {
        return got;
      }
      // Nothing when there are as many as may be, or when a hook refused it.
      auto made = machine_->borrow_new(nullptr, 0);
      if (made) return *std::move(made);
      return got;
    }
  }

  /// As `try_acquire`; when there are as many as may be, waits for one that comes back. First come, first served.
  result acquire() noexcept { return acquire(acquire_timeout_); }
  result acquire(std::chrono::nanoseconds timeout) noexcept {
    result got = try_acquire();
    if (got || !(got.error() == pool_errc::exhausted) || timeout.count() <= 0) [[likely]] {
      return got;
    }
    return machine_->borrow(nullptr, timeout, 0);
  }

  /// Destroys the idle objects, and those that are out when they come back.
  void clear() noexcept { machine_->evict_all(); }

  /// O(objects).
  [[nodiscard]] pool_stats stats() const noexcept { return machine_->stats(); }

 private:
  using machine = detail::pool_machine<T>;

  template <class Factory>
  static machine* make_machine(Factory&& factory, object_pool_options<T> given) {
    if (given.max < 1 || given.max > 65'536) {
      invalid_option("object_pool_options.max", given.max, "must be from 1 to 65536");
    }
    if (given.acquire_timeout.count() < 0) {
      invalid_option("object_pool_options.acquire_timeout", given.acquire_timeout.count(), "must not be negative");
    }
    if (given.max_waiting < 1 || given.max_waiting > 4'000'000) {
      invalid_option("object_pool_options.max_waiting", given.max_waiting, "must be from 1 to 4000000");
    }
    if (given.domain == nullptr) invalid_option("object_pool_options.domain", "null", "must be a domain");
    pool_options<T> options;
    options.min = 0;
    options.max = given.max;
    options.idle_timeout = options.max_lifetime = options.keepalive = std::chrono::nanoseconds{0};
    options.max_opening = given.max;
    // Time stands still here, so a pause would have no end: who waits is told that making one failed, as who does not.
    options.backoff_base = options.backoff_cap = std::chrono::nanoseconds{0};
    options.fail_fast = true;
    options.on_return = std::move(given.reset);
    options.order = given.order;
    options.fairness = given.fairness;
    options.max_waiting = given.max_waiting;
    options.maintenance = pool_maintenance::caller;
    options.domain = given.domain;
    using maker = detail::connection_maker_of<T, std::decay_t<Factory>>;
    // Nothing here has an age.
    return new machine{std::make_unique<maker>(std::forward<Factory>(factory)), std::move(options),
                       []() noexcept { return std::int64_t{0}; }};
  }

  std::chrono::nanoseconds acquire_timeout_;
  machine* machine_;
};

}  // namespace banyan
