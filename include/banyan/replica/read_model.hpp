#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/deadline.hpp>
#include <banyan/core/detail/caught.hpp>
#include <banyan/core/parking_word.hpp>
#include <banyan/replica/consistency_token.hpp>
#include <banyan/replica/detail/position_gate.hpp>
#include <banyan/replica/detail/position_waiters.hpp>
#include <banyan/replica/position_outcome.hpp>

namespace banyan {

/// How far a projection has applied an event log (the read side of CQRS: a search index, a cache, a table of counts),
/// so that a read that follows a write can wait for it:
///
///     session.wrote(log.append(event), now);                     // the write, and a `consistency_token`
///     ...
///     index.add(event); model.applied(event.position);           // the projection, after each event or batch
///     ...
///     if (!model.wait_for(session, 50ms)) ...                    // the read: stale, or from elsewhere
///     model.when(position, [=](banyan::position_outcome) { ... }, now + 50ms);   // the same without a thread
///
/// Positions are the log's own numbers; nothing has been applied at first, and 0 is reached always. They need not be
/// without gaps. `applied(p)` says that everything up to p is in. Of a token the position counts, whatever its epoch
/// and set: keep one for each log.
///
/// Thread-safe. As many may wait as memory holds.
class read_model {
 public:
  read_model() = default;
  /// A projection that was kept: all up to `position` is in.
  explicit read_model(std::uint64_t position) noexcept { applied(position); }
  read_model(const read_model&) = delete;
  read_model& operator=(const read_model&) = delete;
  /// With no thread waiting. Callbacks that wait are told `closed`.
  ~read_model() {
    telling mine{*this, position_outcome::closed};
    while (!waiters_.empty()) {
      mine.due.put_last(waiters_.take_all());
      finish(mine);
    }
  }

  /// Everything up to `position` is in. False, and no change, when that was known. Lock-free, apart from the callbacks
  /// whose position it reaches, which are called here; O(1), and O(callbacks waiting) and a system call when the least
  /// position that is waited for has been reached.
  bool applied(std::uint64_t position) noexcept {
    bool wake = false;
    const bool advanced = gate_.advance(position, wake);
    if (wake) {
      turn_.notify_all();
      tell_those_due(never_over);
    }
    return advanced;
  }

  /// Wait-free.
  [[nodiscard]] std::uint64_t position() const noexcept { return gate_.position(); }

  /// Whether all up to `position` is in. Wait-free.
  [[nodiscard]] bool has(std::uint64_t position) const noexcept { return this->position() >= position; }
  /// Whether all is in that the session has written and seen; false for a token that goes by time as well, which says
  /// nothing of positions. Wait-free.
  [[nodiscard]] bool has(const consistency_token& session) const noexcept {
    return !session.bound_by_time() && has(session.position());
  }

  /// The session has read here, and the read has ended: its next reads, here or elsewhere, are to show no less. What
  /// was in the projection and not in `applied` yet is not covered: where a projection can tell the position with the
  /// reply, use `session.read_at(position)` instead. Wait-free.
  void observed(consistency_token& session) const noexcept { session.read_at(position()); }

  /// Blocks until all up to `position` is in, or `until`; whether it is in. Any number of threads may wait; those
  /// that do wake up together when the first of their positions is reached.
  [[nodiscard]] bool wait_until(std::uint64_t position, steady_clock::time_point until) noexcept {
    if (has(position)) return true;
    const visit inside{gate_};
    for (;;) {
      const std::uint32_t seen = gate_.turn();
      bool wake = false;
      const bool reached = gate_.want(position, wake);
      if (wake) {
        turn_.notify_all();
        tell_those_due(never_over);
      }
      if (reached) return true;
      const auto now = steady_clock::now();
      if (now >= until) return has(position);
      // It looks by itself now and then: whoever should wake it may have been stopped just before.
      (void)turn_.wait_until(seen, until - now < own_look ? until : now + own_look);
    }
  }

  /// As `wait_until`, from now.
  [[nodiscard]] bool wait_for(std::uint64_t position, std::chrono::nanoseconds at_most) noexcept {
    return has(position) || wait_until(position, deadline::in(at_most).at());
  }

  /// As above, until `has(session)`; does not wait for what cannot come to be.
  [[nodiscard]] bool wait_for(const consistency_token& session, std::chrono::nanoseconds at_most) noexcept {
    return !session.bound_by_time() && wait_for(session.position(), at_most);
  }

