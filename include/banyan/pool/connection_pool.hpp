#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/pool/acquire_awaiter.hpp>
#include <banyan/pool/detail/acquire_requests.hpp>
#include <banyan/pool/detail/connection_factory.hpp>
#include <banyan/pool/detail/pool_machine.hpp>
#include <banyan/pool/lease.hpp>
#include <banyan/pool/pool_error.hpp>
#include <banyan/pool/pool_options.hpp>
#include <banyan/pool/pool_stats.hpp>

namespace banyan {

/// What one request for a connection asks for.
struct acquire_request {
  /// Told when the lease is out for too long; of static storage, as a literal is.
  const char* tag = nullptr;
  /// How long to wait at most; negative: as the pool's options say.
  std::chrono::nanoseconds timeout = std::chrono::nanoseconds{-1};
};

/// A bounded set of connections to one server, lent to those who need one for a while:
///
///     banyan::connection_pool<connection> pool{[] { return connect("host=..."); }, {.min = 5, .max = 20}};
///     if (auto c = pool.acquire()) (*c)->query("select 1");
///
/// Those who wait are served in the order in which they came, however they wait: as threads, by callbacks, or as
/// coroutines. A connection that comes back goes to the first of them; so does one that was opened for somebody else. A
/// waiter who times out or cancels leaves the line; if it was just being served, a thread takes what it was given, and
/// the others' connection is passed on.
///
/// Connections are opened in the background (see `pool_options::executor`), as many as are waited for, at most
/// `max_opening` at a time; after a failure one at a time tries again, at growing intervals. What a factory or a hook
/// throws costs at most the connection it was about.
///
/// Thread-safe. Borrowing an idle connection and giving it back are lock-free, O(1), apart from the caller's hooks and
/// `validate`; waiting blocks, and a waiter that stops keeps nobody else from being served. The destructor closes the
/// pool, without waiting for leases, and waits for factories and hooks that are being called in the background, up to
/// `acquire_timeout`. Leases may outlive the pool: then what `on_return`, `on_close` and the executor refer to must
/// outlive them. After fork, the child must not use the pool's connections.
///
/// `Clock`: for ages and what falls due. Waiting is in the system's steady time.
///
/// Sources: HikariCP and its pages on pool sizing and spikes; N. Koval et al., PLDI 2023, for abortable waiting in
/// line.
template <class Connection, class Clock = coarse_clock>
class connection_pool {
 public:
  using time_point = typename Clock::time_point;
  using result = expected<lease<Connection>, pool_error>;

  /// `factory`: makes a connection, as a value, or as an optional or `expected` of one; may throw, and may be called by
  /// several threads at the same time. Throws `std::invalid_argument` when an option is out of its range, and
  /// `std::bad_alloc`.
  template <class Factory>
  requires detail::connection_factory<std::decay_t<Factory>, Connection>
  explicit connection_pool(Factory&& factory, pool_options<Connection> options = {})
      : machine_{make_machine(std::forward<Factory>(factory), checked(std::move(options)))} {
    machine_->open_at_start();
    if (housekeeper_wanted_) {
      housekeeper_ = std::thread{[held = typename machine::holder{*machine_}] { held->keep_house(); }};
    }
  }

  connection_pool(const connection_pool&) = delete;
  connection_pool& operator=(const connection_pool&) = delete;

  ~connection_pool() {
    (void)machine_->close(steady_clock::now());
    machine_->stop_maintenance();
    const bool all_out = machine_->wait_for_background(steady_clock::now() + bounded(acquire_timeout_));
    if (!all_out) machine_.get_deleter().patience = {};  // once is enough
    if (!housekeeper_.joinable()) return;
    // Not for one that hangs in a hook, nor by a callback that runs on it; it keeps what it needs.
    if (!all_out || housekeeper_.get_id() == std::this_thread::get_id()) {
      housekeeper_.detach();
    } else {
      housekeeper_.join();
    }
  }

