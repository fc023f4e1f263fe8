#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include <banyan/core/detail/caught.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/striped_counter.hpp>
#include <banyan/limit/circuit_breaker.hpp>
#include <banyan/session/detail/recent_sessions.hpp>
#include <banyan/session/session_backend.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_failure.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_options.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan::detail {

/// A backend behind a breaker, and what this process remembers of it. Of what it throws only `std::bad_alloc` gets out,
/// which says nothing of the backend; the rest is `unavailable`. The breaker and the age of what is remembered go by
/// `Steady`, which nobody sets.
template <class Backend, class Steady>
class guarded_backend {
 public:
  using status = expected<void, session_errc>;
  using found_record = expected<session_record, session_errc>;

  /// The options must outlive it.
  guarded_backend(Backend& backend, const session_options& options) : backend_{&backend}, options_{&options} {
    if (never_away<Backend>) return;
    if (options.breaker) breaker_.emplace(*options.breaker);
    if (options.stale_for.count() > 0) recent_.emplace(options.stale_capacity, options.stale_for);
  }

  /// The live record that an id leads to. Then `id` is the one that it goes by.
  found_record find(session_id& id, session_time now) {
    return follow(id, [&](const session_id& at) { return get(at, now); });
  }

  /// The same by what is remembered; its time may be over.
  found_record find_known(session_id& id, session_time now) {
    if (!recent_) return unexpected{session_errc::unavailable};
    const recent_sessions::moment at_most = moment(now, steady_now());
    return follow(id, [&](const session_id& at) { return recent_->get(at, at_most); });
  }

  status put(const session_id& id, const session_record& record, std::uint64_t version, session_time now) {
    const auto asked = steady_now();
    const status kept = ask(session_operation::put, asked, [&] { return backend_->put(id, record, version, now); });
    if (kept) {
      remember(id, record, now, asked);
    } else if (kept.error() == session_errc::not_found) {
      forget(id, now);
    } else if (kept.error() == session_errc::conflict) {
      conflicts_.add();
    }
    return kept;
  }

  status touch(const session_id& id, std::uint64_t version, session_time expires, session_time now) {
    const auto asked = steady_now();
    const status moved =
        ask(session_operation::touch, asked, [&] { return backend_->touch(id, version, expires, now); });
    if (moved) {
      // A copy that finds no memory is only the older for it.
      if (recent_) (void)caught([&] { recent_->touched(id, version, expires, moment(now, asked)); });
    } else if (moved.error() == session_errc::not_found) {
      forget(id, now);
    }
    return moved;
  }

  /// Touches what was just found, which then has the new expiry. Whether it did.
  bool prolong(const session_id& id, session_record& found, session_time expires, session_time now) {
    if (!touch(id, found.version, expires, now)) return false;
    found.expires = expires;
    return true;
  }

  status erase(const session_id& id, std::uint64_t version, session_time now) {
    return ask(session_operation::erase, steady_now(), [&] { return backend_->erase(id, version, now); });
  }

  /// It is not to be served from memory again.
  void bury(const session_id& id) {
    if (recent_) recent_->bury(id);
  }
  /// Also what it leads to, as far as is remembered, whatever the time.
  void bury_known(session_id id) {
    if (!recent_) return;
    if (follow(id, [&](const session_id& at) { return recent_->last(at); })) recent_->bury(id);
  }

  [[nodiscard]] circuit_state state() const noexcept { return breaker_ ? breaker_->state() : circuit_state::closed; }
  [[nodiscard]] std::int64_t conflicts() const noexcept { return conflicts_.sum(); }
  [[nodiscard]] std::int64_t unavailable() const noexcept { return unavailable_.sum(); }

 private:
  using steady_point = typename Steady::time_point;

  // Of ids given up within a grace, more are not followed.
  static constexpr int most_moves = 8;

  // Times that can be added to, and a version that can be counted, whoever wrote them.
  static bool plausible(const session_record& record) noexcept {
    const auto fits = [](session_time t) {
      return t.time_since_epoch() > -2 * session_time_end && t.time_since_epoch() < 2 * session_time_end;
    };
    return record.version > 0 && record.version <= last_session_version && fits(record.created) && fits(record.expires);
  }

  // Read only where somebody needs it.
  [[nodiscard]] steady_point steady_now() const { return breaker_ || recent_ ? Steady::now() : steady_point{}; }

  static recent_sessions::moment moment(session_time now, steady_point steady) {
    return {now, std::chrono::duration_cast<std::chrono::nanoseconds>(steady.time_since_epoch())};
  }

  template <class Get>
  static found_record follow(session_id& id, Get look) {
    found_record found = look(id);
    for (int moves = 0; found && found->state == session_state::moved; ++moves) {
      if (found->data.empty() || moves == most_moves) {
        found = unexpected{session_errc::not_found};
      } else if (const std::optional<session_id> next = session_id::parse(found->data)) {
        id = *next;
        found = look(id);
      } else {
        found = unexpected{session_errc::corrupt};
      }
    }
    if (found && !plausible(*found)) found = unexpected{session_errc::corrupt};
    return found;
  }

  found_record get(const session_id& id, session_time now) {
    const auto asked = steady_now();
    auto found = ask(session_operation::get, asked, [&] { return backend_->get(id, now); });
    if (found) {
      remember(id, *found, now, asked);
    } else if (found.error() == session_errc::not_found) {
      forget(id, now);
    }
    return found;
  }

  // The backend has it: that this copy finds no memory undoes nothing.
  void remember(const session_id& id, const session_record& record, session_time now, steady_point asked) noexcept {
    if (!recent_) return;
    const bool kept = !caught([&] { recent_->remember(id, record, moment(now, asked)); });
    // An older copy may be of what was given up by this record.
    if (!kept) (void)caught([&] { recent_->drop(id); });
  }

  void forget(const session_id& id, session_time now) {
    if (recent_) recent_->forget(id, now);
  }

  // Returned from within: what is assigned in a try block may be lost with GCC 12 when the block throws.
  template <class F>
  static auto answer_of(F& f, [[maybe_unused]] std::exception_ptr& thrown) -> decltype(f()) {
#if defined(__cpp_exceptions)
    try {
      return f();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (...) {  // documented: counts as unavailable
      thrown = std::current_exception();
      return unexpected{session_errc::unavailable};
    }
#else
    return f();
#endif
  }

  template <class F>
  auto ask(session_operation what, steady_point asked, F f) -> decltype(f()) {
    typename circuit_breaker<Steady>::permit permit;
    if (breaker_) {
      permit = breaker_->try_acquire(asked);
      if (!permit) {
        unavailable_.add();
        return unexpected{session_errc::unavailable};
      }
    }
    std::exception_ptr thrown;
    auto answer = answer_of(f, thrown);
    const bool away = !answer && answer.error() == session_errc::unavailable;
    if (breaker_) {
      const auto now = Steady::now();
      const auto latency = std::chrono::duration_cast<std::chrono::nanoseconds>(now - asked);
      away ? permit.failed(latency, now) : permit.succeeded(latency, now);
    }
    if (away) {
      unavailable_.add();
      tell({what, std::move(thrown)});
    }
    return answer;
  }

  void tell(const session_failure& failure) const noexcept {
    if (options_->on_failure)
      (void)caught([&] { options_->on_failure(failure); });  // documented: what it throws is lost
  }

  Backend* backend_;
  const session_options* options_;
  std::optional<circuit_breaker<Steady>> breaker_;
  std::optional<recent_sessions> recent_;
  striped_counter<> conflicts_;
  striped_counter<> unavailable_;
};

}  // namespace banyan::detail
