#pragma once

#include <chrono>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/detail/caught.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/striped_counter.hpp>
#include <banyan/limit/circuit_breaker.hpp>
#include <banyan/session/detail/recent_sessions.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_options.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan::detail {

/// A backend behind a breaker, and what this process remembers of it. Of what it throws only `std::bad_alloc` gets out,
/// which says nothing of the backend; the rest is `unavailable`.
template <class Backend, class Clock>
class guarded_backend {
 public:
  using time_point = typename Clock::time_point;
  using status = expected<void, session_errc>;

  struct located {
    session_id id;
    session_record record;
  };

  guarded_backend(Backend& backend, const session_options& options, time_point now) : backend_{&backend} {
    if (options.breaker) breaker_.emplace(*options.breaker, now);
    if (options.stale_for.count() > 0) recent_.emplace(options.stale_capacity, options.stale_for);
  }

  /// The live record that an id leads to, and its id.
  expected<located, session_errc> find(const session_id& id, time_point now) {
    return follow(id, [&](const session_id& at) { return get(at, now); });
  }

  /// The same by what is remembered.
  expected<located, session_errc> find_known(const session_id& id, time_point now) {
    if (!recent_) return unexpected{session_errc::unavailable};
    return follow(id, [&](const session_id& at) {
      return recent_->get(at, to_session_time(now), to_session_time(latest_.observe(now)));
    });
  }

  status put(const session_id& id, const session_record& record, std::uint64_t version, time_point now) {
    const status kept = ask(now, [&] { return backend_->put(id, record, version, to_session_time(now)); });
    if (kept) {
      remember(id, record, now);
    } else if (kept.error() == session_errc::not_found) {
      forget(id, now);
    } else if (kept.error() == session_errc::conflict) {
      conflicts_.add();
    }
    return kept;
  }

  status touch(const session_id& id, std::uint64_t version, session_time expires, time_point now) {
    const status moved = ask(now, [&] { return backend_->touch(id, version, expires, to_session_time(now)); });
    if (!moved && moved.error() == session_errc::not_found) forget(id, now);
    return moved;
  }

  status erase(const session_id& id, std::uint64_t version, time_point now) {
    return ask(now, [&] { return backend_->erase(id, version, to_session_time(now)); });
  }

  /// The backend has it: that this copy finds no memory undoes nothing.
  void remember(const session_id& id, const session_record& record, time_point now) noexcept {
    if (!recent_) return;
    const bool kept =
        !caught([&] { recent_->remember(id, record, to_session_time(now), to_session_time(latest_.observe(now))); });
    // An older copy may be of what was given up by this record.
    if (!kept) (void)caught([&] { recent_->drop(id); });
  }

  /// It is not to be served from memory again.
  void bury(const session_id& id) {
    if (recent_) recent_->bury(id);
  }
  /// Also what it leads to, as far as is remembered, whatever the time.
  void bury_known(const session_id& id) {
    if (!recent_) return;
    const expected<located, session_errc> known = follow(id, [&](const session_id& at) { return recent_->last(at); });
    if (known) recent_->bury(known->id);
  }

  [[nodiscard]] circuit_state state() const noexcept { return breaker_ ? breaker_->state() : circuit_state::closed; }
  [[nodiscard]] std::int64_t conflicts() const noexcept { return conflicts_.sum(); }
  [[nodiscard]] std::int64_t unavailable() const noexcept { return unavailable_.sum(); }

 private:
  // Of ids given up within a grace, more are not followed.
  static constexpr int most_moves = 8;

  // Times that can be added to, whoever wrote them.
  static bool plausible(const session_record& record) noexcept {
    const auto fits = [](session_time t) {
      return t.time_since_epoch() > -2 * session_time_end && t.time_since_epoch() < 2 * session_time_end;
    };
    return record.version > 0 && fits(record.created) && fits(record.expires);
  }

  template <class Get>
  static expected<located, session_errc> follow(session_id id, Get look) {
    for (int moves = 0; moves <= most_moves; ++moves) {
      expected<session_record, session_errc> found = look(id);
      if (!found) return unexpected{found.error()};
      if (found->state == session_state::live) {
        if (!plausible(*found)) return unexpected{session_errc::corrupt};
        return located{id, *std::move(found)};
      }
      if (found->data.empty()) break;
      const std::optional<session_id> next = session_id::parse(found->data);
      if (!next) return unexpected{session_errc::corrupt};
      id = *next;
    }
    return unexpected{session_errc::not_found};
  }

  expected<session_record, session_errc> get(const session_id& id, time_point now) {
    auto found = ask(now, [&] { return backend_->get(id, to_session_time(now)); });
    if (found) {
      remember(id, *found, now);
    } else if (found.error() == session_errc::not_found) {
      forget(id, now);
    }
    return found;
  }

  void forget(const session_id& id, time_point now) {
    if (recent_) recent_->forget(id, to_session_time(now));
  }

  // Returned from within: what is assigned in a try block may be lost with GCC 12 when the block throws.
  template <class F>
  static auto answer_of(F& f) -> decltype(f()) {
#if defined(__cpp_exceptions)
    try {
      return f();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (...) {  // documented: counts as unavailable
      return unexpected{session_errc::unavailable};
    }
#else
    return f();
#endif
  }

  template <class F>
  auto ask(time_point now, F f) -> decltype(f()) {
    typename circuit_breaker<Clock>::permit permit;
    if (breaker_) {
      permit = breaker_->try_acquire(now);
      if (!permit) {
        unavailable_.add();
        return unexpected{session_errc::unavailable};
      }
    }
    const auto began = breaker_ ? steady_clock::now() : steady_clock::time_point{};
    auto answer = answer_of(f);
    const bool away = !answer && answer.error() == session_errc::unavailable;
    if (away) unavailable_.add();
    if (breaker_) {
      const std::chrono::nanoseconds latency = steady_clock::now() - began;
      away ? permit.failed(latency, now) : permit.succeeded(latency, now);
    }
    return answer;
  }

  Backend* backend_;
  std::optional<circuit_breaker<Clock>> breaker_;
  std::optional<recent_sessions> recent_;
  monotonic<Clock> latest_;
  striped_counter<> conflicts_;
  striped_counter<> unavailable_;
};

}  // namespace banyan::detail
