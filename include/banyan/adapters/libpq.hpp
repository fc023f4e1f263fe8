#pragma once

/// \file
/// PostgreSQL through its C client, libpq: a connection and a result that a pool can lend. Link with `-lpq`; needs the
/// client's header (Debian: libpq-dev).

// Debian keeps it in a folder of its own, which is rarely on the path.
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

#include <charconv>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/adapters/detail/client_failure.hpp>

namespace banyan {

/// What the server, or the client library, said. Functions here that throw it print it and abort where exceptions are
/// off.
class pq_error : public std::runtime_error {
 public:
  explicit pq_error(const std::string& message, std::string sqlstate = {})
      : std::runtime_error{message}, sqlstate_{std::move(sqlstate)} {}

  /// The five characters of the SQL standard, such as 42P01 for a table that is not there. Empty when no server
  /// answered: the connection is broken, or was never made.
  [[nodiscard]] const std::string& sqlstate() const noexcept { return sqlstate_; }

 private:
  std::string sqlstate_;
};

/// Rows in memory, independent of their connection. Movable. Reading is thread-safe, O(1).
class pq_result {
 public:
  /// Without rows.
  pq_result() noexcept = default;
  /// Takes over what libpq returned; may be null.
  explicit pq_result(PGresult* taken) noexcept : result_{taken} {}

  [[nodiscard]] int rows() const noexcept { return PQntuples(result_.get()); }
  [[nodiscard]] int columns() const noexcept { return PQnfields(result_.get()); }

  /// The field as text, valid as long as the result; none when it is NULL. Throws `std::out_of_range`.
  [[nodiscard]] std::optional<std::string_view> value(int row, int column) const {
    if (row < 0 || row >= rows() || column < 0 || column >= columns()) {
      detail::client_failure(
          std::out_of_range{"pq_result: no field " + std::to_string(column) + " in row " + std::to_string(row)});
    }
    if (PQgetisnull(result_.get(), row, column) != 0) return std::nullopt;
    return std::string_view{PQgetvalue(result_.get(), row, column),
                            static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
  }

  /// How many rows the statement returned, inserted, changed or deleted. 0 for statements that do none of these.
  [[nodiscard]] std::uint64_t affected() const noexcept {
    if (result_ == nullptr) return 0;
    const std::string_view digits{PQcmdTuples(result_.get())};
    std::uint64_t number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return number;
  }

  [[nodiscard]] ExecStatusType status() const noexcept { return PQresultStatus(result_.get()); }
  [[nodiscard]] const PGresult* native() const noexcept { return result_.get(); }

 private:
  struct clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  std::unique_ptr<PGresult, clear> result_;
};

/// A connection to a PostgreSQL server, closed when it dies. What was moved from is closed. In a pool:
///
///     banyan::connection_pool<banyan::pq_connection> pool{
///         [] { return banyan::pq_connection::connect("host=db connect_timeout=5 tcp_user_timeout=5000"); },
///         {.validate = [](auto& c) { return c.is_alive(); }, .on_return = [](auto& c) { c.reset_session(); }}};
///
/// All calls that ask the server block until it answers. libpq knows no time limit but those in the connection string:
/// without `tcp_user_timeout` or keepalives, a server that vanishes from the network blocks the caller for as long as
/// the system's TCP does, often a quarter of an hour; without `connect_timeout`, connecting does. Use by one thread at
/// a time.
class pq_connection {
 public:
  /// Connects as the string says (`host=... dbname=...`, or `postgresql://...`; what it leaves out comes from the PG...
  /// environment variables). Throws `pq_error` with the server's message, `std::invalid_argument` for a string with a
  /// zero byte, `std::bad_alloc`.
  [[nodiscard]] static pq_connection connect(const std::string& conninfo) {
    pq_connection made{PQconnectdb(detail::c_text("conninfo", conninfo))};
    if (made.connection_ == nullptr) detail::client_failure(std::bad_alloc{});
    if (made.status() != CONNECTION_OK) made.fail();
    return made;
  }

  /// Takes over a connection that was made otherwise; may be null.
  explicit pq_connection(PGconn* taken) noexcept : connection_{taken} {}

