#include "support/catch.hpp"

#if !defined(BANYAN_TEST_LIBPQ)

TEST_CASE("pq_connection: skipped, this build has no libpq") { SUCCEED(); }

#else

#include <banyan/adapters/libpq.hpp>
#include <banyan/pool/connection_pool.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../../examples/private_postgres.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::pq_connection;
using banyan::pq_error;
using banyan::pq_result;

// What `f` threw; nothing when it returned.
template <class F>
std::optional<pq_error> error_of(F f) {
  try {
    f();
  } catch (const pq_error& error) {
    return error;
  }
  return std::nullopt;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string only_value(const pq_result& r) {
  REQUIRE(r.rows() == 1);
  REQUIRE(r.columns() == 1);
  return std::string{r.value(0, 0).value_or("NULL")};
}

// One server for all tests, as starting it takes a second or two; none where no PostgreSQL is installed.
private_postgres* server() {
  static private_postgres only;
  if (only.missing().empty()) return &only;
  WARN(only.missing());
  return nullptr;
}

pq_connection connected() { return pq_connection::connect(server()->conninfo()); }

}  // namespace

TEST_CASE("pq_connection: connecting fails with the client's own words") {
  const auto nobody_there = error_of([] { (void)pq_connection::connect("host=127.0.0.1 port=1 connect_timeout=2"); });
  REQUIRE(nobody_there);
  CHECK(contains(nobody_there->what(), "127.0.0.1"));
  CHECK(std::string_view{nobody_there->what()}.back() != '\n');
  CHECK(nobody_there->sqlstate().empty());

  const auto bad_string = error_of([] { (void)pq_connection::connect("nonsense=1"); });
  REQUIRE(bad_string);
  CHECK(contains(bad_string->what(), "nonsense"));
  CHECK(error_of([] { (void)pq_connection::connect("host='127.0.0.1"); }));

  using namespace std::string_literals;
  try {
    (void)pq_connection::connect("password=secret\0 host=127.0.0.1"s);
    FAIL("was taken");
  } catch (const std::invalid_argument& error) {
    CHECK(contains(error.what(), "conninfo"));
    CHECK(!contains(error.what(), "secret"));
  }
}

TEST_CASE("pq_connection: closed") {
  pq_connection none{nullptr};
  CHECK(none.status() == CONNECTION_BAD);
  CHECK(none.transaction() == PQTRANS_UNKNOWN);
  CHECK(none.server_process() == 0);
  CHECK(!none.is_alive());
  for (const auto& error :
       {error_of([&] { none.exec("select 1"); }), error_of([&] { none.exec_params("select 1", {}); }),
        error_of([&] { none.end_transaction(); }), error_of([&] { none.reset_session(); })}) {
    REQUIRE(error);
    CHECK(contains(error->what(), "closed"));
  }
  none.close();

  const pq_result empty;
  CHECK(empty.rows() == 0);
  CHECK(empty.columns() == 0);
  CHECK(empty.affected() == 0);
  CHECK_THROWS_AS(empty.value(0, 0), std::out_of_range);
}

TEST_CASE("pq_connection: statements and their results") {
  if (server() == nullptr) return;
  pq_connection c = connected();
  CHECK(c.exec("create temp table t (n int, s text)").affected() == 0);
  CHECK(c.exec("insert into t values (1, 'one'), (2, null)").affected() == 2);
  const pq_result all = c.exec("select * from t order by n");
  REQUIRE(all.rows() == 2);
  REQUIRE(all.columns() == 2);
  CHECK(all.value(0, 1) == "one");
  CHECK(!all.value(1, 1));
  for (const auto& [row, column] : {std::pair{2, 0}, {0, 2}, {-1, 0}, {0, -1}}) {
    CHECK_THROWS_AS(all.value(row, column), std::out_of_range);
  }

  // Values are never read as part of the statement.
  const std::string odd = "x'); drop table t; --";
  CHECK(c.exec_params("insert into t values ($1, $2)", {"3", odd}).affected() == 1);
  CHECK(c.exec_params("update t set s = $1 where n = $2::int", {std::nullopt, "1"}).affected() == 1);
  CHECK(only_value(c.exec_params("select s from t where n = $1::int", {"3"})) == odd);
  CHECK(only_value(c.exec_params("select $1::text", {""})).empty());
  CHECK(only_value(c.exec("select count(*) from t where s is null")) == "2");
  CHECK(c.exec("").rows() == 0);
  CHECK(c.is_alive());

  using namespace std::string_literals;
  CHECK_THROWS_AS(c.exec("select 1\0"s), std::invalid_argument);
  CHECK_THROWS_AS(c.exec_params("select $1::text", {"a\0b"s}), std::invalid_argument);

  pq_connection moved = std::move(c);
  CHECK(moved.is_alive());
  CHECK(!c.is_alive());  // NOLINT(bugprone-use-after-move): what it says
}

