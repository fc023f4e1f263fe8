#pragma once

/// \file
/// Sessions in a SQLite file, for `session_store`. Link with `-lsqlite3` (Debian: libsqlite3-dev).

#include <sqlite3.h>

#if __has_include(<unistd.h>)
#include <fcntl.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include <banyan/adapters/sqlite.hpp>
#include <banyan/core/detail/caught.hpp>
#include <banyan/core/expected.hpp>
#include <banyan/core/invalid_option.hpp>
#include <banyan/pool/connection_pool.hpp>
#include <banyan/pool/pool_error.hpp>
#include <banyan/session/session_backend.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_time.hpp>

namespace banyan {

struct sqlite_session_backend_options {
  std::size_t readers = 4;  ///< so many may read at the same time; one writes. 1 to 1,024
  /// How long a change waits for another process's, and a caller for a connection. 1 ms to an hour.
  std::chrono::milliseconds busy_timeout = std::chrono::seconds{2};
  /// Each change is on the disk before it is answered. Else a power failure may take back the last ones, whole; the
  /// death of a process takes none.
  bool durable = false;
};

/// Sessions in a SQLite file, which any number of threads and processes of one machine share, and which outlives them.
/// A `session_backend`.
///
/// A file that is missing is made for its owner alone to read, as whoever reads the ids has the sessions. The table is
/// `banyan_session`; it is made when it is missing, and the file is set to write-ahead logging, so that reading goes on
/// while one writes. Bounded by the disk alone: a new session removes up to two whose time has passed,
/// `purge` removes more.
///
/// Thread-safe; blocks for connections and the file's lock, up to `busy_timeout` each. What SQLite has to complain of
/// is thrown (`sqlite_error`), which `session_store` takes as `unavailable` and tells `on_failure`; a full disk is
/// `full`. After fork, the child must make its own. Not on a network file system, where locks do not hold.
class sqlite_session_backend {
 public:
  /// Throws `sqlite_error`, `std::invalid_argument`, also for databases in memory, which connections cannot share.
  explicit sqlite_session_backend(std::string file, sqlite_session_backend_options options = {})
      : file_{checked(std::move(file), options)},
        options_{options},
        readers_{[this] { return reader{opened()}; }, pool_of<reader>(options.readers)},
        writer_{[this] { return writer{opened()}; }, pool_of<writer>(1)} {}

  sqlite_session_backend(const sqlite_session_backend&) = delete;
  sqlite_session_backend& operator=(const sqlite_session_backend&) = delete;