  /// An idle connection, else the next that comes, waiting up to the timeout. Blocks the thread only when it waits.
  result acquire(acquire_request how = {}, time_point now = Clock::now()) noexcept {
    const auto timeout = how.timeout.count() < 0 ? acquire_timeout_ : how.timeout;
    return machine_->borrow(how.tag, timeout, ticks(now));
  }

  /// An idle connection, or why not; never waits, apart from `validate`. When there is none and there may be more, one
  /// is opened in the background. May miss a connection that another thread is just taking from one place to another.
  /// Lock-free, O(1).
  result try_acquire(acquire_request how = {}, time_point now = Clock::now()) noexcept {
    return machine_->try_borrow(how.tag, ticks(now));
  }

  /// Calls `callback(expected<lease, pool_error>)` once, on the executor. Timeouts are noticed by maintenance. If the
  /// executor drops its task, the callback is destroyed without a call and the connection goes back. Throws
  /// `std::bad_alloc`, and what moving the callback throws.
  template <class Callback>
  requires std::invocable < std::decay_t<Callback>
  &, result > pending_acquire<Connection> acquire_async(Callback&& callback, acquire_request how = {},
                                                        time_point now = Clock::now()) {
    auto* const request = new detail::callback_request<Connection, std::decay_t<Callback>>{
        *machine_, how.tag, deadline_of(how, now), std::forward<Callback>(callback)};
    pending_acquire<Connection> pending{*request};
    machine_->borrow(*request, ticks(now));
    return pending;
  }

  /// `co_await` it for an `expected` of a lease. Throws `std::bad_alloc`.
  acquire_awaiter<Connection> acquire_awaitable(acquire_request how = {}, time_point now = Clock::now()) {
    return acquire_awaiter<Connection>{
        *new detail::coroutine_request<Connection>{*machine_, how.tag, deadline_of(how, now)}, ticks(now)};
  }

  /// Refuses new requests, answers those that wait with `closed`, closes idle connections and waits until those that
  /// are lent have come back, and are closed. False: after `patience` some are still out; they are closed when they
  /// come.
  bool close(std::chrono::nanoseconds patience = std::chrono::nanoseconds{0}) noexcept {
    return machine_->close(steady_clock::now() + bounded(patience));
  }

  /// Nobody is served until `resume`: requests wait, and those that do not wait are refused. Lock-free; `suspend` O(1),
  /// `resume` O(those it serves).
  void suspend() noexcept { machine_->suspend(); }
  void resume() noexcept { machine_->resume(); }

  /// Sets how many there are to be. Surplus ones are closed as they come back, or at once when idle. Throws
  /// `std::invalid_argument`: `max` is 1 to the larger of 1,024 and the `max` the pool was made with.
  void resize(std::size_t min, std::size_t max, time_point now = Clock::now()) {
    if (max < 1 || max > machine_->capacity()) {
      invalid_option("max", max, "must be from 1 to " + std::to_string(machine_->capacity()));
    }
    if (min > max) invalid_option("min", min, "must not be above max");
    machine_->resize(static_cast<std::uint32_t>(min), static_cast<std::uint32_t>(max), ticks(now));
  }

  /// Replaces all connections there are: idle ones are closed now, lent ones when they come back. For a server that has
  /// moved, or credentials that have changed.
  void evict_all() noexcept { machine_->evict_all(); }

  /// Does what has fallen due; returns when something next will. For `pool_maintenance::caller`; harmless otherwise.
  /// At an older `now` than before less has fallen due, and nothing is undone. Does nothing while another call is under
  /// way.
  time_point maintain(time_point now = Clock::now()) noexcept {
    return time_point{std::chrono::duration_cast<typename time_point::duration>(
        std::chrono::nanoseconds{machine_->maintain(ticks(now))})};
  }

  /// O(connections).
  [[nodiscard]] pool_stats stats() const noexcept { return machine_->stats(); }

 private:
  using machine = detail::pool_machine<Connection>;

  static std::int64_t ticks(time_point t) noexcept {
    // So far from the ends that differences, and sums with the longest durations, are still numbers.
    constexpr std::int64_t end = std::int64_t{1} << 61;
    const std::int64_t n = std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
    return std::clamp(n, -end, end);
  }

