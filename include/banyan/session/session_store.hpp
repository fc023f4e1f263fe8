#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <banyan/core/clock.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/core/striped_counter.hpp>
#include <banyan/limit/detail/breaker_state.hpp>
#include <banyan/session/detail/guarded_backend.hpp>
#include <banyan/session/rotate_options.hpp>
#include <banyan/session/session_backend.hpp>
#include <banyan/session/session_codec.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_options.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_stats.hpp>
#include <banyan/session/session_time.hpp>
#include <banyan/session/stored_session.hpp>

namespace banyan {

/// Sessions outside the process, so that any server can answer any request:
///
///     banyan::session_store<cart, banyan::sqlite_session_backend> sessions{backend, {.ttl = 30min}};
///     auto made = sessions.create(cart{});                  // made->id.text() is the cookie
///     auto s = sessions.load(cookie);                       // or why not, as with all of these
///     s->value.add(book);
///     if (auto saved = sessions.save(*s); !saved) ...       // conflict: somebody else saved since the load
///     auto u = sessions.update(cookie, [&](cart& c) { c.add(book); });   // loads, changes, saves; or again
///     s->value.user = alice;                                // a login: saved under a new id, the old one is dead
///     if (sessions.rotate(*s)) set_cookie(s->id.text());
///     if (auto ended = sessions.destroy(cookie); !ended) ...   // unavailable: not logged out yet
///
/// **Nothing is overwritten unseen**: each save names the version it was made from. A session that was destroyed, or
/// has expired, does not come back by a save. **Expiry slides** with loads and saves, up to `max_lifetime`. An id is
/// only ever made here: what a client sends is looked up, never adopted.
///
/// **When the backend is away** (it says so, it throws, or the breaker is open), changes are refused as `unavailable`;
/// loads too, or they are served from memory for `stale_for`, marked `stale`. After `unavailable` a change may have
/// taken place: load again to know. A save that did is then a conflict with oneself. What went wrong, `on_failure` is
/// told.
///
/// Thread-safe but for one `stored_session`, which is a plain value. Each operation calls the backend once, `rotate`
/// and `destroy` twice, a load once more when it renews, and once more for an id that was given up a moment ago; for
/// the rest it is lock-free, O(bytes). Throws what the codec throws, `std::bad_alloc`, and, where an id is made, what
/// `system_random` throws; with the backend as it was, except that a session may be left under an id that nobody has
/// heard of, until it expires. Expiry is judged by the caller's `now`: an older one takes nothing away. Breaker and
/// stale copies go by `Steady`, as `Clock` may be set back.
///
/// Sources: OWASP Session Management Cheat Sheet, for what ids, renewal and lifetimes have to be; optimistic
/// concurrency control, H. Kung, J. Robinson, ACM TODS 6(2), 1981.
template <class Session, session_backend Backend, class Clock = std::chrono::system_clock,
          session_codec_for<Session> Codec = session_codec<Session>, class Steady = steady_clock>
class session_store {
 public:
  using time_point = typename Clock::time_point;
  using stored = stored_session<Session>;
  using result = expected<stored, session_errc>;
  using status = expected<void, session_errc>;

  /// The backend must outlive the store. Throws `std::invalid_argument` when an option is out of its range, and
  /// `std::bad_alloc`.
  explicit session_store(Backend& backend, session_options options = {})
      : options_{(check(options), std::move(options))}, backend_{backend, options_} {}

  session_store(const session_store&) = delete;
  session_store& operator=(const session_store&) = delete;

  /// A new session, under a new id. `too_large`, `full`, `unavailable`.
  [[nodiscard]] result create(Session value, time_point now = Clock::now()) {
    const session_time time = detail::to_session_time(now);
    const new_record record = encoded(value, 1, time, renewed(time, time));
    if (!record) return unexpected{record.error()};
    const session_id id = session_id::make();
    if (status kept = backend_.put(id, *record, 0, time); !kept) return unexpected{kept.error()};
    return stored{id, std::move(value), record->version, record->created, record->expires};
  }

  /// The session that a client's cookie names; its expiry moves on, if that is due. `not_found`, `corrupt`,
  /// `unavailable`.
  [[nodiscard]] result load(std::string_view cookie, time_point now = Clock::now()) { return read(cookie, now, true); }