  [[nodiscard]] expected<session_record, session_errc> get(const session_id& id, session_time now) {
    const auto lent = readers_.acquire();
    if (!lent) return no_connection(lent.error());
    sqlite_statement& get = (*lent)->get;
    get.bind_all(id.text(), ticks(now));
    if (!get.step()) return unexpected{session_errc::not_found};
    const std::int64_t state = get.integer(1);
    if (get.integer(0) < 1 || (state != 0 && state != 1)) return unexpected{session_errc::corrupt};
    const auto bytes = get.bytes(4);
    return session_record{.data = {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                          .version = static_cast<std::uint64_t>(get.integer(0)),
                          .created = time(get.integer(2)),
                          .expires = time(get.integer(3)),
                          .state = static_cast<session_state>(state)};
  }

  expected<void, session_errc> put(const session_id& id, const session_record& record, std::uint64_t expected_version,
                                   session_time now) {
    const auto lent = writer_.acquire();
    if (!lent) return no_connection(lent.error());
    writer& to = **lent;
    sqlite_statement& put = expected_version == 0 ? to.insert : to.update;
    const auto state = static_cast<int>(record.state);
    put.bind_all(id.text(), record.version, state, ticks(record.created), ticks(record.expires),
                 std::as_bytes(std::span{record.data}), ticks(now));
    if (expected_version != 0) put.bind(8, expected_version);
    if (!done_unless_full(put)) return unexpected{session_errc::full};
    if (to.database.changes() == 0) {
      return expected_version == 0 ? unexpected{session_errc::conflict} : unexpected{why_not(to, id, now)};
    }
    if (expected_version == 0) (void)detail::caught([&] { to.purge.run(ticks(now), 2); });
    return {};
  }

  expected<void, session_errc> touch(const session_id& id, std::uint64_t version, session_time expires,
                                     session_time now) {
    const auto lent = writer_.acquire();
    if (!lent) return no_connection(lent.error());
    (*lent)->touch.run(id.text(), version, ticks(now), ticks(expires));
    return changed(**lent, id, now);
  }

  expected<void, session_errc> erase(const session_id& id, std::uint64_t version, session_time now) {
    const auto lent = writer_.acquire();
    if (!lent) return no_connection(lent.error());
    (*lent)->erase.run(id.text(), version, ticks(now));
    return changed(**lent, id, now);
  }

  /// Removes up to `limit` sessions whose time has passed, the oldest first; returns how many. Other changes wait
  /// meanwhile, so rather often than many. Throws `sqlite_error`.
  std::size_t purge(session_time now, std::size_t limit = 1'000) {
    const auto lent = writer_.acquire();
    if (!lent) detail::client_failure(sqlite_error{lent.error().message(), SQLITE_BUSY});
    (*lent)->purge.run(ticks(now), std::min<std::size_t>(limit, 1U << 30));
    return static_cast<std::size_t>((*lent)->database.changes());
  }

 private:
  // Connections with what they run, so that it is compiled once. Statements die before their connection.
  struct reader {
    explicit reader(sqlite_connection taken)
        : database{std::move(taken)},
          get{database.prepare("select version, state, created, expires, data from banyan_session"
                               " where id = ?1 and expires > ?2")} {}
    void at_rest() noexcept { get.reset(); }
    sqlite_connection database;
    sqlite_statement get;
  };

  struct writer {
    explicit writer(sqlite_connection taken)
        : database{std::move(taken)},
          insert{database.prepare(
              "insert into banyan_session (id, version, state, created, expires, data) values (?1, ?2, ?3, ?4, ?5, ?6)"
              " on conflict (id) do update set version = ?2, state = ?3, created = ?4, expires = ?5, data = ?6"
              " where banyan_session.expires <= ?7")},
          update{database.prepare("update banyan_session set version = ?2, state = ?3, created = ?4, data = ?6,"
                                  " expires = case when ?3 = 0 then max(expires, ?5) else ?5 end"
                                  " where id = ?1 and version = ?8 and expires > ?7")},
          touch{database.prepare("update banyan_session set expires = max(expires, ?4)"
                                 " where id = ?1 and version = ?2 and expires > ?3")},
          erase{database.prepare("delete from banyan_session where id = ?1 and version = ?2 and expires > ?3")},
          look{database.prepare("select 1 from banyan_session where id = ?1 and expires > ?2")},
          purge{database.prepare("delete from banyan_session where id in"
                                 " (select id from banyan_session where expires <= ?1 order by expires limit ?2)")} {}
    void at_rest() noexcept { look.reset(); }
    sqlite_connection database;
    sqlite_statement insert;
    sqlite_statement update;
    sqlite_statement touch;
    sqlite_statement erase;
    sqlite_statement look;
    sqlite_statement purge;
  };

  static std::int64_t ticks(session_time t) noexcept { return t.time_since_epoch().count(); }
  static session_time time(std::int64_t ticks) noexcept { return session_time{std::chrono::milliseconds{ticks}}; }

  // An id is never used again, so what is there now was there when the change found another version.
  static session_errc why_not(writer& to, const session_id& id, session_time now) {
    to.look.bind_all(id.text(), ticks(now));
    return to.look.step() ? session_errc::conflict : session_errc::not_found;
  }

  static expected<void, session_errc> changed(writer& to, const session_id& id, session_time now) {
    if (to.database.changes() == 0) return unexpected{why_not(to, id, now)};
    return {};
  }

  // Thrown, so that who is told of failures learns why.
  static unexpected<session_errc> no_connection([[maybe_unused]] const pool_error& why) {
#if defined(__cpp_exceptions)
    if (why.cause()) std::rethrow_exception(why.cause());
    throw sqlite_error{why.message(), SQLITE_BUSY};
#else
    return unexpected{session_errc::unavailable};
#endif
  }

  static bool done_unless_full(sqlite_statement& put) {
#if defined(__cpp_exceptions)
    try {
      while (put.step()) continue;
    } catch (const sqlite_error& error) {
      if (error.code() == SQLITE_FULL) return false;
      throw;
    }
#else
    while (put.step()) continue;
#endif
    return true;
  }

  sqlite_connection opened() const {
    sqlite_connection database{file_, {.busy_timeout = options_.busy_timeout}};
    database.exec(options_.durable ? "pragma synchronous = full" : "pragma synchronous = normal");
    return database;
  }

  static std::string checked(std::string file, const sqlite_session_backend_options& options) {
    if (file.empty() || file.starts_with(":memory:")) {
      invalid_option("file", file, "must be a file: connections cannot share a database in memory");
    }
    if (options.readers < 1 || options.readers > 1'024)
      invalid_option("sqlite_session_backend_options.readers", options.readers, "must be from 1 to 1024");
    if (options.busy_timeout.count() < 1 || options.busy_timeout > std::chrono::hours{1}) {
      invalid_option("sqlite_session_backend_options.busy_timeout", options.busy_timeout.count(),
                     "must be from 1 ms to an hour");
    }
    make_private(file);
    make_table(file, options);
    return file;
  }

  // SQLite would make it for everybody to read, and gives its journals the rights of the file. One that is there is not
  // opened: closing it would release the locks of all connections of this process.
  static void make_private([[maybe_unused]] const std::string& file) {
#if __has_include(<unistd.h>)
    const int made = ::open(detail::c_text("file", file), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made >= 0) ::close(made);  // else SQLite says why
#endif
  }

  static void make_table(const std::string& file, const sqlite_session_backend_options& options) {
    sqlite_connection database{file, {.busy_timeout = options.busy_timeout}};
    const auto make = [&] {
      database.exec(
          "pragma journal_mode = wal;"
          "create table if not exists banyan_session (id text primary key not null, version integer not null,"
          " state integer not null, created integer not null, expires integer not null, data blob not null);"
          "create index if not exists banyan_session_expires on banyan_session (expires)");
    };
#if defined(__cpp_exceptions)
    // Of processes that start together one wins the change of mode, and the others are told so without waiting.
    for (auto waited = std::chrono::milliseconds{0}; waited < options.busy_timeout; ++waited) {
      try {
        return make();
      } catch (const sqlite_error& error) {
        if (error.code() != SQLITE_BUSY) throw;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
#endif
    make();
  }

  template <class Connection>
  pool_options<Connection> pool_of(std::size_t max) const {
    return {.min = 0,
            .max = max,
            .acquire_timeout = options_.busy_timeout,
            .fail_fast = true,
            // A row that is still being looked at would hold a lock.
            .on_return = [](Connection& c) { c.at_rest(); }};
  }

  std::string file_;
  sqlite_session_backend_options options_;
  connection_pool<reader> readers_;
  connection_pool<writer> writer_;
};

static_assert(session_backend<sqlite_session_backend>);

}  // namespace banyan
