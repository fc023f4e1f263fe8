#include "support/catch.hpp"

#if !defined(BANYAN_TEST_SQLITE)

TEST_CASE("sqlite_connection: skipped, this build has no SQLite") { SUCCEED(); }

#else

#include <banyan/adapters/sqlite.hpp>
#include <banyan/pool/connection_pool.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/scratch_file.hpp"
#include "support/joining_thread.hpp"

using namespace std::chrono_literals;

namespace {

using banyan::sqlite_connection;
using banyan::sqlite_error;
using banyan::sqlite_statement;
using banyan::testing::scratch_file;

// What `f` threw; nothing when it returned.
template <class F>
std::optional<sqlite_error> error_of(F f) {
  try {
    f();
  } catch (const sqlite_error& error) {
    return error;
  }
  return std::nullopt;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::int64_t number(sqlite_connection& c, const std::string& sql) {
  sqlite_statement s = c.prepare(sql);
  return s.step() ? s.integer(0) : -1;
}

}  // namespace

TEST_CASE("sqlite_connection: what cannot be opened is refused with SQLite's words and the file's name") {
  const scratch_file file;
  const std::string missing = (file.folder / "none" / "a.db").string();
  const auto no_folder = error_of([&] { sqlite_connection{missing}; });
  REQUIRE(no_folder);
  CHECK(no_folder->code() == SQLITE_CANTOPEN);
  CHECK(contains(no_folder->what(), missing));

  const auto no_file = error_of([&] { sqlite_connection c{file.path, {.create = false}}; });
  REQUIRE(no_file);
  CHECK(no_file->code() == SQLITE_CANTOPEN);
  CHECK(error_of([&] { sqlite_connection c{file.path, {.read_only = true}}; }));
  CHECK(!std::filesystem::exists(file.path));

  { std::ofstream{file.path} << std::string(4096, 'x'); }
  sqlite_connection other_format{file.path};
  const auto not_a_database = error_of([&] { other_format.exec("create table t (x)"); });
  REQUIRE(not_a_database);
  CHECK(not_a_database->code() == SQLITE_NOTADB);
}

TEST_CASE("sqlite_connection: bad options and text with a zero byte are refused") {
  const scratch_file file;
  try {
    sqlite_connection c{file.path, {.busy_timeout = -1ns}};
    FAIL("was taken");
  } catch (const std::invalid_argument& error) {
    CHECK(contains(error.what(), "sqlite_options.busy_timeout = -1"));
  }
  CHECK(!std::filesystem::exists(file.path));
  CHECK_NOTHROW(sqlite_connection(":memory:", {.busy_timeout = std::chrono::nanoseconds::max()}));

  using namespace std::string_literals;
  CHECK_THROWS_AS(sqlite_connection(file.path + "\0secret"s), std::invalid_argument);
  sqlite_connection c{":memory:"};
  CHECK_THROWS_AS(c.exec("select 1;\0 drop table t"s), std::invalid_argument);
  CHECK_THROWS_AS(c.prepare("select 1\0"s), std::invalid_argument);
  CHECK_THROWS_AS(c.busy_timeout(-1ns), std::invalid_argument);
}

TEST_CASE("sqlite_statement: values come back as they went in") {
  sqlite_connection c{":memory:"};
  c.exec("create table t (i, r, s, b, n)");
  sqlite_statement insert = c.prepare("insert into t values (?, ?, ?, ?, ?)");
  const std::array<std::byte, 3> bytes{std::byte{0}, std::byte{255}, std::byte{0}};
  const std::string letters{"it's \0 text", 11};
  insert.run(std::numeric_limits<std::int64_t>::min(), 0.1, letters, std::span<const std::byte>{bytes}, nullptr);
  CHECK(c.changes() == 1);
  CHECK(c.last_insert_rowid() == 1);

  sqlite_statement select = c.prepare("select * from t; -- and a comment");
  REQUIRE(select.step());
  CHECK(select.columns() == 5);
  CHECK(select.integer(0) == std::numeric_limits<std::int64_t>::min());
  CHECK(select.real(1) == 0.1);
  CHECK(select.text(2) == letters);
  REQUIRE(select.bytes(3).size() == 3);
  CHECK(std::equal(bytes.begin(), bytes.end(), select.bytes(3).begin()));
  CHECK(select.is_null(4));
  CHECK(select.text(4).empty());
  CHECK(select.is_null(9));  // no such column
  CHECK(!select.step());

  // Empty is not NULL.
  insert.run("", std::string_view{}, std::string{}, std::span<const std::byte>{}, std::uint64_t{7});
  CHECK(number(c, "select count(*) from t where i = '' and r = '' and s = '' and b = x'' and n = 7") == 1);
}

TEST_CASE("sqlite_statement: what is wrong is refused, and the statement still works") {
  sqlite_connection c{":memory:"};
  c.exec("create table t (x integer primary key)");
  const auto wrong = error_of([&] { (void)c.prepare("selekt 1"); });
  REQUIRE(wrong);
  CHECK(wrong->code() == SQLITE_ERROR);
  CHECK(contains(wrong->what(), "selekt"));
  CHECK(error_of([&] { (void)c.prepare(" -- nothing"); }));
  CHECK(error_of([&] { (void)c.prepare("select 1; select 2"); }));
  const auto no_table = error_of([&] { c.exec("insert into nowhere values (1)"); });
  REQUIRE(no_table);
  CHECK(contains(no_table->what(), "nowhere"));

  sqlite_statement insert = c.prepare("insert into t values (?)");
  const auto no_parameter = error_of([&] { insert.bind(2, 5); });
  REQUIRE(no_parameter);
  CHECK(no_parameter->code() == SQLITE_RANGE);
  CHECK_THROWS_AS(insert.bind(1, std::numeric_limits<std::uint64_t>::max()), std::out_of_range);

  insert.run(1);
  const auto twice = error_of([&] { insert.run(1); });
  REQUIRE(twice);
  CHECK(twice->code() == SQLITE_CONSTRAINT);
  CHECK(twice->extended_code() == SQLITE_CONSTRAINT_PRIMARYKEY);
  CHECK(contains(twice->what(), "t.x"));
  insert.bind(1, 2);  // one that failed is ready to be run again
  CHECK(!insert.step());
  CHECK(number(c, "select count(*) from t") == 2);

  // While it runs, its values stand.
  sqlite_statement select = c.prepare("select x from t where x >= ?");
  select.bind(1, 1);
  REQUIRE(select.step());
  const auto running = error_of([&] { select.bind(1, 2); });
  REQUIRE(running);
  CHECK(running->code() == SQLITE_MISUSE);
  select.reset();
  select.bind(1, 2);
  REQUIRE(select.step());
  CHECK(select.integer(0) == 2);
}

TEST_CASE("sqlite_connection: who waits for a lock in vain is told that it is busy") {
  const scratch_file file;
  sqlite_connection a{file.path};
  sqlite_connection b{file.path, {.busy_timeout = 0ns}};
  a.exec("create table t (x)");
  a.exec("begin immediate");
  const auto busy = error_of([&] { b.exec("insert into t values (1)"); });
  REQUIRE(busy);
  CHECK(busy->code() == SQLITE_BUSY);

  // With time to wait, it is served once the other is done.
  b.busy_timeout(10s);
  std::atomic<bool> done = false;
  {
    const banyan::testing::joining_thread other{[&] {
      b.exec("insert into t values (1)");
      done = true;
    }};
    CHECK(!done);
    a.exec("commit");
  }
  CHECK(done);
  CHECK(number(a, "select count(*) from t") == 1);
}

TEST_CASE("sqlite_connection: closed and moved from") {
  sqlite_connection c{":memory:"};
  c.exec("create table t (x); insert into t values (5)");
  sqlite_statement select = c.prepare("select x from t");
  sqlite_connection moved = std::move(c);
  CHECK(c.native() == nullptr);  // NOLINT(bugprone-use-after-move): what it says
  CHECK(!c.is_alive());
  CHECK(!c.in_transaction());
  CHECK(error_of([&] { c.exec("select 1"); }));
  CHECK(error_of([&] { (void)c.prepare("select 1"); }));
  CHECK(error_of([&] { c.reset_session(); }));
  CHECK(error_of([&] { (void)c.changes(); }));
  CHECK(error_of([&] { c.busy_timeout(1s); }));
  CHECK(moved.is_alive());

  moved.close();
  moved.close();
  CHECK(!moved.is_alive());
  REQUIRE(select.step());  // keeps the database open
  CHECK(select.integer(0) == 5);
  const sqlite_statement taken = std::move(select);
  CHECK(error_of([&] { (void)select.step(); }));  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("sqlite_connection: reset_session leaves no transaction and no lock") {
  const scratch_file file;
  sqlite_connection a{file.path};
  a.exec("create table t (x); insert into t values (1); insert into t values (2)");
  sqlite_statement select = a.prepare("select x from t");
  a.reset_session();  // nothing to do

  a.exec("begin; delete from t");
  REQUIRE(!select.step());
  CHECK(a.in_transaction());
  a.reset_session();
  CHECK(!a.in_transaction());
  CHECK(number(a, "select count(*) from t") == 2);

  // A statement left in the middle of its rows holds a read lock, which keeps the file from being written.
  REQUIRE(select.step());
  sqlite_connection b{file.path, {.busy_timeout = 0ns}};
  CHECK(error_of([&] { b.exec("insert into t values (3)"); }));
  a.reset_session();
  CHECK(!error_of([&] { b.exec("insert into t values (3)"); }));
}

TEST_CASE("sqlite_connection: in a pool, a borrower that gives up in the middle leaves nothing behind") {
  const scratch_file file;
  sqlite_connection{file.path}.exec("pragma journal_mode = wal; create table t (x)");
  banyan::connection_pool<sqlite_connection> pool{[&] { return sqlite_connection{file.path}; },
                                                  {.min = 1,
                                                   .max = 1,
                                                   .validate = [](auto& c) { return c.is_alive(); },
                                                   .validate_after = 0ns,
                                                   .on_return = [](auto& c) { c.reset_session(); }}};
  constexpr int threads = 4;
  constexpr int each = 50;
  std::atomic<int> failed = 0;
  {
    std::vector<banyan::testing::joining_thread> all;
    for (int t = 0; t < threads; ++t) {
      all.emplace_back([&] {
        for (int i = 0; i < each; ++i) {
          auto c = pool.acquire();
          try {
            (*c)->exec("begin; insert into t values (1)");
            if (i % 2 == 0) (*c)->exec("commit");  // or forgets it
          } catch (...) {
            ++failed;
          }
        }
      });
    }
  }
  CHECK(failed == 0);
  auto c = pool.acquire();
  REQUIRE(c);
  CHECK(number(**c, "select count(*) from t") == threads * each / 2);

  // Closed by its borrower: found out when it comes back, and replaced.
  (*c)->close();
  c->release();
  c = pool.acquire();
  REQUIRE(c);
  CHECK((*c)->is_alive());
  CHECK(pool.stats().closed_for(banyan::close_cause::invalid) == 1);
}

#endif