TEST_CASE("pq_connection: what the server refuses comes with its message, and the connection still works") {
  if (server() == nullptr) return;
  pq_connection c = connected();
  const auto no_table = error_of([&] { c.exec("select * from nowhere"); });
  REQUIRE(no_table);
  CHECK(no_table->sqlstate() == "42P01");
  CHECK(contains(no_table->what(), "nowhere"));
  const auto wrong = error_of([&] { c.exec("selekt 1"); });
  REQUIRE(wrong);
  CHECK(wrong->sqlstate() == "42601");
  CHECK(error_of([&] { c.exec_params("select $1::int", {"x"}); })->sqlstate() == "22P02");
  CHECK(error_of([&] { c.exec_params("select $1::int", {}); }));
  CHECK(error_of([&] { c.exec_params("select 1", std::vector<std::optional<std::string> >(65'536, "1")); }));
  const auto copy = error_of([&] { c.exec("copy (select 1) to stdout"); });
  REQUIRE(copy);
  CHECK(contains(copy->what(), "COPY"));
  CHECK(only_value(c.exec("select 5")) == "5");
  CHECK(c.status() == CONNECTION_OK);

  const auto refused = error_of([] { (void)pq_connection::connect(server()->conninfo() + " password=wrong"); });
  REQUIRE(refused);
  CHECK(contains(refused->what(), "password"));
  CHECK(!contains(refused->what(), "wrong"));
  CHECK(
      contains(error_of([] { (void)pq_connection::connect(server()->conninfo() + " dbname=none"); })->what(), "none"));
}

TEST_CASE("pq_connection: what a borrower left behind is cleared") {
  if (server() == nullptr) return;
  pq_connection c = connected();
  c.exec("create temp table kept (n int)");
  c.exec("begin; insert into kept values (1)");
  CHECK(c.transaction() == PQTRANS_INTRANS);
  c.end_transaction();
  CHECK(c.transaction() == PQTRANS_IDLE);
  CHECK(only_value(c.exec("select count(*) from kept")) == "0");

  c.exec("set statement_timeout = 12345; prepare p as select 1; begin");
  CHECK(error_of([&] { c.exec("select * from nowhere"); }));
  CHECK(c.transaction() == PQTRANS_INERROR);
  CHECK(c.is_alive());
  c.reset_session();
  CHECK(c.transaction() == PQTRANS_IDLE);
  CHECK(only_value(c.exec("show statement_timeout")) == "0");
  CHECK(error_of([&] { c.exec("execute p"); })->sqlstate() == "26000");
  CHECK(error_of([&] { c.exec("select * from kept"); })->sqlstate() == "42P01");

  REQUIRE(PQsendQuery(c.native(), "select pg_sleep(0.01)") == 1);
  CHECK(contains(error_of([&] { c.reset_session(); })->what(), "running"));
}

TEST_CASE("pq_connection: a connection that the server ended says so") {
  if (server() == nullptr) return;
  pq_connection c = connected();
  pq_connection other = connected();
  c.exec("begin");
  other.exec_params("select pg_terminate_backend($1::int)", {std::to_string(c.server_process())});
  const auto gone = error_of([&] {
    for (;;) c.exec("select 1");  // it may take a moment
  });
  REQUIRE(gone);
  CHECK(contains(gone->what(), "terminating connection"));
  CHECK(c.status() == CONNECTION_BAD);
  CHECK(!c.is_alive());
  CHECK(error_of([&] { c.end_transaction(); }));
  CHECK(error_of([&] { c.reset_session(); }));
  CHECK(error_of([&] { c.exec("select 1"); }));
}

TEST_CASE("pq_connection: in a pool, over a server that is killed and comes back") {
  if (server() == nullptr) return;
  banyan::connection_pool<pq_connection> pool{[] { return connected(); },
                                              {.min = 2,
                                               .max = 2,
                                               .acquire_timeout = 30s,
                                               .validate = [](auto& c) { return c.is_alive(); },
                                               .validate_after = 0ns,
                                               .backoff_base = 10ms,
                                               .backoff_cap = 50ms,
                                               .on_return = [](auto& c) { c.reset_session(); }}};
  // What one borrower leaves open, the next does not see.
  int process = 0;
  for (const std::string name : {"first", "second"}) {
    auto c = pool.acquire();
    REQUIRE(c);
    CHECK((process == 0 || process == (*c)->server_process()));  // the one used last comes first
    process = (*c)->server_process();
    CHECK(only_value((*c)->exec("select current_setting('application_name')")) != "first");
    (*c)->exec("set application_name = " + name + "; begin; create table left_open (n int)");
  }

  {
    // Both are open before the server goes: one that is just being opened would never have counted as a connection.
    while (pool.stats().idle < 2) std::this_thread::sleep_for(1ms);
    auto lent = pool.acquire();
    REQUIRE(lent);
    server()->kill();
    const auto gone = error_of([&] { (*lent)->exec("select 1"); });
    REQUIRE(gone);
    CHECK((*lent)->status() == CONNECTION_BAD);
  }  // given back broken: resetting it fails, so it is closed

  // While there is no server, those who ask wait, and are told why when they have waited enough.
  const auto down = pool.acquire({.timeout = 200ms});
  REQUIRE(!down);
  CHECK(down.error() == banyan::pool_errc::timeout);
  REQUIRE(down.error().cause() != nullptr);
  CHECK_THROWS_AS(std::rethrow_exception(down.error().cause()), pq_error);

  server()->start();
  {
    auto a = pool.acquire();
    auto b = pool.acquire();
    REQUIRE(a);
    REQUIRE(b);
    CHECK(only_value((*a)->exec("select 5")) == "5");
    CHECK(only_value((*b)->exec("select to_regclass('left_open')")) == "NULL");
  }
  CHECK(pool.close(5s));
  const auto s = pool.stats();
  CHECK(s.in_use == 0);
  CHECK(s.idle == 0);
  CHECK(s.created == s.closed_in_all());
  CHECK(s.closed_for(banyan::close_cause::invalid) == 2);
  CHECK(s.open_failures > 0);
}

#endif