  static std::chrono::nanoseconds bounded(std::chrono::nanoseconds d) noexcept {
    return std::clamp(d, std::chrono::nanoseconds{0}, std::chrono::nanoseconds{std::chrono::hours{24 * 365}});
  }

  std::int64_t deadline_of(const acquire_request& how, time_point now) const noexcept {
    return ticks(now) + bounded(how.timeout.count() < 0 ? acquire_timeout_ : how.timeout).count();
  }

  static pool_options<Connection> checked(pool_options<Connection> o) {
    constexpr std::chrono::nanoseconds zero{0};
    if (o.max < 1 || o.max > 65'536) invalid_option("pool_options.max", o.max, "must be from 1 to 65536");
    if (o.min == pool_options<Connection>{}.min) o.min = std::min(o.min, o.max);
    if (o.min > o.max) invalid_option("pool_options.min", o.min, "must not be above max");
    const auto not_negative = [&](const char* name, std::chrono::nanoseconds d) {
      if (d < zero) invalid_option(name, d.count(), "must not be negative");
    };
    not_negative("pool_options.acquire_timeout", o.acquire_timeout);
    not_negative("pool_options.idle_timeout", o.idle_timeout);
    not_negative("pool_options.max_lifetime", o.max_lifetime);
    not_negative("pool_options.validate_after", o.validate_after);
    not_negative("pool_options.keepalive", o.keepalive);
    not_negative("pool_options.leak_threshold", o.leak_threshold);
    if (!(o.jitter >= 0 && o.jitter <= 1)) invalid_option("pool_options.jitter", o.jitter, "must be from 0 to 1");
    if (o.max_opening < 1) invalid_option("pool_options.max_opening", o.max_opening, "must be at least 1");
    if (o.backoff_base <= zero) invalid_option("pool_options.backoff_base", o.backoff_base.count(), "must be positive");
    if (o.backoff_cap < o.backoff_base) {
      invalid_option("pool_options.backoff_cap", o.backoff_cap.count(), "must not be below backoff_base");
    }
    if (o.max_waiting < 1 || o.max_waiting > 4'000'000) {
      invalid_option("pool_options.max_waiting", o.max_waiting, "must be from 1 to 4000000");
    }
    if (o.maintenance_interval <= zero) {
      invalid_option("pool_options.maintenance_interval", o.maintenance_interval.count(), "must be positive");
    }
    if (o.maintenance == pool_maintenance::executor && !o.executor) {
      invalid_option("pool_options.executor", "none", "must be given for maintenance = executor");
    }
    if (o.domain == nullptr) invalid_option("pool_options.domain", "null", "must be a domain");
    // As long as the times are to be counted in nanoseconds from now on.
    for (auto* each : {&o.acquire_timeout, &o.idle_timeout, &o.max_lifetime, &o.validate_after, &o.keepalive,
                       &o.backoff_base, &o.backoff_cap, &o.leak_threshold, &o.maintenance_interval}) {
      *each = bounded(*each);
    }
    return o;
  }

  // Also when the constructor throws.
  struct parting {
    std::chrono::nanoseconds patience{};
    void operator()(machine* m) const noexcept {
      (void)m->close(steady_clock::now());
      m->stop_maintenance();
      m->wait_for_background(steady_clock::now() + patience);
      m->release();
    }
  };
  using machine_pointer = std::unique_ptr<machine, parting>;

  template <class Factory>
  machine_pointer make_machine(Factory&& factory, pool_options<Connection> options) {
    using maker = detail::connection_maker_of<Connection, std::decay_t<Factory>>;
    housekeeper_wanted_ = options.maintenance == pool_maintenance::housekeeper;
    acquire_timeout_ = options.acquire_timeout;
    return machine_pointer{new machine{std::make_unique<maker>(std::forward<Factory>(factory)), std::move(options),
                                       []() noexcept { return ticks(Clock::now()); }},
                           parting{acquire_timeout_}};
  }

  bool housekeeper_wanted_ = false;
  std::chrono::nanoseconds acquire_timeout_{};
  machine_pointer machine_;
  std::thread housekeeper_;
};

}  // namespace banyan
