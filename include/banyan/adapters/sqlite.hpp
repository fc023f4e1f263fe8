#pragma once

/// \file
/// SQLite, an embedded database: connections and prepared statements that a pool can lend. Link with `-lsqlite3`
/// (Debian: libsqlite3-dev).

#include <sqlite3.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <banyan/adapters/detail/client_failure.hpp>

namespace banyan {

/// What SQLite said. Functions here that throw it print it and abort where exceptions are off.
class sqlite_error : public std::runtime_error {
 public:
  sqlite_error(const std::string& message, int code) : std::runtime_error{message}, code_{code} {}

  /// The primary result code, such as SQLITE_BUSY or SQLITE_CONSTRAINT.
  [[nodiscard]] int code() const noexcept { return code_ & 0xff; }
  /// With the details that the primary code leaves out, such as SQLITE_CONSTRAINT_UNIQUE.
  [[nodiscard]] int extended_code() const noexcept { return code_; }

 private:
  int code_;
};

/// A prepared statement, made by `sqlite_connection::prepare`. It may outlive its connection, which then stays open in
/// the background until the statement is gone. Use by one thread at a time, and not beside its connection. Of what was
/// moved from, only assignment and destruction.
class sqlite_statement {
 public:
  /// Values for the parameters, the first of which is number 1. Text and bytes are copied. Throws `sqlite_error` when
  /// there is no such parameter or the statement is running (`reset` it first), `std::out_of_range` for integers beyond
  /// 64 bits with a sign.
  template <std::integral V>
  void bind(int number, V value) {
    if constexpr (sizeof(V) >= sizeof(std::int64_t) && std::unsigned_integral<V>) {
      if (value > static_cast<V>(std::numeric_limits<std::int64_t>::max())) {
        detail::client_failure(std::out_of_range{"SQLite has no integer as large as " + std::to_string(value)});
      }
    }
    check(sqlite3_bind_int64(get(), number, static_cast<std::int64_t>(value)));
  }
  template <std::floating_point V>
  void bind(int number, V value) {
    check(sqlite3_bind_double(get(), number, static_cast<double>(value)));
  }
  void bind(int number, std::nullptr_t) { check(sqlite3_bind_null(get(), number)); }
  void bind(int number, std::string_view text) {
    // Null would be bound as NULL.
    const char* const from = text.data() != nullptr ? text.data() : "";
    check(sqlite3_bind_text64(get(), number, from, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  void bind(int number, std::span<const std::byte> bytes) {
    if (bytes.empty()) return check(sqlite3_bind_zeroblob(get(), number, 0));
    check(sqlite3_bind_blob64(get(), number, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
  }

  /// All values, from the first parameter on, of a statement that is not running.
  template <class... Values>
  void bind_all(const Values&... values) {
    int number = 0;
    (bind(++number, values), ...);
  }

  /// Goes to the next row, the first one to begin with; false when there is none, and the statement is ready to be run
  /// again. Throws `sqlite_error`; SQLITE_BUSY when another connection kept a lock for longer than the busy timeout.
  [[nodiscard]] bool step() {
    const int code = sqlite3_step(get());
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) {
      // The message goes with the failure, so it has to be read before the reset.
      const sqlite_error error = failure(code);
      reset();
      detail::client_failure(error);
    }
    reset();
    return false;
  }

  /// Runs it from the start to the end with these values; for statements whose rows, if any, nobody wants.
  template <class... Values>
  void run(const Values&... values) {
    reset();
    bind_all(values...);
    while (step()) continue;
  }

  /// Back to before the first row. It then holds no lock; values stay bound.
  void reset() noexcept { sqlite3_reset(statement_.get()); }

  /// Fields of the row that `step` went to; columns count from 0. What is not of the type is converted by SQLite's
  /// rules: NULL, and a column that is not there, give 0 or empty. Text and bytes are valid until the next `step`,
  /// `reset`, or other access to the same column.
  [[nodiscard]] int columns() const noexcept { return sqlite3_column_count(statement_.get()); }
  [[nodiscard]] bool is_null(int column) const noexcept {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
  }
  [[nodiscard]] std::int64_t integer(int column) const noexcept {
    return sqlite3_column_int64(statement_.get(), column);
  }
  [[nodiscard]] double real(int column) const noexcept { return sqlite3_column_double(statement_.get(), column); }
  [[nodiscard]] std::string_view text(int column) const noexcept {
    const auto* const letters = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
    if (letters == nullptr) return {};
    return {letters, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
  }
  [[nodiscard]] std::span<const std::byte> bytes(int column) const noexcept {
    const auto* const first = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
    if (first == nullptr) return {};
    return {first, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
  }

  [[nodiscard]] sqlite3_stmt* native() noexcept { return statement_.get(); }

 private:
  friend class sqlite_connection;
  explicit sqlite_statement(sqlite3_stmt* taken) noexcept : statement_{taken} {}

  sqlite3_stmt* get() const {
    if (statement_ == nullptr) detail::client_failure(sqlite_error{"the statement was moved away", SQLITE_MISUSE});
    return statement_.get();
  }
  sqlite_error failure(int code) const { return {sqlite3_errmsg(sqlite3_db_handle(statement_.get())), code}; }
  void check(int code) const {
    if (code != SQLITE_OK) detail::client_failure(failure(code));
  }

  struct finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, finalize> statement_;
};

/// How a database is opened.
struct sqlite_options {
  bool read_only = false;
  bool create = true;  ///< when the file is not there; not with `read_only`
  /// How long a statement waits for a lock that another connection holds, before it fails with SQLITE_BUSY. Rounded up
  /// to milliseconds, at most 2^31 - 1 of them.
  std::chrono::nanoseconds busy_timeout = std::chrono::seconds{5};
};

/// An open database, closed when it dies. Use by one thread at a time, which is what a pool sees to; SQLite's own mutex
/// is turned off. What was moved from is closed.
///
/// SQLite lets one connection write at a time, so a pool for writing has a `max` of 1: writers then wait in line for it
/// instead of sleeping and retrying at the file's lock. With `pragma journal_mode = wal`, readers go on meanwhile.
class sqlite_connection {
 public:
  /// Opens a file, `:memory:`, or, with an empty name, a temporary database. Throws `sqlite_error`,
  /// `std::invalid_argument`, `std::bad_alloc`.
  explicit sqlite_connection(const std::string& file, sqlite_options options = {}) {
    const int timeout = milliseconds(options.busy_timeout);
    if (sqlite3_threadsafe() == 0)
      detail::client_failure(sqlite_error{"SQLite is built without threads", SQLITE_MISUSE});
    const int mode = options.read_only ? SQLITE_OPEN_READONLY
                     : options.create  ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                       : SQLITE_OPEN_READWRITE;
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(detail::c_text("file", file), &opened, mode | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(opened);  // also when it failed
    if (opened == nullptr) detail::client_failure(std::bad_alloc{});
    if (code != SQLITE_OK) {
      detail::client_failure(sqlite_error{file + ": " + sqlite3_errmsg(opened), sqlite3_extended_errcode(opened)});
    }
    sqlite3_extended_result_codes(opened, 1);
    check(sqlite3_busy_timeout(opened, timeout));
  }

  /// Runs one or more statements; rows are left out. Throws `sqlite_error`: the statements before the one that failed
  /// have happened, unless there is a transaction around them.
  void exec(const std::string& sql) {
    check(sqlite3_exec(get(), detail::c_text("sql", sql), nullptr, nullptr, nullptr));
  }

  /// Compiles one statement. Throws `sqlite_error`, also when the text holds none, or more than one.
  [[nodiscard]] sqlite_statement prepare(const std::string& sql) {
    const char* rest = nullptr;
    sqlite_statement made{compiled(detail::c_text("sql", sql), &rest)};
    if (made.native() == nullptr) detail::client_failure(sqlite_error{"no statement: " + sql, SQLITE_MISUSE});
    // What follows may be space and comments, which compile to nothing.
    if (sqlite_statement{compiled(rest, nullptr)}.native() != nullptr) {
      detail::client_failure(sqlite_error{"more than one statement: " + sql, SQLITE_MISUSE});
    }
    return made;
  }

  /// See `sqlite_options::busy_timeout`. Throws `std::invalid_argument` for negative ones.
  void busy_timeout(std::chrono::nanoseconds timeout) { check(sqlite3_busy_timeout(get(), milliseconds(timeout))); }

  /// Whether a statement can be run. For `pool_options::validate`, though an embedded database does not go away.
  [[nodiscard]] bool is_alive() noexcept {
    return database_ != nullptr && sqlite3_exec(database_.get(), "select 1", nullptr, nullptr, nullptr) == SQLITE_OK;
  }

  /// Rolls back the transaction that is open, if one is. For `pool_options::on_return`. Statements that are still
  /// running are reset, as each holds a lock. Throws `sqlite_error`.
  void reset_session() {
    for (sqlite3_stmt* s = sqlite3_next_stmt(get(), nullptr); s != nullptr; s = sqlite3_next_stmt(get(), s)) {
      sqlite3_reset(s);
    }
    if (in_transaction()) exec("rollback");
  }

  [[nodiscard]] bool in_transaction() const noexcept {
    return database_ != nullptr && sqlite3_get_autocommit(database_.get()) == 0;
  }
  /// Rows that the last insert, update or delete changed.
  [[nodiscard]] std::int64_t changes() const { return sqlite3_changes(get()); }
  [[nodiscard]] std::int64_t last_insert_rowid() const { return sqlite3_last_insert_rowid(get()); }

  /// Closes it now; harmless when it is closed. Statements that are left keep the file open.
  void close() noexcept { database_.reset(); }

  /// For the rest of SQLite. Null when closed.
  [[nodiscard]] sqlite3* native() noexcept { return database_.get(); }

 private:
  struct close_later {
    void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
  };

  static int milliseconds(std::chrono::nanoseconds timeout) {
    if (timeout.count() < 0) invalid_option("sqlite_options.busy_timeout", timeout.count(), "must not be negative");
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
    constexpr int most = std::numeric_limits<int>::max();
    return rounded < most ? static_cast<int>(rounded) : most;
  }

  sqlite3* get() const {
    if (database_ == nullptr) detail::client_failure(sqlite_error{"the database is closed", SQLITE_MISUSE});
    return database_.get();
  }

  void check(int code) const {
    if (code != SQLITE_OK) detail::client_failure(sqlite_error{sqlite3_errmsg(database_.get()), code});
  }

  sqlite3_stmt* compiled(const char* sql, const char** rest) {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v2(get(), sql, -1, &statement, rest));
    return statement;
  }

  std::unique_ptr<sqlite3, close_later> database_;
};

}  // namespace banyan