  /// Runs one or more statements; the result is the last one's. Statements that are sent together are one transaction
  /// unless they say otherwise. Throws `pq_error` with the server's message; then nothing of them has happened, or,
  /// when the connection broke meanwhile, perhaps all has.
  pq_result exec(const std::string& sql) { return checked(PQexec(open(), detail::c_text("sql", sql))); }

  /// Runs one statement with values for $1, $2, ...: text as the server reads it, or none for NULL. As values never
  /// become part of the statement, they need no quoting:
  ///
  ///     c.exec_params("insert into book (title, year) values ($1, $2)", {title, std::to_string(year)});
  pq_result exec_params(const std::string& sql, const std::vector<std::optional<std::string>>& values) {
    std::vector<const char*> texts;
    texts.reserve(values.size());
    for (const auto& each : values) texts.push_back(each ? detail::c_text("value", *each) : nullptr);
    // More than the protocol can carry (65,535) is refused by libpq.
    const int count = texts.size() < 0x7fffffff ? static_cast<int>(texts.size()) : 0x7fffffff;
    return checked(PQexecParams(open(), detail::c_text("sql", sql), count, nullptr, texts.data(), nullptr, nullptr, 0));
  }

  /// Whether the server answers: asks it, one round trip. For `pool_options::validate`.
  [[nodiscard]] bool is_alive() noexcept {
    if (status() != CONNECTION_OK) return false;
    return pq_result{PQexec(connection_.get(), "")}.status() == PGRES_EMPTY_QUERY;
  }

  /// Rolls back the transaction that is open, if one is: no round trip otherwise. Throws `pq_error` when a statement is
  /// still running, or the connection is broken.
  void end_transaction() {
    switch (transaction()) {
      case PQTRANS_IDLE:
        return;
      case PQTRANS_INTRANS:
      case PQTRANS_INERROR:
        (void)exec("rollback");
        return;
      case PQTRANS_ACTIVE:
        return detail::client_failure(pq_error{"a statement is still running"});
      case PQTRANS_UNKNOWN:
        break;
    }
    fail();
  }

  /// As good as new: rolls back what is open and discards all that a borrower may have left in the session, prepared
  /// statements, temporary tables, settings, locks. One round trip, or two. For `pool_options::on_return`; where
  /// borrowers leave nothing but transactions, `end_transaction` is enough and costs nothing. Throws as that does.
  void reset_session() {
    end_transaction();
    (void)exec("discard all");
  }

  /// Closes it now; harmless when it is closed.
  void close() noexcept { connection_.reset(); }

  /// What the client knows, without asking the server: a server that is gone is found out by the next call that asks
  /// it.
  [[nodiscard]] ConnStatusType status() const noexcept { return PQstatus(connection_.get()); }
  [[nodiscard]] PGTransactionStatusType transaction() const noexcept { return PQtransactionStatus(connection_.get()); }

  /// The process at the server that serves this connection; 0 when closed.
  [[nodiscard]] int server_process() const noexcept { return PQbackendPID(connection_.get()); }

  /// For the rest of libpq: COPY, LISTEN, pipelines, notices. Null when closed.
  [[nodiscard]] PGconn* native() noexcept { return connection_.get(); }

 private:
  struct finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };

  PGconn* open() const {
    if (connection_ == nullptr) fail();
    return connection_.get();
  }

  pq_result checked(PGresult* returned) const {
    pq_result result{returned};
    switch (result.status()) {
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
      case PGRES_EMPTY_QUERY:
        return result;
      case PGRES_COPY_IN:
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH:
        // The next exec ends it.
        detail::client_failure(pq_error{"COPY needs libpq's own functions, see native()"});
      default:
        break;
    }
    const char* const sqlstate = PQresultErrorField(returned, PG_DIAG_SQLSTATE);
    fail(sqlstate != nullptr ? sqlstate : "");
  }

  [[noreturn]] void fail(std::string sqlstate = {}) const {
    std::string message{connection_ != nullptr ? PQerrorMessage(connection_.get()) : "the connection is closed"};
    while (!message.empty() && message.back() == '\n') message.pop_back();
    if (message.empty()) message = "the connection is broken";
    detail::client_failure(pq_error{message, std::move(sqlstate)});
  }

  std::unique_ptr<PGconn, finish> connection_;
};

}  // namespace banyan