  /// As `load`, for requests that are no use of the session, such as a page that polls: the expiry stays as it is.
  [[nodiscard]] result peek(std::string_view cookie, time_point now = Clock::now()) { return read(cookie, now, false); }

  /// Keeps the value, if nobody has saved since it was loaded. On success `session` has the new version and expiry, so
  /// that it can be changed and saved again. `conflict`, `not_found`, `too_large`, `full`, `corrupt`, `unavailable`: it
  /// is as it was.
  [[nodiscard]] status save(stored& session, time_point now = Clock::now()) {
    const session_time time = detail::to_session_time(now);
    const new_record record = successor(session, session.created, time);
    if (!record) return unexpected{record.error()};
    status kept = backend_.put(session.id, *record, session.version, time);
    if (kept) keep(session, *record);
    return kept;
  }

  /// Loads the session, calls `f(value)`, saves it, and does so again when somebody else saved meanwhile: `f` should
  /// have no effect but its change. `conflict` after `update_attempts`; else as `load` and `save`. A stale copy is not
  /// changed.
  template <class F>
  requires std::invocable<F&, Session&>
  [[nodiscard]] result update(std::string_view cookie, F f, time_point now = Clock::now()) {
    for (std::size_t attempt = 0; attempt < options_.update_attempts; ++attempt) {
      result session = read(cookie, now, false);
      if (!session) return session;
      if (session->stale) return unexpected{session_errc::unavailable};
      std::invoke(f, session->value);
      const status saved = save(*session, now);
      if (saved) return session;
      if (saved.error() != session_errc::conflict) return unexpected{saved.error()};
    }
    return unexpected{session_errc::conflict};
  }

  /// Moves the expiry on, without a load. `conflict` when somebody saved it since, which moved the expiry as well, or
  /// rotated it; `not_found`, `unavailable`.
  [[nodiscard]] status touch(stored& session, time_point now = Clock::now()) {
    const session_time time = detail::to_session_time(now);
    if (!may_change(session, time)) return unexpected{session_errc::not_found};
    const session_time expires = std::max(session.expires, renewed(session.created, time));
    const status moved = backend_.touch(session.id, session.version, expires, time);
    if (moved) session.expires = expires;
    return moved;
  }

  /// Saves the session under a new id, which `session.id` is then, and gives up the old one: at each login and each
  /// other change of rights, or an id that somebody planted before is logged in with it (session fixation). The new
  /// value is never to be had by the old id, unless `grace` says so. As `save` else; after `unavailable` it may be that
  /// neither id leads to the session. Throws also `std::invalid_argument`.
  [[nodiscard]] status rotate(stored& session, rotate_options how = {}, time_point now = Clock::now()) {
    if (how.grace.count() < 0 || how.grace > options_.ttl) {
      invalid_option("rotate_options.grace", how.grace.count(), "must be from 0 to session_options.ttl");
    }
    const session_time time = detail::to_session_time(now);
    const new_record record = successor(session, how.restart_lifetime ? time : session.created, time);
    if (!record) return unexpected{record.error()};
    if (record->expires <= time) return unexpected{session_errc::not_found};
    const session_id fresh = session_id::make();
    // The new one first: a crash in between leaves the old session, and one that nobody can name.
    if (status kept = backend_.put(fresh, *record, 0, time); !kept) return kept;
    session_record moved{.version = record->version,
                         .created = record->created,
                         .expires = time + how.grace,
                         .state = session_state::moved};
    // Without a grace it leads nowhere, also for a server whose clock is behind and to which it has not expired yet.
    if (how.grace.count() > 0) moved.data = fresh.text();
    if (status given_up = backend_.put(session.id, moved, session.version, time); !given_up) {
      // If it is unknown whether the old one is given up, the new one must stay.
      if (given_up.error() != session_errc::unavailable) (void)backend_.erase(fresh, record->version, time);
      return given_up;
    }
    session.id = fresh;
    keep(session, *record);
    return {};
  }