  /// Calls `callback(position_outcome)` once: `reached` as soon as all up to `position` is in, `timed_out` with the
  /// first `expire` from `until` on, `closed` with the end of the model. No thread is started and no clock is read:
  /// it is called at once, before this returns, when the position has been reached, else by the thread that calls
  /// `applied`, `expire` or the destructor (rarely by one that just begins to wait). It may use the model, unless it is
  /// told `closed`, and must not destroy it; what it throws is dropped. What takes long it had better hand to an
  /// executor.
  ///
  /// What becomes due inside a callback of this model, because that one asks, applies or expires, is called on its
  /// thread after it has returned. So one may ask for the next position, a million times over, and not stand on the
  /// stack of those before; and must not wait for another.
  ///
  /// Called in the order in which they came by when one thread asks and applies. A thread that is stopped keeps back
  /// the callbacks it was about to call.
  ///
  /// Lock-free, apart from the memory it allocates. Throws `std::bad_alloc`, and what moving the callback throws; then
  /// it is not called.
  template <class F>
  requires std::invocable<F&, position_outcome>
  void when(std::uint64_t position, F callback, steady_clock::time_point until = steady_clock::time_point::max()) {
    telling* const outer = telling::of(*this);
    if (outer == nullptr && has(position)) {
      telling mine{*this};
      (void)detail::caught([&] { callback(position_outcome::reached); });
      finish(mine);
      return;
    }
    auto one = std::make_unique<callback_of<F>>(std::move(callback));
    one->target = position;
    one->until = until.time_since_epoch().count();
    if (outer != nullptr && has(position)) {
      outer->due.put_last(*one.release());
      return;
    }
    bool wake = false;
    const bool look = waiters_.add(*one.release(), wake);
    if (wake) turn_.notify_all();
    if (look) tell_those_due(never_over);
  }

  /// Tells the callbacks whose time is over, and those due that a stopped thread has left. To be called every so often,
  /// by the event loop or a timer, where callbacks have a time. O(callbacks waiting); lock-free apart from what is
  /// called.
  void expire(steady_clock::time_point now = steady_clock::now()) noexcept {
    tell_those_due(now.time_since_epoch().count());
  }

 private:
  static constexpr std::chrono::milliseconds own_look{100};
  static constexpr std::int64_t never_over = std::numeric_limits<std::int64_t>::min();

  struct visit {
    explicit visit(detail::position_gate<>& given) noexcept : gate{given} { gate.enter(); }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;
    ~visit() { gate.leave(); }
    detail::position_gate<>& gate;
  };

  struct callback_base : detail::position_waiter {
    callback_base() = default;
    callback_base(const callback_base&) = delete;
    callback_base& operator=(const callback_base&) = delete;
    virtual ~callback_base() = default;
    virtual void call(position_outcome how) = 0;
  };
  template <class F>
  struct callback_of final : callback_base {
    explicit callback_of(F&& given) : function(std::move(given)) {}
    void call(position_outcome how) override { function(how); }
    F function;
  };

  // A thread that calls callbacks of a model, and what its callbacks leave it to do.
  struct telling {
    explicit telling(const read_model& given, position_outcome not_reached = position_outcome::timed_out) noexcept
        : model{&given}, otherwise{not_reached}, outer{std::exchange(innermost, this)} {}
    telling(const telling&) = delete;
    telling& operator=(const telling&) = delete;
    ~telling() { innermost = outer; }

    // Of this thread; null when it calls none of that model.
    static telling* of(const read_model& model) noexcept {
      telling* each = innermost;
      while (each != nullptr && each->model != &model) each = each->outer;
      return each;
    }

    const read_model* model;
    position_outcome otherwise;
    detail::position_chain due{};  // in its hands
    bool again = false;            // to look for more
    telling* outer;

    static inline constinit thread_local telling* innermost = nullptr;
  };

  void tell_those_due(std::int64_t now) noexcept {
    if (telling* const outer = telling::of(*this)) {
      take(*outer, now);
    } else {
      telling mine{*this};
      take(mine, now);
      finish(mine);
    }
  }

  void take(telling& by, std::int64_t now) noexcept {
    const auto taken = waiters_.take(now);
    if (taken.wake) turn_.notify_all();
    by.due.put_last(taken.due);
    by.again = by.again || taken.again;
  }

  void finish(telling& mine) noexcept {
    for (;;) {
      while (detail::position_waiter* const due = mine.due.take_first()) {
        const std::unique_ptr<callback_base> one{static_cast<callback_base*>(due)};
        const position_outcome how = has(one->target) ? position_outcome::reached : mine.otherwise;
        (void)detail::caught([&] { one->call(how); });
      }
      if (!std::exchange(mine.again, false)) return;
      take(mine, never_over);
    }
  }

  parking_word turn_;
  detail::position_gate<> gate_{turn_.value()};
  detail::position_waiters<> waiters_{gate_};
};

}  // namespace banyan