  /// Ends the session. This store does not serve its copy any more, whatever the backend says. `not_found` when there
  /// was none, `corrupt`, `unavailable`; `conflict` when it was saved again and again meanwhile. A rotation
  /// without a grace at the same time may be first: then it is `not_found`, and the session goes on under the new id.
  [[nodiscard]] status destroy(std::string_view cookie, time_point now = Clock::now()) {
    const std::optional<session_id> named = session_id::parse(cookie);
    if (!named) return unexpected{session_errc::not_found};
    const session_time time = detail::to_session_time(now);
    status ended = unexpected{session_errc::conflict};
    for (std::size_t attempt = 0; attempt < options_.update_attempts; ++attempt) {
      session_id id = *named;
      const auto found = backend_.find(id, time);
      if (!found) {
        backend_.bury_known(*named);
        return unexpected{found.error()};
      }
      backend_.bury(id);
      ended = backend_.erase(id, found->version, time);
      if (ended || ended.error() != session_errc::conflict) break;
    }
    return ended;
  }

  /// What it has seen so far. Wait-free.
  [[nodiscard]] session_stats stats() const noexcept {
    return {.conflicts = backend_.conflicts(),
            .renewals = renewals_.sum(),
            .stale = stale_.sum(),
            .unavailable = backend_.unavailable()};
  }

  /// Whether the backend is asked just now; `closed` also where there is no breaker. Wait-free.
  [[nodiscard]] circuit_state breaker_state() const noexcept { return backend_.state(); }

 private:
  using new_record = expected<session_record, session_errc>;

  result read(std::string_view cookie, time_point now, bool renew) {
    const std::optional<session_id> named = session_id::parse(cookie);
    if (!named) return unexpected{session_errc::not_found};
    const session_time time = detail::to_session_time(now);
    session_id id = *named;
    expected<session_record, session_errc> record = backend_.find(id, time);
    const bool away = !record && record.error() == session_errc::unavailable;
    if (away) {
      id = *named;
      record = backend_.find_known(id, time);
    }
    if (!record) return unexpected{record.error()};
    // The longest lifetime may have been shortened since it was stored.
    const session_time latest = record->created + options_.max_lifetime;
    record->expires = std::min(record->expires, latest);
    // Another server may have prolonged what is over here, and its user is not to be logged out by a guess.
    if (record->expires <= time)
      return unexpected{away && time < latest ? session_errc::unavailable : session_errc::not_found};
    if (away) {
      stale_.add();
    } else if (renew) {
      prolong(id, *record, time);
    }
    std::optional<Session> value = Codec::decode(std::move(record->data));
    if (!value) return unexpected{session_errc::corrupt};
    return result{std::in_place, id, *std::move(value), record->version, record->created, record->expires, away};
  }

  // A session that could be loaded is loaded, whatever becomes of this.
  void prolong(const session_id& id, session_record& found, session_time now) {
    const session_time expires = renewed(found.created, now);
    if (expires - found.expires <= options_.renew_after.value_or(options_.ttl / 10)) return;
    if (backend_.prolong(id, found, expires, now)) renewals_.add();
  }

  [[nodiscard]] session_time renewed(session_time created, session_time now) const noexcept {
    return std::min(now + options_.ttl, created + options_.max_lifetime);
  }

  [[nodiscard]] new_record encoded(const Session& value, std::uint64_t version, session_time created,
                                   session_time expires) const {
    auto data = Codec::encode(value);
    if (data.size() > options_.max_bytes) return unexpected{session_errc::too_large};
    new_record record{std::in_place};
    record->data = std::move(data);
    record->version = version;
    record->created = created;
    record->expires = expires;
    return record;
  }

  // It came from here, and its longest lifetime, which may have been shortened since, is not over.
  [[nodiscard]] bool may_change(const stored& session, session_time now) const noexcept {
    return session.version > 0 && session.version <= last_session_version &&
           session.created + options_.max_lifetime > now;
  }

  // What is saved in its place.
  [[nodiscard]] new_record successor(const stored& session, session_time created, session_time now) const {
    if (!may_change(session, now)) return unexpected{session_errc::not_found};
    if (session.version == last_session_version) return unexpected{session_errc::corrupt};
    return encoded(session.value, session.version + 1, created, std::max(session.expires, renewed(created, now)));
  }

  static void keep(stored& session, const session_record& record) noexcept {
    session.version = record.version;
    session.created = record.created;
    session.expires = record.expires;
    session.stale = false;
  }

  session_options options_;
  detail::guarded_backend<Backend, Steady> backend_;
  striped_counter<> renewals_;
  striped_counter<> stale_;
};

}  // namespace banyan
